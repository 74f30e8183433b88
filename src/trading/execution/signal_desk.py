"""Carries out signals on the accounts of an engine: in, out, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ccxt_bt_bridge.words import Market
from pairs.given import given_text
from trading.execution.engine_account import EngineAccount, Outcome
from trading.execution.quotes import PRICE_PATIENCE_S
from trading.execution.signal_checks import check_age, check_closing_size, check_stops, checked
from trading.execution.signal_orders import (
    Instrument,
    SignalRefused,
    direction_of,
    entry_order,
    instrument_of,
    known_symbol,
    wants_exit,
)
from trading.execution.tracked import name_of, pair_id_of
from trading.execution_models import ExecutionOrder
from trading.position_tracker import PositionTracker, TrackedPosition
from trading.risk_guard import RiskGuard
from trading.signals import SignalAction, TradingSignal

LEVELS = ("stop_loss", "take_profit", "stop_loss_z", "take_profit_z", "strategy_id")


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """``order``: of the first leg, ``orders``: all that were sent. ``position``: what is held now; of what was just
    closed, as it was closed."""

    success: bool
    order: ExecutionOrder | None = None
    position: TrackedPosition | None = None
    error: str | None = None
    orders: tuple[ExecutionOrder, ...] = ()


MOST_OFF = 0.1  # of the market's price, for the price a signal was decided at


class SignalDesk:
    """``accounts`` by name. ``position_size``: gross notional / equity of a signal that names no size.
    ``longest_age_s``: of a signal that opens and says when it was made. ``closed``: why there are no accounts.
    ``unpriced``: what is held of which nobody knows the price, asked before anything is opened."""

    def __init__(
        self,
        accounts: Mapping[str, EngineAccount],
        tracker: PositionTracker,
        guard: RiskGuard,
        *,
        position_size: float,
        longest_age_s: float,
        closed: Callable[[], str],
        unpriced: Callable[[], Awaitable[tuple[str, ...]]],
    ) -> None:
        self._accounts, self._tracker, self._guard = accounts, tracker, guard
        self._closed, self._unpriced = closed, unpriced
        self._position_size, self._longest_age_s = position_size, longest_age_s

    async def execute(self, signal: TradingSignal, exchange: str | None) -> ExecutionResult:
        if not isinstance(signal, TradingSignal):
            return ExecutionResult(False, error=f"a TradingSignal was wanted, found {type(signal).__name__}")
        try:
            return await self._execute(signal, self._account(exchange))
        except SignalRefused as refused:
            return ExecutionResult(False, error=str(refused))

    async def close(self, wanted: Any, exchange: str | None, reason: str) -> ExecutionResult:
        """``wanted``: a symbol, ``"X_Y"``, ``("X", "Y")`` or a tracked position."""
        try:
            account, pair_id = self._held(wanted, exchange)
        except SignalRefused as refused:
            return ExecutionResult(False, error=str(refused))
        return await self.leave(account, pair_id, reason)

    async def leave(self, account: EngineAccount, pair_id: str, reason: str) -> ExecutionResult:
        position = account.position(pair_id)
        if position is None or not position.is_open:
            state = account.floor.ledger.state(pair_id).value
            return ExecutionResult(False, error=f"there is nothing to close: it is {state}")
        tracked = self._tracker.get_position(name_of(pair_id), account.name)
        prices = {leg.symbol: leg.current_price for leg in tracked.legs} if tracked else {}
        prices |= await account.prices((leg.symbol for leg in position.legs), within_s=PRICE_PATIENCE_S)
        order = position.exit_order(prices, account.now, given_text(reason) or "closed")
        outcome = await account.execute(order, account.pairs[pair_id])
        return self._result(outcome, account, name_of(pair_id))

    async def place(self, order: ExecutionOrder, account: EngineAccount) -> ExecutionOrder:
        """A single order of an ``OrderManager``, as a signal: rejected with the reason when it came to nothing."""
        now_ms = account.ports.clock.now_ms()
        if order.order_type.upper() != "MARKET" or order.reduce_only:
            return order.refused("an engine's orders are market orders, and it closes by close_position", now_ms)
        action = SignalAction.BUY if order.sign > 0 else SignalAction.SELL
        signal = TradingSignal(symbol=order.symbol, action=action, quantity=order.quantity)
        result = await self.execute(signal, account.name)
        if result.order is None or not result.success:
            return order.refused(result.error or "nothing was sent", now_ms)
        return result.order

    # the parts

    def _account(self, name: str | None) -> EngineAccount:
        self._refuse_when_closed()
        if name is None and len(self._accounts) == 1:
            return next(iter(self._accounts.values()))
        if not isinstance(name, str) or name not in self._accounts:
            raise SignalRefused(f"exchange {name!r}: wanted one of {', '.join(self._accounts)}")
        return self._accounts[name]

    def _refuse_when_closed(self) -> None:
        if not self._accounts:
            raise SignalRefused(self._closed())

    async def _execute(self, signal: TradingSignal, account: EngineAccount) -> ExecutionResult:
        instrument = instrument_of(signal, account.rules)
        pair_id = pair_id_of(account.name, instrument.name)
        position = account.position(pair_id)
        if wants_exit(signal) or (position is not None and direction_of(signal) is not position.direction):
            if position is not None:
                check_closing_size(signal, position, account.rules[instrument.symbols[0]])
            return await self.leave(account, pair_id, signal.reason or "signal")
        signal = checked(signal)
        check_age(signal, account.now, self._longest_age_s, may_be_ahead=account.ports.keeps_own_time)
        if unpriced := await self._unpriced():
            raise SignalRefused(
                f"prices_unknown: no price of {', '.join(unpriced)} since the start; nothing is opened before"
            )
        prices = await _decision_prices(signal, instrument, account)
        check_stops(signal, instrument, prices)
        order = entry_order(
            signal,
            instrument,
            pair_id=pair_id,
            when=account.next_entry_time(pair_id),
            prices=prices,
            rules=account.rules,
            gross=(signal.suggested_position_size or self._position_size) * self._guard.state.equity,
        )
        outcome = await account.execute(order, instrument.pair(pair_id), _levels(signal))
        return self._result(outcome, account, instrument.name)

    def _held(self, wanted: Any, exchange: str | None) -> tuple[EngineAccount, str]:
        """Raises ``SignalRefused`` when nothing of it is held."""
        if isinstance(wanted, TrackedPosition):
            wanted, exchange = wanted.symbol, wanted.exchange
        name = _name(wanted)
        self._refuse_when_closed()
        for account in self._accounts.values() if exchange is None else (self._account(exchange),):
            for pair_id, pair in account.pairs.items():
                if _same(name, pair.symbols, account.rules) and account.position(pair_id) is not None:
                    return account, pair_id
        raise SignalRefused(f"no position of {name}")

    def _result(self, outcome: Outcome, account: EngineAccount, name: str) -> ExecutionResult:
        position = self._tracker.get_position(name, account.name)
        if position is None and not outcome.error:
            position = self._last_closed(account, name)
        order = outcome.orders[0] if outcome.orders else None
        return ExecutionResult(not outcome.error, order, position, outcome.error or None, outcome.orders)

    def _last_closed(self, account: EngineAccount, name: str) -> TrackedPosition | None:
        history = reversed(self._tracker.position_history)
        return next((done for done in history if (done.exchange, done.symbol) == (account.name, name)), None)


async def _decision_prices(signal: TradingSignal, instrument: Instrument, account: EngineAccount) -> dict[str, float]:
    """The signal's own, where it is anywhere near the market: sizes and limits are made of it."""
    prices = await account.prices(instrument.symbols)
    missing = [symbol for symbol in instrument.symbols if symbol not in prices]
    if missing:
        raise SignalRefused(f"no price of {', '.join(missing)} now")
    if signal.price is None or signal.is_of_pair:
        return prices
    (symbol,) = instrument.symbols
    if not abs(signal.price - prices[symbol]) <= MOST_OFF * prices[symbol]:
        raise SignalRefused(f"price {signal.price} of {symbol} is not near the market's, {prices[symbol]}")
    return {symbol: signal.price}


def _levels(signal: TradingSignal) -> dict[str, Any]:
    return {name: getattr(signal, name) for name in LEVELS if getattr(signal, name) is not None}


def _name(wanted: Any) -> str:
    parts = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise SignalRefused(f"a symbol, a pair or a tracked position was wanted, found {wanted!r}")
    return "_".join(parts)


def _same(name: str, symbols: tuple[str, ...], rules: Mapping[str, Market]) -> bool:
    """Any notation that a signal may use."""
    try:
        return tuple(known_symbol(part, rules) for part in name.split("_")) == symbols
    except SignalRefused:
        return name == "_".join(symbols)
