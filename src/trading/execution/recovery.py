"""Start is recovery: journal, ask the exchange, reconcile, only then trade. The first start is the empty case."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from ccxt_bt_bridge.bt_time import datetime_to_ms
from ccxt_bt_bridge.port import TradingPort
from ccxt_bt_bridge.words import Fill
from pairs.words import Action, LegOrder, PairOrder, PairState
from trading.execution.funding_book import FundingBook
from trading.execution.leg_orders import LegOrders
from trading.execution.pair_engine import PairEngine
from trading.execution.pair_ledger import PairLedger
from trading.execution.reconciler import Mismatch, Reconciler
from trading.journal.words import StoredPosition, restored_position, restored_targets
from trading.journal.writer import Journal
from trading.records import TradeRecord
from trading.risk.state import GUARD_KEY
from trading.risk_guard import RiskGuard

LATE_FUNDING = timedelta(days=1)  # trades close in the order of this; asking for what is booked changes nothing
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
    ) -> None:
        self._journal = journal
        self._trading = trading
        self._orders = orders
        self._engine = engine
        self._ledger = ledger
        self._guard = guard
        self._funding = funding
        self._reconciler = reconciler
        self._agrees = False

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
        await self._adopt_funding()
        mismatches = await self._reconciler.begin(symbols)
        self._engine.is_recovering = False
        self._agrees = not mismatches
        return mismatches

    def interrupted(self) -> tuple[str, ...]:
        """Pairs for the engine to finish, once the market moves again; none where ledger and exchange disagree."""
        return tuple(p for p in self._ledger.open_pairs if self._engine.is_unfinished(p)) if self._agrees else ()

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
        entered_ms = datetime_to_ms(entry.decided_at)
        for payment in self._journal.funding_of(entry.pair_id, run):
            if payment.time_ms >= entered_ms and self._funding.is_of_open_pair(entry.pair_id, payment):
                self._ledger.apply_funding(entry.pair_id, payment.symbol, payment.amount)

    def _apply(self, pair_id: str, fill: Fill, reference_price: Decimal) -> None:
        self._ledger.apply_fill(
            pair_id, fill.symbol, fill.position_change, fill.price, fee=fill.fee, reference_price=reference_price
        )

    async def _adopt_funding(self) -> None:
        """What open pairs may have missed, and trades that closed shortly before the earlier process ended."""
        since = [position.entry_time for position in self._ledger.positions().values()]
        since += [trade.exit_time - LATE_FUNDING for trade in self._ledger.trades[-1:]]
        if since:
            for payment in await self._trading.funding(since_ms=datetime_to_ms(min(since))):
                self._funding.book(payment)


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
