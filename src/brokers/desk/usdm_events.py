"""Binance USD-M futures: the user stream's events."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.desk.core import Core, Progress
from brokers.desk.orders import WIRE_TYPES, average, is_conditional
from brokers.desk.params import plain
from brokers.desk.usdm_trading import TO_WIRE
from brokers.simulated.orders import Order
from ccxt_bt_bridge.words import Fill, FundingPayment

Event = dict[str, Any]


class UsdmEvents:
    def __init__(self, core: Core) -> None:
        self._core = core

    def order(self, order: Order, execution: str) -> list[Event]:
        """``execution``: NEW, CANCELED, EXPIRED or REJECTED, which is also the order's status."""
        if execution == "NEW" and is_conditional(order):
            return [self._algo(order, "NEW")]
        if order.waits_for_trigger or (is_conditional(order) and not order.is_triggered):
            return [self._algo(order, execution)]
        finished = [self._algo(order, "FINISHED")] if is_conditional(order) else []
        done = Progress(Decimal(0), Decimal(0)) if execution == "NEW" else Progress(order.filled, order.value)
        return [self._update(order, done, execution=execution, status=execution, time_ms=order.time_ms), *finished]

    def triggered(self, order: Order) -> list[Event]:
        """The conditional order is done waiting, and a new ordinary one appears."""
        nothing = Progress(Decimal(0), Decimal(0))
        placed = self._update(order, nothing, execution="NEW", status="NEW", time_ms=order.time_ms)
        return [self._algo(order, "TRIGGERED"), placed]

    def fill(self, fill: Fill, order: Order) -> list[Event]:
        """The account first, then the trade, as the exchange sends them."""
        done = self._core.progress(fill)
        status = "FILLED" if done.amount == order.request.amount else "PARTIALLY_FILLED"
        trade = self._update(order, done, execution="TRADE", status=status, time_ms=fill.time_ms)
        trade["o"] |= {
            "l": plain(fill.amount), "L": plain(fill.price), "t": int(fill.trade_id), "n": plain(fill.fee),
            "N": self._core.market(fill.symbol).quote, "m": self._core.venue.is_maker(fill.trade_id),
        }  # fmt: skip
        finished = [self._algo(order, "FINISHED")] if status == "FILLED" and is_conditional(order) else []
        return [self._account("ORDER", fill.symbol, fill.time_ms), trade, *finished]

    def funding(self, payment: FundingPayment) -> list[Event]:
        return [self._account("FUNDING_FEE", payment.symbol, payment.time_ms, change=payment.amount)]

    def _update(self, order: Order, done: Progress, *, execution: str, status: str, time_ms: int) -> Event:
        request, kind = order.request, WIRE_TYPES[order.request.type]
        price = done.value / done.amount if done.amount else Decimal(0)
        return {
            "e": "ORDER_TRADE_UPDATE", "E": self._core.now_ms(), "T": time_ms,
            "o": {
                "s": request.symbol, "c": request.client_order_id, "S": request.side.value.upper(), "o": kind,
                "f": TO_WIRE[request.time_in_force], "q": plain(request.amount), "p": plain(request.price),
                "ap": plain(price), "sp": plain(request.trigger_price), "x": execution, "X": status,
                "i": order.order_id, "l": "0", "z": plain(done.amount), "L": "0", "T": time_ms, "t": 0, "b": "0",
                "a": "0", "m": False, "R": request.reduce_only, "wt": "CONTRACT_PRICE", "ot": kind, "ps": "BOTH",
                "cp": False, "rp": "0", "pP": False, "si": 0, "ss": 0, "V": "NONE", "pm": "NONE", "gtd": 0,
            },
        }  # fmt: skip

    def _algo(self, order: Order, status: str) -> Event:
        request, was_triggered = order.request, status in ("TRIGGERED", "FINISHED")
        return {
            "e": "ALGO_UPDATE", "E": self._core.now_ms(), "T": order.time_ms,
            "o": {
                "caid": request.client_order_id, "aid": order.order_id, "at": "CONDITIONAL",
                "o": WIRE_TYPES[request.type], "s": request.symbol, "S": request.side.value.upper(), "ps": "BOTH",
                "f": TO_WIRE[request.time_in_force], "q": plain(request.amount), "X": status,
                "ai": str(order.order_id) if was_triggered else "", "ap": plain(average(order)),
                "aq": plain(order.filled), "act": WIRE_TYPES[request.type], "tp": plain(request.trigger_price),
                "p": plain(request.price), "V": "NONE", "wt": "CONTRACT_PRICE", "pm": "NONE", "cp": False,
                "pP": False, "R": request.reduce_only, "tt": order.time_ms if was_triggered else 0, "gtd": 0, "rm": "",
            },
        }  # fmt: skip

    def _account(self, reason: str, symbol: str, time_ms: int, *, change: Decimal = Decimal(0)) -> Event:
        position, wallet = self._core.venue.position(symbol), plain(self._core.venue.balances()[0].total)
        balance = {"a": self._core.quote, "wb": wallet, "cw": wallet, "bc": plain(change)}
        entry = plain(position.entry_price)
        row = {
            "s": symbol, "pa": plain(position.amount), "ep": entry, "bep": entry, "cr": "0",
            "up": plain(position.unrealised), "mt": position.margin_mode, "iw": "0", "ps": "BOTH",
        }  # fmt: skip
        return {
            "e": "ACCOUNT_UPDATE", "E": self._core.now_ms(), "T": time_ms,
            "a": {"m": reason, "B": [balance], "P": [row] if reason == "ORDER" else []},
        }  # fmt: skip
