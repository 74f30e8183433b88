"""Start is recovery: journal, ask the exchange, reconcile, only then trade. The first start is the empty case."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

from ccxt_bt_bridge.bt_time import datetime_to_ms
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.port import TradingPort
from ccxt_bt_bridge.words import Fill
from pairs.words import Action, LegOrder, PairOrder, PairState
from trading.execution.funding_book import FundingBook
from trading.execution.leg_orders import LegOrders
from trading.execution.pair_engine import PairEngine
from trading.execution.pair_ledger import PairLedger
from trading.execution.reconciler import Mismatch, Reconciler
from trading.journal.errors import JournalUnwritable
from trading.journal.words import StoredPosition, restored_position, restored_targets
from trading.journal.writer import Journal
from trading.records import TradeRecord
from trading.risk.state import GUARD_KEY
from trading.risk_guard import RiskGuard

FUNDING_KEY = "funding"
LATE_FUNDING_MS = 86_400_000  # asking for what is booked changes nothing
ZERO = Decimal(0)


class Recovery:
    """Brings ledger, guard and engine to where an earlier process of the same run left them."""

    def __init__(
        self,
        *,
        journal: Journal,
        trading: TradingPort,
        orders: LegOrders,
        engine: PairEngine,
        ledger: PairLedger,
        guard: RiskGuard,
        funding: FundingBook,
        reconciler: Reconciler,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._trading = trading
        self._orders = orders
        self._engine = engine
        self._ledger = ledger
        self._guard = guard
        self._funding = funding
        self._reconciler = reconciler
        self._in_doubt: frozenset[str] = frozenset()
        reconciler.on_agreed = self._on_agreed
        self._clock = clock

    def restore(self, run: int) -> None:
        """From the journal alone: finished trades, open pairs with their fills and funding, risk state."""
        self._engine.is_recovering = True
        trades = list(self._journal.trades(run))
        self._ledger.restore_trades(trades, sum((_turnover(trade) for trade in trades), ZERO))
        known = self._journal.risk_state(GUARD_KEY)
        if known is not None:
            self._guard.restore(known)
        self._reconciler.restore()
        for stored in self._journal.positions().values():
            if stored.state is not PairState.FLAT:
                self._restore_pair(stored, run)

    async def reconcile(self, symbols: Iterable[str]) -> tuple[Mismatch, ...]:
        """Resolve what was under way, then compare with the exchange, exactly. Sends nothing but cancels."""
        self._guard.wait_for_no_one_else()
        await self._orders.resume(self._journal.unresolved_intents())
        mismatches = await self._reconciler.begin(symbols)
        await self._adopt_funding()
        self._engine.is_recovering = False
        self._in_doubt = frozenset(mismatch.symbol for mismatch in mismatches)
        return mismatches

    def interrupted(self) -> tuple[str, ...]:
        """Pairs for the engine to finish, once the market moves again; none of a symbol that ledger and exchange
        disagree on: the reconciler has those finished when they agree again."""
        return tuple(
            pair_id
            for pair_id, position in self._ledger.positions().items()
            if self._engine.is_unfinished(pair_id) and not any(leg.symbol in self._in_doubt for leg in position.legs)
        )

    def _on_agreed(self, symbols: Collection[str]) -> None:
        if self._in_doubt.intersection(symbols):
            before = self.interrupted()
            self._in_doubt -= frozenset(symbols)
            for pair_id in self.interrupted():
                if pair_id not in before:
                    self._engine.mend(pair_id)

    def _restore_pair(self, stored: StoredPosition, run: int) -> None:
        position, payload = restored_position(stored), stored.payload
        self._ledger.restore(position, legging_cost=Decimal(payload["legging_cost"]))
        entry = _entry_order(stored)
        self._engine.adopt(entry)
        left = payload["exit"]
        if left["reason"]:
            when = datetime.fromisoformat(left["time"])
            self._ledger.begin_exit(stored.pair_id, when=when, zscore=left["zscore"], reason=left["reason"])
        self._replay(entry, run)

    def _replay(self, entry: PairOrder, run: int) -> None:
        intents = self._journal.intents_of(entry.pair_id, entry.ref, run)
        references = {intent.client_order_id: Decimal(repr(intent.reference_price)) for intent in intents}
        for fill in self._journal.fills_of(entry.pair_id, entry.ref, run):
            # A stranger's, which took away from the pair, was never decided by anyone here.
            self._apply(entry.pair_id, fill, references.get(fill.client_order_id, fill.price))
            if fill.client_order_id not in references:
                self._engine.note_robbed(entry.pair_id, fill.symbol)
        entered_ms = datetime_to_ms(entry.decided_at)
        for payment in self._journal.funding_of(entry.pair_id, run):
            if payment.time_ms >= entered_ms and self._funding.is_of_open_pair(entry.pair_id, payment):
                self._ledger.apply_funding(entry.pair_id, payment.symbol, payment.amount)

    def _apply(self, pair_id: str, fill: Fill, reference_price: Decimal) -> None:
        self._ledger.apply_fill(
            pair_id, fill.symbol, fill.position_change, fill.price, fee=fill.fee, reference_price=reference_price
        )

    async def _adopt_funding(self) -> None:
        """All since an earlier process of this run asked, or since the run began, whatever was heard of it."""
        if not self._ledger.positions() and not self._ledger.trades:
            return
        now_ms, run = self._clock.now_ms(), self._journal.run
        known = self._journal.risk_state(FUNDING_KEY) or {}
        if known.get("run") == run:
            since_ms = known["asked_ms"] - LATE_FUNDING_MS
        else:
            since_ms = next(datetime_to_ms(one.started) for one in self._journal.runs() if one.number == run)
        for payment in await self._trading.funding(since_ms=since_ms):
            self._funding.book(payment)
        if not self._funding.is_owed:
            with suppress(JournalUnwritable):  # then the next start asks for more
                self._journal.save_risk_state(FUNDING_KEY, {"run": run, "asked_ms": now_ms})


def _entry_order(stored: StoredPosition) -> PairOrder:
    position, payload = restored_position(stored), stored.payload
    targets = restored_targets(stored)
    legs = tuple(
        LegOrder(symbol, quantity, payload["reference_prices"][symbol]) for symbol, quantity in targets.items()
    )
    return PairOrder(
        ref=payload["ref"],
        pair_id=stored.pair_id,
        action=Action.ENTER,
        direction=position.direction,
        legs=legs,
        decided_at=position.entry_time,
        reason="entry",
        zscore=position.entry_z,
        statistics=position.statistics,
        half_life_bars=position.half_life_bars,
    )


def _turnover(trade: TradeRecord) -> Decimal:
    return sum((abs(leg.quantity) * (leg.entry_price + (leg.exit_price or ZERO)) for leg in trade.legs), ZERO)
