"""From a signal to a pair order: which legs, how much of each, at which prices it was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ccxt_bt_bridge.words import Market
from pairs.sizing import split_gross
from pairs.symbols import compact_symbol
from pairs.words import Action, Direction, LegOrder, Pair, PairOrder, entry_ref
from trading.signals import SignalAction, SignalType, TradingSignal

ENTRIES = {
    SignalAction.BUY: Direction.LONG,
    SignalAction.SELL: Direction.SHORT,
    SignalType.BUY: Direction.LONG,
    SignalType.SELL: Direction.SHORT,
}
EXITS = (SignalAction.CLOSE, SignalType.EXIT)
COMMON_QUOTE = "USDT"


class SignalRefused(Exception):
    """Nothing can be done with this signal; the message says why."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a signal trades: one of the exchange's symbols, or two. ``name``: the symbol, or ``X_Y``."""

    symbols: tuple[str, ...]

    @property
    def name(self) -> str:
        return "_".join(self.symbols)

    def pair(self, pair_id: str) -> Pair:
        return Pair(pair_id, self.symbols[0], self.symbols[1] if len(self.symbols) > 1 else None)


def instrument_of(signal: TradingSignal, rules: Mapping[str, Market]) -> Instrument:
    """Any notation, also a coin alone, which means its USDT market. Raises ``SignalRefused``."""
    named = (signal.pair_x, signal.pair_y) if signal.is_of_pair else (signal.symbol,)
    symbols = tuple(known_symbol(str(name), rules) for name in named)
    if len(set(symbols)) < len(symbols):
        raise SignalRefused(f"the pair is {symbols[0]} against itself")
    return Instrument(symbols)


def known_symbol(name: str, rules: Mapping[str, Market]) -> str:
    """Raises ``SignalRefused`` for one that the exchange does not have."""
    compact = compact_symbol(name)
    for symbol in (name, compact, compact + COMMON_QUOTE):
        if symbol in rules:
            return symbol
    raise SignalRefused(f"the exchange has no {name}; it has {', '.join(sorted(rules)[:10])}")


def wants_exit(signal: TradingSignal) -> bool:
    return _word(signal) in EXITS


def direction_of(signal: TradingSignal) -> Direction:
    """Of a signal that does not want to leave."""
    return ENTRIES[_word(signal)]


def entry_order(
    signal: TradingSignal,
    instrument: Instrument,
    *,
    pair_id: str,
    when: datetime,
    prices: Mapping[str, float],
    rules: Mapping[str, Market],
    gross: float,
) -> PairOrder:
    """``prices``: what was decided on. ``gross``: of the whole position in quote currency, where no quantity is given.

    Raises ``SignalRefused`` for a size that comes to nothing on the exchange's steps.
    """
    direction = direction_of(signal)
    sizes = _sizes(signal, instrument, prices, gross)
    signs = (direction.sign, -direction.sign)
    legs = tuple(
        LegOrder(symbol, rules[symbol].round_amount(Decimal(str(size))) * sign, prices[symbol])
        for symbol, size, sign in zip(instrument.symbols, sizes, signs, strict=False)
    )
    if not all(leg.quantity for leg in legs):
        raise SignalRefused(f"{instrument.name}: {sizes} comes to nothing on the exchange's steps")
    return PairOrder(
        ref=entry_ref(pair_id, when),
        pair_id=pair_id,
        action=Action.ENTER,
        direction=direction,
        legs=legs,
        decided_at=when,
        reason=signal.reason or "signal",
        zscore=signal.z_score,
        statistics=signal.statistics,
    )


def _sizes(
    signal: TradingSignal, instrument: Instrument, prices: Mapping[str, float], gross: float
) -> tuple[float, ...]:
    """Base units of each leg, unsigned. A pair's ``quantity`` is its first leg's."""
    first, *others = (prices[symbol] for symbol in instrument.symbols)
    if not others:
        return (signal.quantity if signal.quantity is not None else gross / first,)
    ratio = signal.hedge_ratio or 1.0 if signal.statistics is None else signal.statistics.hedge_ratio
    kind = "log" if signal.statistics is None else signal.statistics.prices
    size_a, size_b = split_gross(gross, ratio, first, others[0], prices=kind, neutrality="beta")
    if signal.quantity is not None and size_a:
        size_a, size_b = signal.quantity, size_b * signal.quantity / size_a
    return size_a, size_b


def _word(signal: TradingSignal) -> SignalAction | SignalType:
    word = signal.signal_type if signal.is_of_pair else signal.action
    assert word is not None
    return word
