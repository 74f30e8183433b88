"""Binance spot: the user stream's events."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.desk.core import Core, Progress
from brokers.desk.params import plain
from brokers.desk.spot_trading import wire_type
from brokers.simulated.orders import Order
from ccxt_bt_bridge.words import Fill, FundingPayment

Event = dict[str, Any]


class SpotEvents:
    def __init__(self, core: Core) -> None:
        self._core = core

    def order(self, order: Order, execution: str) -> list[Event]:
        """``execution``: NEW, CANCELED, EXPIRED or REJECTED, which is also the order's status.

        What an order locks or gives back, the balances after it tell.
        """
        done = Progress(Decimal(0), Decimal(0)) if execution == "NEW" else Progress(order.filled, order.value)
        report = self._report(order, done, execution=execution, status=execution, time_ms=order.time_ms)
        locks = order.request.type != "market" and execution != "REJECTED"
        return [report, self._balances(order.time_ms)] if locks else [report]

    def triggered(self, order: Order) -> list[Event]:
        """Nothing: on spot a stop is one order from its placing to its end."""
        return []

    def fill(self, fill: Fill, order: Order) -> list[Event]:
        """The trade, then the balances it left."""
        done = self._core.progress(fill)
        status = "FILLED" if done.amount == order.request.amount else "PARTIALLY_FILLED"
        trade = self._report(order, done, execution="TRADE", status=status, time_ms=fill.time_ms)
        commission, asset = self._core.commission(fill)
        trade |= {
            "l": plain(fill.amount), "L": plain(fill.price), "Y": plain(fill.amount * fill.price),
            "n": plain(commission), "N": asset, "t": int(fill.trade_id), "m": self._core.venue.is_maker(fill.trade_id),
        }  # fmt: skip
        return [trade, self._balances(fill.time_ms)]

    def funding(self, payment: FundingPayment) -> list[Event]:
        return []

    def _report(self, order: Order, done: Progress, *, execution: str, status: str, time_ms: int) -> Event:
        request = order.request
        # A cancel has an id of its own; the order's then stands in C.
        ids = (f"cancel-{order.order_id}", request.client_order_id) if execution == "CANCELED" else (
            request.client_order_id, "")  # fmt: skip
        return {
            "e": "executionReport", "E": self._core.now_ms(), "s": request.symbol, "c": ids[0], "C": ids[1],
            "S": request.side.value.upper(), "o": wire_type(order),
            "f": "GTC" if request.time_in_force == "PO" else request.time_in_force, "q": plain(request.amount),
            "p": plain(request.price), "P": plain(request.trigger_price), "F": "0", "g": -1, "x": execution,
            "X": status, "r": "NONE", "i": order.order_id, "l": "0", "z": plain(done.amount), "L": "0", "n": "0",
            "N": None, "T": time_ms, "t": -1, "w": execution == "NEW", "m": False, "O": order.created_ms,
            "Z": plain(done.value), "Y": "0", "Q": "0", "W": order.time_ms, "V": "NONE",
        }  # fmt: skip

    def _balances(self, time_ms: int) -> Event:
        rows = [{"a": row["asset"], "f": row["free"], "l": row["locked"]} for row in self._core.spot_balances()]
        return {"e": "outboundAccountPosition", "E": self._core.now_ms(), "u": time_ms, "B": rows}
