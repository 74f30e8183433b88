"""Funding as it falls due, on the positions and closes of that instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from brokers.funding import FundingEvent, FundingSchedule, funding_amount
from brokers.simulated.accounts import TradingAccount
from brokers.simulated.ledger import ZERO
from brokers.simulated.store import ExchangeStore
from brokers.simulated.tape import Tape
from brokers.simulated.views import NextFunding, PositionView
from ccxt_bt_bridge.words import FundingPayment

NEVER_MS = 2**62


class Settlement:
    """Works inside the venue's transaction; ``tell`` gets each payment."""

    def __init__(
        self,
        tape: Tape,
        store: ExchangeStore,
        account: TradingAccount,
        *,
        funding: Mapping[str, FundingSchedule],
        payments: Iterable[FundingPayment],
        tell: Callable[[FundingPayment], None],
    ) -> None:
        self._tape, self._store, self._account = tape, store, account
        self._funding, self._tell = dict(funding), tell
        self.payments = list(payments)
        self._settled_ms = tape.time_ms
        self._next_funding_ms = self._funding_after(self._settled_ms)

    def settle_until(self, until_ms: int) -> None:
        """Funding up to ``until_ms``, on the positions and closes of this instant."""
        if until_ms < self._next_funding_ms:
            return
        for position in self._account.positions():
            schedule = self._funding.get(position.symbol)
            for event in schedule.between(self._settled_ms, until_ms) if schedule else ():
                self._pay(position, event)
        self._settled_ms = until_ms
        self._next_funding_ms = self._funding_after(until_ms)

    def _pay(self, position: PositionView, event: FundingEvent) -> None:
        symbol = position.symbol
        mark = event.mark_price or self._tape.last_close(symbol) or position.entry_price
        change = funding_amount(position.amount, mark, event.rate)
        # A later run plays the same times again: an id is given once in the file's life.
        payment_id = f"{self._store.run}-{symbol}-{event.time_ms}"
        payment = FundingPayment(payment_id, symbol, change, event.rate, mark, event.time_ms)
        self._account.apply_funding(payment)
        self._store.save_payment(payment)
        self.payments.append(payment)
        self._tell(payment)

    def _funding_after(self, time_ms: int) -> int:
        times = (schedule.next_after(time_ms) for schedule in self._funding.values())
        return min((at for at in times if at is not None), default=NEVER_MS)

    def past_funding(self, symbol: str, since_ms: int, until_ms: int) -> list[FundingEvent]:
        """What was due from ``since_ms`` to ``until_ms``, both inclusive, and not after now."""
        schedule = self._funding.get(symbol)
        return [] if schedule is None else schedule.between(since_ms - 1, min(until_ms, self._tape.time_ms))

    def next_funding(self, symbol: str) -> NextFunding:
        schedule = self._funding.get(symbol)
        at = None if schedule is None else schedule.next_after(self._tape.time_ms)
        if schedule is None or at is None:
            return NextFunding(ZERO, 0)
        return NextFunding(schedule.between(at - 1, at)[0].rate, at)
