"""Binance USD-M futures: orders, own trades and funding payments."""

from __future__ import annotations

import json
from typing import Any

from brokers.desk.core import Core
from brokers.desk.orders import WIRE_TYPES, OrderDesk, average, is_ordinary, wire_status
from brokers.desk.params import Params, plain, text_of
from brokers.desk.refusals import Refusal
from brokers.simulated.orders import Order
from ccxt_bt_bridge.words import Fill, FundingPayment, OrderRequest

LARGEST_BATCH = 5
TIMES_IN_FORCE = {"GTC": "GTC", "IOC": "IOC", "FOK": "FOK", "GTX": "PO"}
TO_WIRE = {ours: theirs for theirs, ours in TIMES_IN_FORCE.items()}


class UsdmTrading:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._desk = OrderDesk(core, shows=is_ordinary)

    async def place(self, params: Params) -> dict[str, Any]:
        return order_row(await self._desk.place(self._request(params)))

    async def place_batch(self, params: Params) -> list[dict[str, Any]]:
        """Each order's row or refusal, in the order sent. Raises -1130 for no list of 1 to 5 orders."""
        try:
            orders = json.loads(params.text("batchOrders"))
            batch = [Params({name: text_of(value) for name, value in order.items()}) for order in orders]
        except (ValueError, AttributeError, TypeError):
            batch = []
        if not 0 < len(batch) <= LARGEST_BATCH:
            raise Refusal(-1130, "Data sent for parameter 'batchOrders' is not valid.")
        return [await self._row_or_refusal(order) for order in batch]

    async def _row_or_refusal(self, params: Params) -> dict[str, Any]:
        try:
            return await self.place(params)
        except Refusal as refusal:
            return refusal.body

    async def cancel(self, params: Params) -> dict[str, Any]:
        return order_row(await self._desk.cancel(params))

    async def look_up(self, params: Params) -> dict[str, Any]:
        return order_row(await self._desk.look_up(params))

    async def open_orders(self, params: Params) -> list[dict[str, Any]]:
        symbol = params.symbol() if "symbol" in params else None
        return [order_row(order) for order in await self._desk.open_orders(symbol)]

    async def cancel_all(self, params: Params) -> dict[str, Any]:
        await self._desk.cancel_all(params.symbol())
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    async def trades(self, params: Params) -> list[dict[str, Any]]:
        return [self._trade_row(fill) for fill in await self._desk.fills(params, most=1_000)]

    async def income(self, params: Params) -> list[dict[str, Any]]:
        """Funding payments: the only income this exchange books apart."""
        if params.get("incomeType", "FUNDING_FEE") != "FUNDING_FEE":
            return []
        since_ms, until_ms = params.integer("startTime", 0), params.integer("endTime", 2**62)
        payments = await self._core.exchange.funding(since_ms=since_ms)
        wanted = [
            (number, one)
            for number, one in enumerate(payments, len(self._core.venue.payments) - len(payments) + 1)
            if one.time_ms <= until_ms and params.get("symbol", one.symbol) == one.symbol
        ]
        return [self._income_row(number, one) for number, one in wanted[: params.integer("limit", 100)]]

    def _request(self, params: Params) -> OrderRequest:
        symbol, kind = params.symbol(), params.text("type")
        self._core.market(symbol)
        if kind in ("STOP", "STOP_MARKET"):
            raise Refusal(-4120, "Order type not supported for this endpoint; use the Algo Order API endpoints.")
        if kind not in ("MARKET", "LIMIT"):
            raise Refusal(-1116, "Invalid orderType.")
        if params.get("positionSide", "BOTH") != "BOTH":
            raise Refusal(-4061, "Order's position side does not match user's setting.")
        force = params.text("timeInForce") if kind == "LIMIT" else "GTC"
        if force not in TIMES_IN_FORCE:
            raise Refusal(-1115, "Invalid timeInForce.")
        return OrderRequest(
            self._desk.client_id(params.get("newClientOrderId")),
            symbol,
            self._desk.side(params),
            params.decimal("quantity"),
            type=kind.lower(),
            price=params.decimal("price") if kind == "LIMIT" else None,
            reduce_only=params.flag("reduceOnly"),
            time_in_force=TIMES_IN_FORCE[force],
        )

    def _trade_row(self, fill: Fill) -> dict[str, Any]:
        return {
            "symbol": fill.symbol, "id": int(fill.trade_id), "orderId": int(fill.order_id),
            "side": fill.side.value.upper(), "price": plain(fill.price), "qty": plain(fill.amount),
            "realizedPnl": "0", "quoteQty": plain(fill.amount * fill.price), "commission": plain(fill.fee),
            "commissionAsset": self._core.market(fill.symbol).quote, "time": fill.time_ms, "positionSide": "BOTH",
            "maker": self._core.venue.is_maker(fill.trade_id), "buyer": fill.side.sign > 0,
        }  # fmt: skip

    def _income_row(self, number: int, payment: FundingPayment) -> dict[str, Any]:
        return {
            "symbol": payment.symbol, "incomeType": "FUNDING_FEE", "income": plain(payment.amount),
            "asset": self._core.market(payment.symbol).quote, "info": "FUNDING_FEE", "time": payment.time_ms,
            "tranId": number, "tradeId": "",
        }  # fmt: skip


def order_row(order: Order) -> dict[str, Any]:
    """The order as the futures endpoints show it."""
    request, kind = order.request, WIRE_TYPES[order.request.type]
    return {
        "orderId": order.order_id, "symbol": request.symbol, "status": wire_status(order),
        "clientOrderId": request.client_order_id, "price": plain(request.price), "avgPrice": plain(average(order)),
        "origQty": plain(request.amount), "executedQty": plain(order.filled), "cumQty": plain(order.filled),
        "cumQuote": plain(order.value), "timeInForce": TO_WIRE[request.time_in_force], "type": kind,
        "reduceOnly": request.reduce_only, "closePosition": False, "side": request.side.value.upper(),
        "positionSide": "BOTH", "stopPrice": plain(request.trigger_price), "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE", "selfTradePreventionMode": "NONE", "goodTillDate": 0, "priceProtect": False,
        "origType": kind, "time": order.created_ms, "updateTime": order.time_ms,
    }  # fmt: skip
