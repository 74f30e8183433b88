"""Pairs under way: their entry orders, their states on disk, and what is told of them."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from datetime import datetime

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from pairs.words import PairOrder, PairPosition, PairState
from trading.events import Alarm, EntryRefused, EventBus, OrderFailed, PairClosed, PairOpened
from trading.execution.pair_ledger import PairLedger
from trading.journal.errors import JournalUnwritable
from trading.journal.words import position_payload
from trading.journal.writer import Journal
from trading.records import RefusalRecord
from trading.risk.state import GUARD_KEY, RiskNotice
from trading.risk_guard import Breaker, RiskGuard


class PairBook:
    """The state of a pair is in the journal before anything is sent for it.

    ``robbed``: pairs of which somebody else has closed a part, and how it is told: what is left of them goes too.
    """

    def __init__(self, *, journal: Journal, ledger: PairLedger, guard: RiskGuard, bus: EventBus, clock: Clock) -> None:
        self.ledger, self.guard, self.bus = ledger, guard, bus
        self._journal, self._clock = journal, clock
        self._entries: dict[str, PairOrder] = {}
        self.robbed: dict[str, str] = {}
        self._adds = True
        guard.add_listener(self._on_risk)

    def close(self) -> None:
        """The guard may outlive it."""
        self.guard.remove_listener(self._on_risk)

    def stop_adding(self) -> None:
        """From now on what is half-done is finished, and nothing more begins."""
        self._adds = False

    def reasons_against_adding(self) -> tuple[str, ...]:
        """Why nothing may be made larger than it is now, empty when it may."""
        if self.guard.breaker is not Breaker.CLOSED:
            return (f"breaker_{self.guard.state.breaker}:{self.guard.state.breaker_reason}",)
        return () if self._adds else ("stopping",)

    def adopt(self, entry: PairOrder) -> None:
        """Recovery: the entry order of a pair that an earlier process held."""
        self._entries[entry.pair_id] = entry
        self.guard.adopt(entry, is_open=self.ledger.state(entry.pair_id) is PairState.OPEN)

    def entry(self, pair_id: str) -> PairOrder:
        return self._entries[pair_id]

    def knows(self, pair_id: str) -> bool:
        return pair_id in self._entries

    def begin(self, order: PairOrder) -> None:
        """An approved entry: the pair is ENTERING, with nothing filled yet."""
        self._entries[order.pair_id] = order
        self.ledger.begin(order)
        with self._journal.transaction():
            self._journal.save_risk_state(GUARD_KEY, self.guard.snapshot())
            self._save(order.pair_id)

    def has_filled(self, order: PairOrder) -> bool:
        """It holds something now."""
        return any(self.ledger.quantity(order.pair_id, leg.symbol) for leg in order.legs)

    def set_state(self, pair_id: str, state: PairState) -> None:
        self.ledger.set_state(pair_id, state)
        self._save(pair_id)

    def opened(self, order: PairOrder) -> None:
        """Where a disk refuses it, the pair is still under way: nobody has been told that it is open."""
        before = self.ledger.state(order.pair_id)
        try:
            self.set_state(order.pair_id, PairState.OPEN)
        except JournalUnwritable:
            self.ledger.set_state(order.pair_id, before)
            raise
        position = self.ledger.position(order.pair_id)
        assert position is not None
        self.guard.entry_opened()
        self.bus.publish(PairOpened(self.now(), order, position))

    def drop(self, order: PairOrder, reason: str) -> None:
        """Nothing ever filled: the pair is flat, as before."""
        self._journal.save_position(order.pair_id, PairState.FLAT, {})
        self.guard.entry_failed(order.pair_id, reason, self.now())
        self.forget(order)
        self.fail(order, reason)

    def forget(self, order: PairOrder) -> None:
        if self._entries.pop(order.pair_id, None) is not None:
            self.robbed.pop(order.pair_id, None)
            self.ledger.finish(order.pair_id)
            self.guard.release(order.pair_id)

    def at_once(self) -> AbstractContextManager[None]:
        """All that is written inside is on disk together, or none of it."""
        return self._journal.transaction()

    def write_closed(self, pair_id: str) -> None:
        """That a pair is flat, inside the caller's transaction; ``closed`` follows when that is on disk."""
        trade = self.ledger.trade_of(pair_id)
        when, _, reason = self.ledger.exit_of(pair_id)
        self.guard.pair_left(pair_id, reason, when or self.now())
        self._journal.save_risk_state(GUARD_KEY, self.guard.snapshot())
        if trade is not None:
            self._journal.save_trade(trade)
        self._journal.save_position(pair_id, PairState.FLAT, {})

    def closed(self, pair_id: str, order: PairOrder | None) -> None:
        trade = self.ledger.finish(pair_id)
        self._entries.pop(pair_id, None)
        self.robbed.pop(pair_id, None)
        if trade is not None:
            self.bus.publish(PairClosed(self.now(), trade, order))

    def refuse(self, order: PairOrder, reasons: tuple[str, ...]) -> None:
        self._journal.record_refusal(RefusalRecord(order.decided_at, order.pair_id, reasons))
        self.bus.publish(EntryRefused(self.now(), order, reasons))

    def fail(self, order: PairOrder, reason: str) -> None:
        """The pair order came to nothing."""
        self.bus.publish(OrderFailed(self.now(), order, reason))

    def halt(self, reason: str) -> None:
        self.guard.halt(reason, self.now())

    def alarm(self, message: str, pair_id: str | None, *, critical: bool = False) -> None:
        self.bus.publish(Alarm(self.now(), message, pair_id, critical))

    def now(self) -> datetime:
        return ms_to_datetime(self._clock.now_ms())

    def _on_risk(self, notice: RiskNotice) -> None:
        """On disk before it is told; a disk that refuses is told of by whoever sends."""
        with suppress(JournalUnwritable):
            self._journal.save_risk_state(GUARD_KEY, self.guard.snapshot())
        self.bus.publish(notice)

    def _save(self, pair_id: str) -> None:
        position = self.ledger.position(pair_id)
        assert position is not None
        self._journal.save_position(pair_id, position.state, self._payload(position))

    def _payload(self, position: PairPosition) -> dict[str, object]:
        entry = self._entries[position.pair_id]
        when, zscore, reason = self.ledger.exit_of(position.pair_id)
        targets = {leg.symbol: leg.quantity for leg in entry.legs}
        return position_payload(position, targets) | {
            "ref": entry.ref,
            "reference_prices": {leg.symbol: leg.reference_price for leg in entry.legs},
            "legging_cost": str(self.ledger.legging_cost(position.pair_id)),
            "exit": {"time": when.isoformat() if when else None, "zscore": zscore, "reason": reason},
        }
