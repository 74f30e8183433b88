"""Binance USD-M futures: conditional orders, which live apart until the market reaches their trigger price.

A triggered order goes on as an ordinary one under the same number and client id.
"""

from __future__ import annotations

from typing import Any

from brokers.desk.core import Core
from brokers.desk.orders import WIRE_TYPES, OrderDesk, is_conditional, is_waiting
from brokers.desk.params import Params, plain
from brokers.desk.refusals import Refusal, nothing_to_cancel, unknown_order
from brokers.desk.usdm_trading import TIMES_IN_FORCE, TO_WIRE
from brokers.simulated.orders import Order
from ccxt_bt_bridge.words import OrderRequest

TYPES = {"STOP_MARKET": "stop", "STOP": "stop_limit"}


class UsdmAlgo:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._desk = OrderDesk(core, shows=is_conditional)
        self._waiting = OrderDesk(core, shows=is_waiting)

    async def place(self, params: Params) -> dict[str, Any]:
        return algo_row(await self._desk.place(self._request(params)))

    async def look_up(self, params: Params) -> dict[str, Any]:
        return algo_row(await self._desk.look_up(self._named(params)))

    async def cancel(self, params: Params) -> dict[str, Any]:
        """Only one that still waits: a triggered one is an ordinary order."""
        order = await self._waiting.cancel(self._named(params, missing=nothing_to_cancel()))
        ids = {"algoId": order.order_id, "clientAlgoId": order.request.client_order_id}
        return {**ids, "code": "200", "msg": "success"}

    async def open_orders(self, params: Params) -> list[dict[str, Any]]:
        orders = await self._waiting.open_orders(params.symbol() if "symbol" in params else None)
        return [algo_row(order) for order in orders]

    async def cancel_all(self, params: Params) -> dict[str, Any]:
        await self._waiting.cancel_all(params.symbol())
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def _named(self, params: Params, *, missing: Refusal | None = None) -> Params:
        """The same request in the names of ordinary orders, with the symbol, which need not be sent here.

        Raises ``missing`` (-2013 unless told otherwise) when no symbol has such an order.
        """
        names = {"orderId": "algoId", "origClientOrderId": "clientAlgoId"}
        named = Params(params.values | {ours: params.get(theirs) for ours, theirs in names.items()})
        if "symbol" in named:
            return named
        for symbol in self._core.markets:
            order_id = named.integer("orderId") if "orderId" in named else None
            if self._core.order(symbol, order_id=order_id, client_id=named.get("origClientOrderId")) is not None:
                return Params(named.values | {"symbol": symbol})
        raise missing or unknown_order()

    def _request(self, params: Params) -> OrderRequest:
        symbol, kind = params.symbol(), params.text("type")
        self._core.market(symbol)
        if params.text("algoType") != "CONDITIONAL" or kind not in TYPES:
            raise Refusal(-1116, "Invalid orderType.")
        if params.flag("closePosition"):
            raise Refusal(-1106, "Parameter 'closePosition' sent when not required.")
        force = params.get("timeInForce") or "GTC"
        if force not in TIMES_IN_FORCE:
            raise Refusal(-1115, "Invalid timeInForce.")
        return OrderRequest(
            self._desk.client_id(params.get("clientAlgoId")),
            symbol,
            self._desk.side(params),
            params.decimal("quantity"),
            type=TYPES[kind],
            price=params.decimal("price") if kind == "STOP" else None,
            reduce_only=params.flag("reduceOnly"),
            trigger_price=params.decimal("triggerPrice"),
            time_in_force=TIMES_IN_FORCE[force] if kind == "STOP" else "GTC",
        )


def algo_status(order: Order) -> str:
    if order.is_open:
        return "NEW" if order.waits_for_trigger else "TRIGGERED"
    if order.is_triggered:
        return "FINISHED"
    return order.status.value.upper()


def algo_row(order: Order) -> dict[str, Any]:
    """The order as the conditional endpoints show it."""
    request = order.request
    return {
        "algoId": order.order_id, "clientAlgoId": request.client_order_id, "algoType": "CONDITIONAL",
        "orderType": WIRE_TYPES[request.type], "symbol": request.symbol, "side": request.side.value.upper(),
        "positionSide": "BOTH", "timeInForce": TO_WIRE[request.time_in_force], "quantity": plain(request.amount),
        "algoStatus": algo_status(order), "actualOrderId": str(order.order_id) if order.is_triggered else "",
        "actualPrice": plain(order.value / order.filled if order.filled else None),
        "triggerPrice": plain(request.trigger_price), "price": plain(request.price), "icebergQuantity": None,
        "selfTradePreventionMode": "NONE", "workingType": "CONTRACT_PRICE", "priceMatch": "NONE",
        "closePosition": False, "priceProtect": False, "reduceOnly": request.reduce_only,
        "createTime": order.created_ms, "updateTime": order.time_ms,
        "triggerTime": order.time_ms if order.is_triggered else 0, "goodTillDate": 0,
    }  # fmt: skip
