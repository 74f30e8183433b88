"""Backtrader's order vocabulary in the bridge's words: what an exchange can do, and a sentence for what it cannot."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import backtrader as bt

from ccxt_bt_bridge.bt_time import num_to_ms

TYPES = {
    None: "market",
    bt.Order.Market: "market",
    bt.Order.Limit: "limit",
    bt.Order.Stop: "stop",
    bt.Order.StopLimit: "stop_limit",
}
ORDER_WORDS = (
    "price",
    "plimit",
    "exectype",
    "valid",
    "tradeid",
    "oco",
    "trailamount",
    "trailpercent",
    "parent",
    "transmit",
)
PRICES = {"market": (), "limit": ("price",), "stop": ("price",), "stop_limit": ("price", "plimit")}


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """``type`` as in ``words.ORDER_TYPES``. ``valid_until_ms`` None: until it is cancelled."""

    type: str = "market"
    price: float | None = None
    trigger_price: float | None = None
    valid_until_ms: int | None = None


def refusal(asked: Mapping[str, Any]) -> str | None:
    """Why an order with these of ``ORDER_WORDS`` cannot be sent, or None."""
    if asked.get("exectype") not in TYPES:
        name = bt.Order.ExecTypes[asked["exectype"]]
        return f"{name} orders do not exist at the exchange; use Market, Limit, Stop or StopLimit"
    if asked.get("oco") is not None:
        return "oco: the exchange does not tie orders to each other; cancel the other one in notify_order"
    if asked.get("parent") is not None or asked.get("transmit") is False:
        return (
            "bracket orders: the exchange does not tie orders to each other; send the exits when the entry has filled"
        )
    if asked.get("trailamount") or asked.get("trailpercent"):
        return "trailing orders do not exist at the exchange; move a Stop order yourself"
    for word in PRICES[TYPES[asked.get("exectype")]]:
        price = asked.get(word)
        if price is not None and not 0 < price < math.inf:
            return f"{word} is {price}; it must be a number above 0"
    if asked.get("exectype") == bt.Order.StopLimit and None in (asked.get("price"), asked.get("plimit")):
        return "a StopLimit order needs price, where it is triggered, and plimit, the price of its limit order"
    return None


def new_order(kind: type[bt.Order], owner: Any, data: Any, size: float, asked: Mapping[str, Any]) -> bt.Order:
    """Backtrader's own order object, also for words that will be refused."""
    fields = {name: asked[name] for name in ("price", "valid") if asked.get(name) is not None}
    order = kind(
        owner=owner,
        data=data,
        size=size,
        simulated=False,
        pricelimit=asked.get("plimit"),
        tradeid=asked.get("tradeid") or 0,
        **fields,
    )
    # Given to the constructor, a trailing type would be computed with, and fail for want of numbers.
    order.exectype = bt.Order.Market if asked.get("exectype") is None else asked["exectype"]
    return order


def order_terms(order: bt.Order, asked: Mapping[str, Any]) -> OrderTerms:
    """What is to be sent. As in Backtrader, a limit or stop without a price takes the last close."""
    created, until_ms = order.created, _valid_until_ms(order.data, asked.get("valid"))
    match TYPES[asked.get("exectype")]:
        case "limit":
            return OrderTerms("limit", created.price, None, until_ms)
        case "stop":
            return OrderTerms("stop", None, created.price, until_ms)
        case "stop_limit":
            return OrderTerms("stop_limit", created.pricelimit, created.price, until_ms)
        case _:
            return OrderTerms("market", None, None, until_ms)


def _valid_until_ms(data: Any, valid: Any) -> int | None:
    """Backtrader's ``valid``: a moment, a time from the bar on, a day number, or 0 for the end of the bar's day."""
    if valid is None:
        return None
    if isinstance(valid, datetime.date):
        return num_to_ms(data.date2num(valid))
    if not valid:
        return num_to_ms(float(int(data.datetime[0]) + 1))
    if isinstance(valid, datetime.timedelta):
        return num_to_ms(data.datetime[0]) + round(valid.total_seconds() * 1000)
    return num_to_ms(float(valid))
