"""A bot's trades as an accountant wants them: a row a fill and payment, a leg, or a pair, exact to the last digit.

The ``pnl`` of the rows of a trade sums to the trade's own. A closing fill's profit is by the average price of what it
closes, within its own trade.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.bt_time import datetime_to_ms, ms_to_datetime
from ccxt_bt_bridge.words import Fill, FundingPayment
from pairs.symbols import base_currency, quote_currency
from pairs.words import entry_ref
from trading.journal.reads import JournalReads
from trading.records import LegRecord, TradeRecord

ZERO = Decimal(0)
FINEST = Decimal("1e-12")  # of a share of the cost, so that sums stay exact

Row = tuple[object, ...]

FILL_COLUMNS = (
    "time",
    "kind",
    "symbol",
    "side",
    "quantity",
    "price",
    "quote_value",
    "fee",
    "fee_currency",
    "fee_quote",
    "funding",
    "pnl_price",
    "pnl",
    "pair_id",
    "entry_time",
    "order_id",
    "trade_id",
    "run",
)
LEG_COLUMNS = (
    "entry_time",
    "exit_time",
    "pair_id",
    "symbol",
    "side",
    "quantity",
    "entry_price",
    "exit_price",
    "pnl_price",
    "fees",
    "funding",
    "pnl",
    "slippage",
    "run",
)
PAIR_COLUMNS = (
    "entry_time",
    "exit_time",
    "pair_id",
    "direction",
    "entry_z",
    "exit_z",
    "exit_reason",
    "pnl_price",
    "pnl_fees",
    "pnl_funding",
    "pnl",
    "legging_cost",
    "run",
)


@dataclass(frozen=True, slots=True)
class Period:
    """Both ends included; None: open."""

    start: datetime | None = None
    end: datetime | None = None

    def __contains__(self, when: datetime) -> bool:
        return (self.start is None or when >= self.start) and (self.end is None or when <= self.end)


def pair_rows(trades: Iterable[TradeRecord], run: int | None, period: Period) -> Iterator[Row]:
    """Under ``PAIR_COLUMNS``: trades that were left within the period."""
    for trade in trades:
        if trade.exit_time in period:
            head = (trade.entry_time, trade.exit_time, trade.pair_id, trade.direction)
            why = (trade.entry_z, trade.exit_z, trade.exit_reason)
            yield (*head, *why, *_parts(trade), trade.pnl, trade.legging_cost, run)


def leg_rows(trades: Iterable[TradeRecord], run: int | None, period: Period) -> Iterator[Row]:
    """Under ``LEG_COLUMNS``."""
    for trade in trades:
        if trade.exit_time in period:
            yield from (_leg_row(trade, leg, run) for leg in trade.legs)


def fill_rows(journal: JournalReads, run: int, period: Period) -> Iterator[Row]:
    """Under ``FILL_COLUMNS``, in order of time: fills, funding, and what was written off of a trade."""
    trades = {(trade.pair_id, trade.entry_time): trade for trade in journal.trades(run)}
    lines: list[dict[str, Any]] = []
    for (pair_id, entry_time), booking in _bookings(journal, run).items():
        common = {"pair_id": pair_id, "entry_time": entry_time, "run": run}
        lines += [line | common for line in booking.lines(trades.get((pair_id, entry_time)))]
    lines.sort(key=lambda line: line["time"])
    return (tuple(line.get(name) for name in FILL_COLUMNS) for line in lines if line["time"] in period)


class _Booking:
    """One trade's fills and funding, by leg; the cost of what is held follows each fill."""

    def __init__(self) -> None:
        self._held: dict[str, Decimal] = {}
        self._cost: dict[str, Decimal] = {}
        self._lines: list[dict[str, Any]] = []
        self._realised = ZERO

    def fill(self, fill: Fill) -> None:
        profit = self._book(fill.symbol, fill.position_change, fill.price)
        self._realised += profit
        in_base = bool(fill.base_fee)
        self._lines.append(
            {
                "time": ms_to_datetime(fill.time_ms),
                "kind": "fill",
                "symbol": fill.symbol,
                "side": fill.side.value,
                "quantity": fill.amount,
                "price": fill.price,
                "quote_value": fill.amount * fill.price,
                "fee": fill.base_fee if in_base else fill.fee,
                "fee_currency": base_currency(fill.symbol) if in_base else quote_currency(fill.symbol),
                "fee_quote": fill.fee,
                "pnl_price": profit,
                "pnl": profit - fill.fee,
                "order_id": fill.order_id,
                "trade_id": fill.trade_id,
            }
        )

    def funding(self, payment: FundingPayment) -> None:
        self._lines.append(
            {
                "time": ms_to_datetime(payment.time_ms),
                "kind": "funding",
                "symbol": payment.symbol,
                "funding": payment.amount,
                "pnl": payment.amount,
                "trade_id": payment.payment_id,
            }
        )

    def lines(self, trade: TradeRecord | None) -> list[dict[str, Any]]:
        """With what is left of a closed ``trade``: too small to close, it counts as lost, without a fill."""
        left = [symbol for symbol, held in self._held.items() if held]
        if trade is None or not left:
            return self._lines
        lost = trade.pnl_price - self._realised
        row = {"time": trade.exit_time, "kind": "written_off", "symbol": " ".join(left), "pnl_price": lost, "pnl": lost}
        return [*self._lines, row]

    def _book(self, symbol: str, change: Decimal, price: Decimal) -> Decimal:
        """The profit on what the fill closes: by its share of the cost, the last one by all that is left of it."""
        held, cost = self._held.get(symbol, ZERO), self._cost.get(symbol, ZERO)
        if held * change >= 0:
            self._held[symbol], self._cost[symbol] = held + change, cost + change * price
            return ZERO
        closed = -change if abs(change) <= abs(held) else held
        given = cost if closed == held else (cost * closed / held).quantize(FINEST)
        over = change + closed
        self._held[symbol], self._cost[symbol] = held - closed + over, cost - given + over * price
        return closed * price - given


