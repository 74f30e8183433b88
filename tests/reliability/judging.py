"""What is wrong once a bot has come to rest: every invariant, over the exchange, the ledger and the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from pairs.words import PairState
from tests.reliability.places import Place
from tests.trading.execution.engine_rig import Rig, booked_trades
from trading.events import Alarm

D = Decimal
LONGEST_UNHEDGED_S = 60.0
DUST = "too little to be closed"


def judge(place: Place, *, pairs: Iterable[str] = ("A_B",), longest_s: float = LONGEST_UNHEDGED_S) -> None:
    """Every invariant of a bot that has come to rest; what is broken goes to ``place.violations``."""
    rig = place.lives[-1]
    _no_duplicates(place, rig)
    _no_lost_fill(place, rig)
    _ledger_is_exchange(place, rig)
    _hedged(place, rig, longest_s)
    _money_adds_up(place, rig)
    _exits_only_reduce(place, rig)
    _all_ended(place, rig, pairs)


def _no_duplicates(place: Place, rig: Rig) -> None:
    placed = Counter(place.store.placed)
    known = {intent.client_order_id for intent in rig.intents()} | set(place.taken_from)
    for client_id in {one for counted in (placed, place.sent) for one, times in counted.items() if times > 1}:
        place.blame("I1", f"{client_id} was sent {place.sent[client_id]} times and placed {placed[client_id]} times")
    for client_id in placed.keys() - known:
        place.blame("I1", f"{client_id} is an order without an intent")


def _no_lost_fill(place: Place, rig: Rig) -> None:
    fills = place.exchange.venue.fills
    booked = Counter(booked_trades(rig.journal))
    traded = Counter(fill.trade_id for fill in fills)
    if booked != traded:
        place.blame("I2", f"booked {sorted(booked.elements())}, traded {sorted(traded.elements())}")
    filled = {intent.client_order_id: intent.filled for intent in rig.intents()}
    for fill in (fill for fill in fills if fill.client_order_id not in place.taken_from):
        filled[fill.client_order_id] = filled.get(fill.client_order_id, D(0)) - fill.amount
    if any(filled.values()):
        place.blame("I2", f"intents and trades differ: { {one: left for one, left in filled.items() if left} }")


def _ledger_is_exchange(place: Place, rig: Rig) -> None:
    kept = rig.journal.ledger()
    for symbol in place.exchange.source.symbols:
        at_exchange, ours = place.held(symbol), rig.ledger.net(symbol) + rig.engine.foreign.amount(symbol)
        if not ours == kept.get(symbol, D(0)) == at_exchange:
            text = f"{symbol}: ledger {ours}, journal {kept.get(symbol)}, exchange {at_exchange}"
            place.blame("I3", text)


def _hedged(place: Place, rig: Rig, longest_s: float) -> None:
    place.unhedged.close(_told_s(place, rig))
    if place.unhedged.worst_s > longest_s:
        place.blame("I4", f"a leg was unhedged for {place.unhedged.worst_s:.1f} s")
    for ref in place.unhedged.unhedged_refs:
        place.blame("I4", f"{ref} ended unhedged")


def _money_adds_up(place: Place, rig: Rig) -> None:
    """Cash is exact: what every fill, fee and payment says, and what the exchange's wallet holds."""
    ledger, account = rig.ledger, place.exchange.venue.account.ledger
    ours = ledger.equity_start + sum((trade.pnl for trade in ledger.trades), D(0))
    for pair_id in ledger.open_pairs:
        legs = ledger._holdings[pair_id].legs.values()
        ours += sum((leg.cash + leg.fees + leg.funding for leg in legs), D(0))
    theirs = account.wallet - sum((position.cost for position in account.positions), D(0))
    if ours != theirs:
        place.blame("I5", f"our cash is {ours}, the exchange's {theirs}")


def _exits_only_reduce(place: Place, rig: Rig) -> None:
    intents = {intent.client_order_id: intent for intent in rig.intents()}
    held: Counter[tuple[str, str]] = Counter()
    for fill in place.exchange.venue.fills:
        intent = intents.get(fill.client_order_id)
        if intent is None:
            held[place.taken_from[fill.client_order_id], fill.symbol] += fill.signed_amount
            continue
        before = held[intent.ref, fill.symbol]
        after = held[intent.ref, fill.symbol] = before + fill.signed_amount
        is_ours = intent.filled <= intent.amount  # the exchange alone can fill more than was asked for
        if intent.action != "enter" and is_ours and not (abs(after) <= abs(before) and before * after >= 0):
            place.blame("I7", f"{fill.client_order_id} took {fill.symbol} from {before} to {after}")


def _all_ended(place: Place, rig: Rig, pairs: Iterable[str]) -> None:
    for intent in rig.journal.unresolved_intents():
        place.blame("I11", f"{intent.client_order_id} has no end")
    for pair in pairs:
        is_left_to_a_person = rig.state(pair) is PairState.HALTED and pair in _told_s(place, rig)
        if rig.state(pair).is_busy and not is_left_to_a_person:
            place.blame("I11", f"{pair} is still {rig.state(pair)}")


def _told_s(place: Place, rig: Rig) -> dict[str, list[float]]:
    """Pairs that are left to a person, or have left a rest that nobody can order, and when that was told."""
    alarms = [event for life in place.lives for event in life.of(Alarm) if event.pair_id]
    now_s, now = place.unhedged.now(), rig.now
    told: dict[str, list[float]] = {}
    for event in alarms:
        is_halted = event.critical and rig.state(event.pair_id) is PairState.HALTED
        if is_halted or DUST in event.message:
            told.setdefault(event.pair_id, []).append(now_s - (now - event.time).total_seconds())
    return told
