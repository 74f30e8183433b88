"""A run in a journal as a ``RunResult``, also while the bot runs.

RunUnknown    the journal has no such run: stop and tell the person
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from ccxt_bt_bridge.words import Fill
from pairs.words import PairState
from trading.config.model import LoadedConfig
from trading.execution.pair_ledger import PairLedger
from trading.journal.reads import JournalReads
from trading.journal.words import Run, restored_position
from trading.provenance import library_versions
from trading.records import OpenRecord, Provenance, RunResult
from trading.risk.state import GUARD_KEY
from trading.run_facts import read_facts
from trading.run_terms import OPENING_EQUITY, RUN_KEY
from trading.utc_text import parse_utc

ZERO = Decimal(0)


class RunUnknown(Exception):
    """No such run; the message says which there are."""


def run_of(journal: JournalReads, number: int | None, name: str) -> Run:
    """The run of this number, the newest for None. ``name``: of the bot. Raises RunUnknown."""
    runs = journal.runs()
    if not runs:
        raise RunUnknown(f"the journal of {name} has no run: start the bot first")
    found = next((run for run in runs if run.number == number), None) if number is not None else runs[-1]
    if found is None:
        known = f"run {runs[0].number}" if len(runs) == 1 else f"runs {runs[0].number} to {runs[-1].number}"
        raise RunUnknown(f"{name} has no run {number}; its journal has {known}")
    return found


def run_result(
    journal: JournalReads, config: LoadedConfig, run: Run, prices: Mapping[str, float] | None = None
) -> RunResult:
    """What the journal knows of a run. ``prices``: closes at its end by symbol, for what is still open.

    Without prices open pairs stand at their entry prices, and the result says so.
    """
    equity = journal.equity(run.number)
    trades = journal.trades(run.number)
    still_open = _open_records(journal, config, run, prices or {})
    is_newest = run.number == journal.runs()[-1].number
    start = _opening_equity(journal, run, equity, sum((trade.pnl for trade in trades), ZERO), is_newest=is_newest)
    closed = start + sum((trade.pnl for trade in trades), ZERO)
    unrealised = sum((record.unrealised for record in still_open), ZERO)
    fills = journal.fills_of_run(run.number)
    facts = read_facts(journal, run.number)
    end = equity[-1][0] if equity else run.ended
    guard = journal.risk_state(GUARD_KEY) or {} if is_newest else {}
    return RunResult(
        config=config.name,
        mode=config.model.broker.type,
        bars=run.bars,
        start=facts.start or run.started,
        end=end or run.started,
        bar_hours=config.model.bar_hours,
        equity_start=start,
        equity_end=_decimal(equity[-1][1]) if equity and not is_newest else closed + unrealised,
        trades=trades,
        open=still_open,
        refused=journal.refusals(run.number),
        equity=equity,
        bars_in_position=_bars_held(equity, [(t.entry_time, t.exit_time) for t in trades], still_open),
        turnover_notional=sum((fill.amount * fill.price for fill in fills), ZERO),
        signals=run.signals,
        notes=(*facts.notes, *_notes(still_open, prices)),
        risk_trips=tuple((parse_utc(when), reason) for when, reason in guard.get("trips", ())),
        provenance=Provenance(run.config_sha256, run.code_version, run.terms or {}, library_versions(), facts.data),
    )


def _opening_equity(
    journal: JournalReads, run: Run, equity: Sequence[tuple[datetime, float]], profit: Decimal, *, is_newest: bool
) -> Decimal:
    """As written down; in a run of before it was, its last equity less its profit (nothing open), or its first."""
    if run.opening_equity is not None:
        return run.opening_equity
    known = journal.risk_state(RUN_KEY) or {}
    if is_newest and OPENING_EQUITY in known:
        return Decimal(known[OPENING_EQUITY])
    if not equity:
        return ZERO
    return _decimal(equity[-1][1]) - profit if run.ended is not None else _decimal(equity[0][1])


def _open_records(
    journal: JournalReads, config: LoadedConfig, run: Run, prices: Mapping[str, float]
) -> tuple[OpenRecord, ...]:
    """Of the newest run: its pairs' fills and funding booked anew. A new run begins flat, and forgets the former's."""
    if run.number != journal.runs()[-1].number:
        return ()
    ledger = PairLedger(ZERO, {pair.pair_id: pair for pair in config.pairs})
    for stored in journal.positions().values():
        if stored.state is PairState.FLAT:
            continue
        position, ref = restored_position(stored), stored.payload["ref"]
        ledger.restore(position, legging_cost=Decimal(stored.payload["legging_cost"]))
        for fill in journal.fills_of(stored.pair_id, ref, run.number):
            _apply(ledger, stored.pair_id, fill, journal)
        for payment in journal.funding_of(stored.pair_id, run.number):
            if payment.time_ms >= position.entry_time.timestamp() * 1000:
                ledger.apply_funding(stored.pair_id, payment.symbol, payment.amount)
    return ledger.open_records(prices)


def _apply(ledger: PairLedger, pair_id: str, fill: Fill, journal: JournalReads) -> None:
    reference = journal.reference_price(fill.client_order_id)
    ledger.apply_fill(
        pair_id, fill.symbol, fill.position_change, fill.price, fee=fill.fee, reference_price=reference or fill.price
    )


def _bars_held(
    equity: Sequence[tuple[datetime, float]],
    held: Sequence[tuple[datetime, datetime]],
    still_open: Sequence[OpenRecord],
) -> int:
    """Bars in a position: from the one after the decision to enter to the one of the decision to leave."""
    spans = sorted([*held, *((record.entry_time, equity[-1][0]) for record in still_open if equity)])
    times, count, at = [time for time, _ in equity], 0, 0
    until = None
    for entry, leave in spans:
        while at < len(times) and times[at] <= max(entry, until or entry):
            at += 1
        before = at
        while at < len(times) and times[at] <= leave:
            at += 1
        count += at - before
        until = leave if until is None else max(until, leave)
    return count


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))


def _notes(still_open: Sequence[OpenRecord], prices: Mapping[str, float] | None) -> tuple[str, ...]:
    if still_open and prices is None:
        return ("open pairs stand at their entry prices: the bars of this run are not at hand",)
    return ()