def _bookings(journal: JournalReads, run: int) -> dict[tuple[str, datetime], _Booking]:
    """By pair and time of the decision to enter, which names every order of a trade."""
    found: dict[tuple[str, datetime], _Booking] = {}
    entries = _entries(journal, run)
    for (pair_id, ref), fills in journal.fills_by_ref(run).items():
        entry = entries.get((pair_id, ref)) or ms_to_datetime(fills[0].time_ms)
        booking = found.setdefault((pair_id, entry), _Booking())
        for fill in sorted(fills, key=lambda one: one.time_ms):
            booking.fill(fill)
    for pair_id in {pair_id for pair_id, _ in found}:
        of_pair = sorted(entry for pair, entry in found if pair == pair_id)
        for payment in journal.funding_of(pair_id, run):
            before = [entry for entry in of_pair if datetime_to_ms(entry) <= payment.time_ms]
            found[(pair_id, before[-1] if before else of_pair[0])].funding(payment)
    return found


def _entries(journal: JournalReads, run: int) -> dict[tuple[str, str], datetime]:
    known = [(trade.pair_id, trade.entry_time) for trade in journal.trades(run)]
    known += [(decision.pair_id, decision.time) for decision in journal.entry_decisions(run)]
    return {(pair_id, entry_ref(pair_id, time)): time for pair_id, time in known}


def _leg_row(trade: TradeRecord, leg: LegRecord, run: int | None) -> Row:
    side = "long" if leg.quantity > 0 else "short"
    prices = (abs(leg.quantity), leg.entry_price, leg.exit_price)
    pnl = leg.pnl_price + leg.fees + leg.funding
    head = (trade.entry_time, trade.exit_time, trade.pair_id, leg.symbol, side)
    return (*head, *prices, leg.pnl_price, leg.fees, leg.funding, pnl, leg.slippage, run)


def _parts(trade: TradeRecord) -> tuple[Decimal, ...]:
    return trade.pnl_price, trade.pnl_fees, trade.pnl_funding
