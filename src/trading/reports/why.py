"""Why a trade went as it did, or why there was none: each step in the order of time, from the journal alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.words import Fill
from pairs.words import entry_ref
from trading.journal.reads import JournalReads
from trading.journal.words import Intent, IntentState, WireOutcome
from trading.records import Decision, TradeRecord
from trading.reports.attempts import LAST, Attempt, attempts, find_attempt, is_newest

BARS_BEFORE = 3
LONGEST_BAR = timedelta(days=1)
FOREVER = datetime.max.replace(tzinfo=UTC)

MEANINGS = {
    "hedge_failed": "the second leg could not be had in time, so that the first was given back",
    "partial_fill": "too little of the first leg was filled to be worth hedging, and it was given back",
    "overfilled": "the exchange filled more than it was asked for, and the pair was closed",
    "absent": "the order never reached the exchange",
}


@dataclass(frozen=True, slots=True)
class Step:
    """``kind``: bar, rule, risk, intent, wire, fill, funding or result. ``text`` is whole without the rest."""

    time: datetime
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """``verdict`` is the whole story in a sentence; ``trade`` None when nothing was closed."""

    pair_id: str
    run: int
    time: datetime
    number: int | None
    verdict: str
    steps: tuple[Step, ...]
    trade: TradeRecord | None


def explain(journal: JournalReads, run: int, wanted: str = LAST) -> Explanation:
    """``wanted`` as ``find_attempt`` takes it. Raises NoSuchTrade and JournalError."""
    attempt = find_attempt(attempts(journal, run), wanted)
    intents = journal.intents_of(attempt.pair_id, entry_ref(attempt.pair_id, attempt.time), run)
    state = _state_now(journal, run, intents)
    until = FOREVER if state else _last_time(attempt, intents)
    steps = [
        *_bars(journal, attempt, run, until),
        *_risk(journal, attempt, run, has_intents=bool(intents)),
        *_orders(journal, attempt, run, intents),
        *_funding(journal, attempt, run),
        *_left(attempt),
    ]
    steps.sort(key=lambda step: step.time)  # stable: steps of one moment stay in the order above
    steps += _result(attempt, after=steps[-1].time if steps else attempt.time)
    return Explanation(
        pair_id=attempt.pair_id,
        run=run,
        time=attempt.time,
        number=attempt.number,
        verdict=f"not over: the pair is {state}" if state else _verdict(journal, attempt, run, intents),
        steps=tuple(steps),
        trade=attempt.trade,
    )


# what was seen and decided


def _bars(journal: JournalReads, attempt: Attempt, run: int, until: datetime) -> Iterator[Step]:
    since = attempt.time - BARS_BEFORE * LONGEST_BAR
    seen = journal.decisions_between(attempt.pair_id, since, until, run)
    before = [decision for decision in seen if decision.time < attempt.time][-BARS_BEFORE:]
    for decision in (*before, *(one for one in seen if one.time >= attempt.time)):
        yield Step(decision.time, "bar", _view(decision))
        yield Step(decision.time, "rule", _answer(decision))


def _view(decision: Decision) -> str:
    named = (("z", decision.zscore, "+.2f"), ("spread", decision.spread, ".6g"), ("hedge", decision.hedge_ratio, ".4g"))
    known = [f"{name} {value:{form}}" for name, value, form in named if value is not None]
    return ", ".join(known) or "no spread"


def _answer(decision: Decision) -> str:
    reason = "" if decision.reason in ("", decision.answer) else f", {decision.reason}"
    return f"{decision.rule}: {decision.answer}{reason}"


def _risk(journal: JournalReads, attempt: Attempt, run: int, *, has_intents: bool) -> Iterator[Step]:
    refused = [one for one in journal.refusals_at(attempt.pair_id, attempt.time, run)]
    for refusal in refused:
        yield Step(attempt.time, "risk", f"refused: {', '.join(refusal.reasons)}")
    if has_intents and not refused:
        yield Step(attempt.time, "risk", "passed: every limit had room for it")


# the orders


def _orders(journal: JournalReads, attempt: Attempt, run: int, intents: Sequence[Intent]) -> Iterator[Step]:
    ref = entry_ref(attempt.pair_id, attempt.time)
    fills = journal.fills_of(attempt.pair_id, ref, run)
    outcomes = journal.outcomes_of([intent.client_order_id for intent in intents])
    for intent in intents:
        own = [outcome for outcome in outcomes if outcome.client_order_id == intent.client_order_id]
        yield Step(ms_to_datetime(intent.created_ms), "intent", _intent(intent))
        yield from (_wire(outcome, intent) for outcome in own if not outcome.state.is_terminal)
        yield from (_fill(fill, intent) for fill in fills if fill.client_order_id == intent.client_order_id)
        yield from (_wire(outcome, intent) for outcome in own if outcome.state.is_terminal)


def _intent(intent: Intent) -> str:
    what = f"{intent.action} leg {intent.leg + 1}: {intent.side.value} {_plain(intent.amount)} {intent.symbol}"
    reduces = ", may only reduce" if intent.reduce_only else ""
    return f"{what}, decided at {intent.reference_price:.8g}{reduces} (order {intent.client_order_id})"


def _wire(outcome: WireOutcome, intent: Intent) -> Step:
    words = {
        IntentState.PLACED: "the exchange has it: ",
        IntentState.UNKNOWN: "uncertain whether it was placed; asked by its id, not sent again: ",
        IntentState.NOT_PLACED: "nothing was placed: ",
        IntentState.DONE: "done: ",
    }
    text = words.get(outcome.state, "") + MEANINGS.get(outcome.text, outcome.text)
    if outcome.state is IntentState.DONE:
        text += f", {_plain(intent.filled)} of {_plain(intent.amount)} {intent.symbol} filled"
    return Step(ms_to_datetime(outcome.time_ms), "wire", f"{intent.symbol}: {text}")


def _fill(fill: Fill, intent: Intent) -> Step:
    """Slippage: what the fill cost beside the price that was decided on."""
    slippage = -fill.signed_amount * (fill.price - Decimal(repr(intent.reference_price)))
    what = f"{fill.side.value} {_plain(fill.amount)} {fill.symbol} at {_plain(fill.price)}"
    return Step(ms_to_datetime(fill.time_ms), "fill", f"{what}, fee {_plain(fill.fee)}, slippage {slippage:+.4f}")


# money, and the end


def _funding(journal: JournalReads, attempt: Attempt, run: int) -> Iterator[Step]:
    """What fell due while it held something."""
    ref = entry_ref(attempt.pair_id, attempt.time)
    fills = journal.fills_of(attempt.pair_id, ref, run)
    if not fills:
        return
    since = min(fill.time_ms for fill in fills)
    until = max(fill.time_ms for fill in fills) if attempt.trade is not None else None
    for payment in journal.funding_of(attempt.pair_id, run):
        if payment.time_ms >= since and (until is None or payment.time_ms <= until):
            text = f"{payment.symbol}: {payment.amount:+.4f} at a rate of {float(payment.rate):.4%}"
            yield Step(ms_to_datetime(payment.time_ms), "funding", text)


def _left(attempt: Attempt) -> Iterator[Step]:
    trade = attempt.trade
    if trade is not None:
        z = "" if trade.exit_z is None else f" at z {trade.exit_z:+.2f}"
        yield Step(trade.exit_time, "rule", f"left{z}: {_meant(trade.exit_reason)}")


def _result(attempt: Attempt, *, after: datetime) -> Iterator[Step]:
    trade = attempt.trade
    if trade is not None:
        parts = f"price {_money(trade.pnl_price)}, fees {_money(trade.pnl_fees)}, funding {_money(trade.pnl_funding)}"
        yield Step(
            after, "result", f"{_money(trade.pnl)} = {parts}; inside price: legging {_money(trade.legging_cost)}"
        )


def _verdict(journal: JournalReads, attempt: Attempt, run: int, intents: Sequence[Intent]) -> str:
    trade = attempt.trade
    if trade is not None:
        z = "" if trade.entry_z is None else f" at z {trade.entry_z:+.2f}"
        return f"{trade.direction}{z}, left: {_meant(trade.exit_reason)}; {_money(trade.pnl)} after fees and funding"
    refused = [reason for one in journal.refusals_at(attempt.pair_id, attempt.time, run) for reason in one.reasons]
    if refused:
        return f"not entered: {', '.join(refused)}"
    if intents:
        return "came to nothing: no order was filled"
    return "came to nothing: no order of it was written down, so none was sent; the log has the reason"


def _state_now(journal: JournalReads, run: int, intents: Sequence[Intent]) -> str:
    """Of a pair that still holds what these orders brought it; empty for what is over."""
    stored = journal.positions().get(intents[0].pair_id) if intents and is_newest(journal, run) else None
    return stored.state.value if stored is not None and stored.payload.get("ref") == intents[0].ref else ""


def _meant(reason: str) -> str:
    meaning = next((MEANINGS[word] for word in reason.split(":") if word in MEANINGS), "")
    return f"{reason}, {meaning}" if meaning else reason


def _last_time(attempt: Attempt, intents: Sequence[Intent]) -> datetime:
    """When it was left; without a trade when its last order was sent, the decision itself without one."""
    if attempt.trade is not None:
        return attempt.trade.exit_time
    return max([attempt.time, *(ms_to_datetime(intent.created_ms) for intent in intents)])


def _money(value: Decimal) -> str:
    text = f"{value:+,.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
