"""Looks at prices while an engine runs: into the tracker, to the risk guard, against the stops of the signals."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from pairs.words import PairPosition, PairState
from trading.execution.engine_account import EngineAccount
from trading.execution.tracked import account_of, name_of, tracked_position
from trading.position_tracker import PositionTracker, TrackedPosition
from trading.risk.stops import STOP_REASONS
from trading.risk_guard import Breaker, RiskGuard

UNSEEN_ALARM_S = 120.0

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
        self._seen: dict[str, dict[str, float]] = {}  # by account: the last price of each symbol that it holds
        self._unpriced: set[tuple[str, str]] = set()  # account and symbol: held since before the start, not seen yet

    async def begin(self, account: EngineAccount) -> None:
        """At the start: what it holds was bought at other prices, and is worth nobody knows what until it is quoted."""
        self._seen.pop(account.name, None)
        self._unpriced |= {(account.name, symbol) for symbol in _symbols(account)}
        await self._quote(account)

    async def run(self, account: EngineAccount, every_s: float) -> None:
        """Beside those of the others: no account waits for the exchange of another."""
        while True:
            await asyncio.sleep(every_s)
            await self.look(account)

    async def look(self, account: EngineAccount) -> None:
        """At everything that an account holds, once; what cannot be looked at is told and hides nothing else."""
        prices = await self._quote(account)
        self.check_risk()
        for pair_id, position in account.floor.ledger.positions().items():
            with self._told(account, name_of(pair_id)):
                self._look_at(account, position, prices)

    async def unpriced(self) -> tuple[str, ...]:
        """Before an entry, whose limits are of what everything is worth now: the symbols that have no price yet. They
        are asked for once more."""
        waiting = {name for name, _ in self._unpriced}
        await asyncio.gather(*(self._quote(self._accounts[name]) for name in waiting))
        self.check_risk()
        return tuple(f"{symbol} on {name}" for name, symbol in sorted(self._unpriced))

    def check_risk(self) -> None:
        """The guard sees all accounts at once, at the last prices; what it demands is begun. Never raises. While a
        price is not known yet it is asked about the stops of the other pairs alone."""
        if not self._accounts:
            return  # stopped meanwhile
        with self._told(next(iter(self._accounts.values())), "the limits of risk"):
            self._check_risk()

    def equity(self) -> float:
        """Of all accounts, each at its own last prices."""
        return sum(self._equities().values())

    # the parts

    def _check_risk(self) -> None:
        guard, before = self._guard, self._guard.breaker
        held = {p: q for account in self._accounts.values() for p, q in account.floor.ledger.positions().items()}
        if any(
            self._unseen.get(key) != math.inf for key in self._unpriced
        ):  # one that stays away hides no loss of others
            exits = guard.pair_stops({p: q for p, q in held.items() if self._is_priced(q)}, self._last_prices())
        else:
            now = max(account.now for account in self._accounts.values())
            exits = guard.on_bar(now, self.equity(), held, self._last_prices(), self._equities())
        for risk_exit in exits:  # first: a disk that refuses holds none of them up
            account = next(one for one in self._accounts.values() if risk_exit.pair_id in one.pairs)
            self._close(account, risk_exit.pair_id, risk_exit.reason)
        if guard.breaker is not before:
            for account in self._accounts.values():
                account.keep_guard()

    def _equities(self) -> dict[str, float]:
        return {name: one.floor.ledger.equity(self._last_prices(name)) for name, one in self._accounts.items()}

    def _is_priced(self, position: PairPosition) -> bool:
        account = account_of(position.pair_id)
        return not any((account, leg.symbol) in self._unpriced for leg in position.legs)

    async def _quote(self, account: EngineAccount) -> dict[str, float]:
        """Of all that it holds; a price that is missing now stays what it was."""
        symbols = _symbols(account)
        prices: dict[str, float] = {}
        for known in await asyncio.gather(*(self._price(account, symbol) for symbol in symbols)):
            prices |= known
        for symbol, price in prices.items():
            self._tracker.update_position_pnl(symbol, price, exchange=account.name)
        before = self._seen.get(account.name, {})
        self._seen[account.name] = {symbol: price for symbol, price in before.items() if symbol in symbols} | prices
        others = {key for key in self._unpriced if key[0] != account.name}
        self._unpriced = others | {key for key in self._unpriced - others if key[1] in symbols - prices.keys()}
        self._note_unseen(account, symbols - prices.keys())
        return prices

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
        if tracked is None and position.legs:  # it is on its way in
            tracked = tracked_position(position, account.name, account.levels.get(position.pair_id, {}))
            tracked = tracked.priced(tracked.legs[0].symbol, prices.get(tracked.legs[0].symbol, tracked.current_price))
        reason = _reached(tracked, position, prices) if tracked is not None else None
        if reason is not None:
            self._close(account, position.pair_id, reason)

    async def _price(self, account: EngineAccount, symbol: str) -> dict[str, float]:
        with self._told(account, f"the price of {symbol}"):
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
        """What is on its way in takes no further slice, and the next look closes what is open then; what is on its way
        out does not wait either when that is a stop."""
        state = account.floor.ledger.state(pair_id)
        if state in (PairState.ENTERING, PairState.HEDGING) or reason in STOP_REASONS:
            account.floor.engine.hurry(pair_id)
        if state is PairState.OPEN and pair_id not in account.under_way:
            self._leave(account, pair_id, reason)

    def _last_prices(self, account: str | None = None) -> dict[str, float]:
        """None: of all, where one symbol has one price for the guard. What was opened since is at its entry's."""
        seen = {s: p for name, prices in self._seen.items() if account in (None, name) for s, p in prices.items()}
        held = (p for p in self._tracker.open_positions if account in (None, p.exchange))
        return seen | {leg.symbol: leg.current_price for p in held for leg in p.legs}


def _symbols(account: EngineAccount) -> set[str]:
    return {leg.symbol for position in account.floor.ledger.positions().values() for leg in position.legs}


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
