"""Looks at prices while an engine runs: into the tracker, to the risk guard, against the stops of the signals."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from pairs.words import PairPosition, PairState
from trading.execution.engine_account import EngineAccount
from trading.execution.tracked import name_of
from trading.position_tracker import PositionTracker, TrackedPosition
from trading.risk_guard import Breaker, RiskGuard

UNSEEN_ALARM_S = 120.0
QUOTE_LIMIT_S = 5.0  # the stops of the other symbols wait for it

Leave = Callable[[EngineAccount, str, str], None]

log = logging.getLogger(__name__)


class PriceWatch:
    """Over all accounts of an engine, which share one guard. ``leave(account, pair_id, reason)`` closes beside."""

    def __init__(
        self, accounts: Mapping[str, EngineAccount], tracker: PositionTracker, guard: RiskGuard, leave: Leave
    ) -> None:
        self._accounts, self._tracker, self._guard, self._leave = accounts, tracker, guard, leave
        self._blind: set[tuple[str, str]] = set()  # account and what could not be looked at the last time
        self._unseen: dict[tuple[str, str], float] = {}  # account and symbol: since when, infinite when it was told

    async def run(self, account: EngineAccount, every_s: float) -> None:
        """Beside those of the others: no account waits for the exchange of another."""
        while True:
            await asyncio.sleep(every_s)
            await self.look(account)

    async def look(self, account: EngineAccount) -> None:
        """At everything that an account holds, once; what cannot be looked at is told and hides nothing else."""
        held = account.floor.ledger.positions()
        symbols = {leg.symbol for position in held.values() for leg in position.legs}
        prices: dict[str, float] = {}
        for known in await asyncio.gather(*(self._price(account, symbol) for symbol in symbols)):
            prices |= known
        for symbol, price in prices.items():
            self._tracker.update_position_pnl(symbol, price, exchange=account.name)
        self._note_unseen(account, symbols - prices.keys())
        self.check_risk()
        for pair_id, position in held.items():
            with self._told(account, name_of(pair_id)):
                self._look_at(account, position, prices)

    def check_risk(self) -> None:
        """The guard sees all accounts at once, at the last prices; what it demands is begun. Never raises."""
        with self._told(next(iter(self._accounts.values())), "the limits of risk"):
            self._check_risk()

    def equity(self) -> float:
        """Of all accounts, each at its own last prices."""
        return sum(one.floor.ledger.equity(self._last_prices(one.name)) for one in self._accounts.values())

    # the parts

    def _check_risk(self) -> None:
        guard, before = self._guard, self._guard.breaker
        held = {p: q for account in self._accounts.values() for p, q in account.floor.ledger.positions().items()}
        now = max(account.now for account in self._accounts.values())
        exits = guard.on_bar(now, self.equity(), held, self._last_prices())
        for risk_exit in exits:  # first: a disk that refuses holds none of them up
            account = next(one for one in self._accounts.values() if risk_exit.pair_id in one.pairs)
            self._close(account, risk_exit.pair_id, risk_exit.reason)
        if guard.breaker is not before:
            for account in self._accounts.values():
                account.keep_guard()

    def _note_unseen(self, account: EngineAccount, symbols: Iterable[str]) -> None:
        """A price that stays away is told once: without it no stop works."""
        now_s, unseen = asyncio.get_running_loop().time(), {(account.name, symbol) for symbol in symbols}
        others = {key: since for key, since in self._unseen.items() if key[0] != account.name}
        self._unseen = others | {key: self._unseen.get(key, now_s) for key in unseen}
        long = sorted(key for key in unseen if now_s - self._unseen[key] >= UNSEEN_ALARM_S)
        if long:
            names = ", ".join(symbol for _, symbol in long)
            account.tell(f"no price of {names} for two minutes: until there is one, stops of what is held do not work")
            self._unseen |= dict.fromkeys(long, math.inf)

    def _look_at(self, account: EngineAccount, position: PairPosition, prices: Mapping[str, float]) -> None:
        tracked = self._tracker.get_position(name_of(position.pair_id), account.name)
        reason = _reached(tracked, position, prices) if tracked is not None else None
        if reason is not None:
            self._close(account, position.pair_id, reason)

    async def _price(self, account: EngineAccount, symbol: str) -> dict[str, float]:
        with self._told(account, f"the price of {symbol}"), suppress(TimeoutError):
            async with asyncio.timeout(QUOTE_LIMIT_S):
                return await account.prices((symbol,))
        return {}

    @contextmanager
    def _told(self, account: EngineAccount, what: str) -> Iterator[None]:
        """Whatever breaks inside halts, and a person hears of it once; the watch goes on."""
        try:
            yield
        except Exception as error:
            log.exception("watch_failed account=%s what=%s", account.name, what)
            if (account.name, what) not in self._blind or self._guard.breaker is not Breaker.HALTED:
                account.halt("watch_failed", f"{what} cannot be looked at: {error!r}; its stops do not work")
            self._blind.add((account.name, what))
        else:
            self._blind.discard((account.name, what))

    def _close(self, account: EngineAccount, pair_id: str, reason: str) -> None:
        if account.floor.ledger.state(pair_id) is PairState.OPEN and pair_id not in account.under_way:
            self._leave(account, pair_id, reason)

    def _last_prices(self, account: str | None = None) -> dict[str, float]:
        """None: of all, where one symbol has one price for the guard."""
        held = (p for p in self._tracker.open_positions if account in (None, p.exchange))
        return {leg.symbol: leg.current_price for p in held for leg in p.legs}


def _reached(tracked: TrackedPosition, position: PairPosition, prices: Mapping[str, float]) -> str | None:
    """The level of its signal that is reached now; without a price of every leg none is."""
    if any(leg.symbol not in prices for leg in position.legs):
        return None
    losing_z = position.losing_zscore(prices)
    if tracked.stop_loss_z is not None and losing_z >= tracked.stop_loss_z:
        return "stop_loss_z"
    if tracked.take_profit_z is not None and losing_z <= tracked.take_profit_z:
        return "take_profit_z"
    return tracked.price_stop
