"""Binance spot: orders, own trades and balances."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.desk.core import Core
from brokers.desk.orders import OrderDesk, wire_status
from brokers.desk.params import Params, plain
from brokers.desk.refusals import Refusal, nothing_to_cancel
from brokers.simulated.orders import Order
from ccxt_bt_bridge.words import Fill, OrderRequest

DAY_MS = 86_400_000
TIMES_IN_FORCE = ("GTC", "IOC", "FOK")
# Binance's type → ours; a stop-loss is a stop whichever way it points.
TYPES = {
    "MARKET": "market",
    "LIMIT": "limit",
    "LIMIT_MAKER": "limit",
    "STOP_LOSS": "stop",
    "STOP_LOSS_LIMIT": "stop_limit",
}


class SpotTrading:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._desk = OrderDesk(core)

    async def place(self, params: Params) -> dict[str, Any]:
        """With its fills, as ``newOrderRespType=FULL`` has it."""
        order = await self._desk.place(self._request(params))
        fills = [fill for fill in self._core.venue.fills if fill.order_id == str(order.order_id)]
        return order_row(order) | {"transactTime": order.time_ms, "fills": [self._part(fill) for fill in fills]}

    async def cancel(self, params: Params) -> dict[str, Any]:
        order = await self._desk.cancel(params)
        return order_row(order) | {"origClientOrderId": order.request.client_order_id, "transactTime": order.time_ms}

    async def look_up(self, params: Params) -> dict[str, Any]:
        return order_row(await self._desk.look_up(params))

    async def open_orders(self, params: Params) -> list[dict[str, Any]]:
        symbol = params.symbol() if "symbol" in params else None
        return [order_row(order) for order in await self._desk.open_orders(symbol)]

    async def cancel_all(self, params: Params) -> list[dict[str, Any]]:
        """Raises -2011 when nothing is open."""
        cancelled = await self._desk.cancel_all(params.symbol())
        if not cancelled:
            raise nothing_to_cancel()
        return [order_row(order) for order in cancelled]

    async def trades(self, params: Params) -> list[dict[str, Any]]:
        """Raises -1127 for more than a day between ``startTime`` and ``endTime``."""
        if "startTime" in params and "endTime" in params:
            if params.integer("endTime") - params.integer("startTime") > DAY_MS:
                raise Refusal(-1127, "More than 24 hours between startTime and endTime.")
        fills = await self._desk.fills(params, most=1_000, span_ms=2**61)
        return [self._trade_row(fill) for fill in fills]

    async def account(self, params: Params) -> dict[str, Any]:
        account = await self._core.exchange.account()
        return {
            "makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0,
            "canTrade": "spot" in params.key.permissions, "canWithdraw": True, "canDeposit": True, "brokered": False,
            "requireSelfTradePrevention": False, "preventSor": False, "updateTime": account.time_ms,
            "accountType": "SPOT", "balances": self._core.spot_balances(), "permissions": ["SPOT"], "uid": 1,
        }  # fmt: skip

    def _request(self, params: Params) -> OrderRequest:
        symbol, kind = params.symbol(), params.text("type")
        self._core.market(symbol)
        if kind not in TYPES:
            raise Refusal(-1116, "Invalid orderType.")
        force = params.text("timeInForce") if kind in ("LIMIT", "STOP_LOSS_LIMIT") else "GTC"
        if force not in TIMES_IN_FORCE:
            raise Refusal(-1115, "Invalid timeInForce.")
        return OrderRequest(
            self._desk.client_id(params.get("newClientOrderId")),
            symbol,
            self._desk.side(params),
            params.decimal("quantity"),
            type=TYPES[kind],
            price=params.decimal("price") if "limit" in TYPES[kind] else None,
            trigger_price=params.decimal("stopPrice") if kind.startswith("STOP") else None,
            time_in_force="PO" if kind == "LIMIT_MAKER" else force,
        )

    def _part(self, fill: Fill) -> dict[str, Any]:
        commission, asset = self._core.commission(fill)
        return {
            "price": plain(fill.price), "qty": plain(fill.amount), "commission": plain(commission),
            "commissionAsset": asset, "tradeId": int(fill.trade_id),
        }  # fmt: skip

    def _trade_row(self, fill: Fill) -> dict[str, Any]:
        part = self._part(fill)
        del part["tradeId"]
        return part | {
            "symbol": fill.symbol, "id": int(fill.trade_id), "orderId": int(fill.order_id), "orderListId": -1,
            "quoteQty": plain(fill.amount * fill.price), "time": fill.time_ms, "isBuyer": fill.side.sign > 0,
            "isMaker": self._core.venue.is_maker(fill.trade_id), "isBestMatch": True,
        }  # fmt: skip


def order_row(order: Order) -> dict[str, Any]:
    """The order as the spot endpoints show it."""
    request = order.request
    return {
        "symbol": request.symbol, "orderId": order.order_id, "orderListId": -1,
        "clientOrderId": request.client_order_id, "price": plain(request.price or Decimal(0)),
        "origQty": plain(request.amount), "executedQty": plain(order.filled), "origQuoteOrderQty": "0",
        "cummulativeQuoteQty": plain(order.value), "status": wire_status(order),
        "timeInForce": "GTC" if request.time_in_force == "PO" else request.time_in_force, "type": wire_type(order),
        "side": request.side.value.upper(), "stopPrice": plain(request.trigger_price), "icebergQty": "0",
        "time": order.created_ms, "updateTime": order.time_ms, "isWorking": not order.waits_for_trigger,
        "workingTime": order.created_ms,
        "selfTradePreventionMode": "NONE",
    }  # fmt: skip


def wire_type(order: Order) -> str:
    if order.request.time_in_force == "PO":
        return "LIMIT_MAKER"
    return next(theirs for theirs, ours in TYPES.items() if ours == order.request.type)
