"""How an order is written for Binance: numbers as the text they are, never through a float."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.binance_endpoints import Endpoints
from ccxt_bt_bridge.words import ORDER_TYPES, TIMES_IN_FORCE, Market, OrderRequest

CREATE_STOP = "fapiPrivatePostAlgoOrder"
CANCEL_STOP = "fapiPrivateDeleteAlgoOrder"
FETCH_STOP = "fapiPrivateGetAlgoOrder"
OPEN_STOPS = "fapiPrivateGetOpenAlgoOrders"
SPOT_STOPS = {"stop": "STOP_LOSS", "stop_limit": "STOP_LOSS_LIMIT"}
USDM_STOPS = {"stop": "STOP_MARKET", "stop_limit": "STOP"}


@dataclass(frozen=True, slots=True)
class Call:
    """One of ccxt's implicit methods, and its parameters. ``is_stop``: it goes to USD-M's own place for stops."""

    method: str
    params: dict[str, Any]
    is_stop: bool = False


def local_objection(request: OrderRequest, market: Market) -> str | None:
    """Why this order is not even sent, or None."""
    if request.type not in ORDER_TYPES or request.time_in_force not in TIMES_IN_FORCE:
        return f"unknown order type {request.type} {request.time_in_force}"
    if request.amount <= 0 or request.amount % market.amount_step:
        return f"amount {request.amount} is not a multiple of the step {market.amount_step}"
    for what, price in (("price", request.price), ("trigger price", request.trigger_price)):
        if price is not None and (price <= 0 or price % market.price_tick):
            return f"{what} {price} is not a multiple of the tick {market.price_tick}"
    if request.type in ("limit", "stop_limit") and request.price is None:
        return f"a {request.type} order needs a price"
    if request.type in ("stop", "stop_limit") and request.trigger_price is None:
        return f"a {request.type} order needs a trigger price"
    if market.kind == "spot" and request.reduce_only:
        return None if request.side.sign < 0 else "a purchase on spot reduces nothing"
    if market.kind == "spot" and request.type == "stop_limit" and request.time_in_force == "PO":
        return "spot has no stop that is post-only"
    return None


def create_call(endpoints: Endpoints, request: OrderRequest, market_id: str) -> Call:
    """The call that places it."""
    params: dict[str, Any] = {"symbol": market_id, "side": request.side.value.upper(), "quantity": text(request.amount)}
    is_stop = request.type in USDM_STOPS
    if endpoints.kind == "spot":
        kind = _spot_type(request)
        params |= {"type": kind, "newClientOrderId": request.client_order_id, "newOrderRespType": "FULL"}
        params |= {"stopPrice": text(request.trigger_price)} if is_stop and request.trigger_price else {}
        return Call(endpoints.create, params | _limit(request, needs_force=kind != "LIMIT_MAKER"))
    params |= {"reduceOnly": "true"} if request.reduce_only else {}
    if not is_stop:
        params |= {"type": request.type.upper(), "newOrderRespType": "RESULT"}
        params |= {"newClientOrderId": request.client_order_id}
        return Call(endpoints.create, params | _limit(request, post_only="GTX"))
    params |= {"algoType": "CONDITIONAL", "type": USDM_STOPS[request.type], "workingType": "CONTRACT_PRICE"}
    params |= {"clientAlgoId": request.client_order_id, "triggerPrice": text(request.trigger_price or Decimal(0))}
    return Call(CREATE_STOP, params | _limit(request, post_only="GTX"), is_stop=True)


def _spot_type(request: OrderRequest) -> str:
    if request.type == "limit" and request.time_in_force == "PO":
        return "LIMIT_MAKER"
    return SPOT_STOPS.get(request.type, request.type.upper())


def _limit(request: OrderRequest, *, needs_force: bool = True, post_only: str = "GTC") -> dict[str, str]:
    if request.type not in ("limit", "stop_limit") or request.price is None:
        return {}
    force = post_only if request.time_in_force == "PO" else request.time_in_force
    return {"price": text(request.price)} | ({"timeInForce": force} if needs_force else {})


def text(value: Decimal) -> str:
    """Without an exponent, without needless zeros."""
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
