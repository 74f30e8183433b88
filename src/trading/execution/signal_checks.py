"""What a signal must be before anything is opened by it: numbers that are numbers, fresh, and short of its stops."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from ccxt_bt_bridge.words import Market
from pairs.given import given_number, given_text
from pairs.sizing import PRICES
from pairs.words import PairPosition, SpreadStatistics
from trading.execution.signal_orders import Instrument, SignalRefused, direction_of, wants_exit
from trading.signals import TradingSignal

NUMBERS = (
    "quantity", "price", "stop_loss", "take_profit", "suggested_position_size", "stop_loss_z", "hedge_ratio",
)  # fmt: skip
OF_ANY_SIGN = ("z_score", "take_profit_z")
AHEAD_S = 5.0  # by which the clocks of two machines may differ


def checked(signal: TradingSignal) -> TradingSignal:
    """With plain numbers and texts. Raises ``SignalRefused``."""
    given = {name: getattr(signal, name) for name in NUMBERS if getattr(signal, name) is not None}
    numbers = {name: given_number(value) for name, value in given.items()}
    wrong = {name: given[name] for name, number in numbers.items() if not 0.0 < number < math.inf}
    if wrong:
        raise SignalRefused(f"positive numbers were wanted, found {wrong}")
    for name in OF_ANY_SIGN:
        value = getattr(signal, name)
        if value is None:
            continue
        numbers[name] = given_number(value)
        if not math.isfinite(numbers[name]):
            raise SignalRefused(f"finite numbers were wanted, found {name} {value!r}")
    statistics = None if signal.statistics is None else _statistics(signal.statistics)
    if statistics is None and (signal.stop_loss_z, signal.take_profit_z) != (None, None):
        raise SignalRefused("stop_loss_z and take_profit_z need statistics to compute z by")
    if statistics is not None and not signal.is_of_pair:
        raise SignalRefused(f"statistics are of a pair's spread, and this is a signal of {signal.symbol} alone")
    texts = {name: _text(signal, name) for name in ("strategy_id", "reason") if getattr(signal, name) is not None}
    return replace(signal, statistics=statistics, **numbers, **texts)  # type: ignore[arg-type]


def check_age(signal: TradingSignal, now: datetime, longest_s: float, *, may_be_ahead: bool) -> None:
    """Raises ``SignalRefused`` for one that was made for another market, or who knows when.

    ``may_be_ahead``: of ``now``, which is not the time that its maker lives in.
    """
    made = signal.timestamp
    if made is None:
        return
    if not isinstance(made, datetime) or made.utcoffset() is None:
        raise SignalRefused(f"timestamp {made!r}: a datetime with a time zone was wanted")
    age_s = (now - made).total_seconds()
    if age_s < -AHEAD_S and not may_be_ahead:
        raise SignalRefused(f"timestamp {made} is {-age_s:.0f} s in the future: by the exchange's clock it is {now}")
    if not age_s <= longest_s:
        raise SignalRefused(f"stale: made {age_s:.0f} s ago, longest_decision_age_s is {longest_s:.0f}")


def check_stops(signal: TradingSignal, instrument: Instrument, prices: Mapping[str, float]) -> None:
    """A stop that is reached the moment the position is opened is a mistake. Raises ``SignalRefused``."""
    sign, price = direction_of(signal).sign, prices[instrument.symbols[0]]
    if signal.stop_loss is not None and (price - signal.stop_loss) * sign <= 0.0:
        raise SignalRefused(f"stop_loss {signal.stop_loss} is reached at the price {price} already")
    if signal.take_profit is not None and (signal.take_profit - price) * sign <= 0.0:
        raise SignalRefused(f"take_profit {signal.take_profit} is reached at the price {price} already")
    if signal.statistics is None:
        return
    losing_z = -sign * signal.statistics.zscore(*(prices[symbol] for symbol in instrument.symbols))
    if signal.stop_loss_z is not None and not losing_z < signal.stop_loss_z:
        raise SignalRefused(f"stop_loss_z {signal.stop_loss_z} is reached already: z is {-sign * losing_z:.2f}")
    if signal.take_profit_z is not None and not losing_z > signal.take_profit_z:
        raise SignalRefused(f"take_profit_z {signal.take_profit_z} is reached already: z is {-sign * losing_z:.2f}")


def check_closing_size(signal: TradingSignal, position: PairPosition, rules: Market) -> None:
    """Positions are closed as a whole, and less than a step more or less is the whole. ``rules``: of the first leg.

    Raises ``SignalRefused`` where ``quantity`` would leave a part, or an order the other way would turn it.
    """
    if signal.quantity is None:
        return
    held, wanted = abs(position.legs[0].quantity), given_number(signal.quantity)
    if not wants_exit(signal) and not 0.0 < wanted < math.inf:
        raise SignalRefused(f"positive numbers were wanted, found {{'quantity': {signal.quantity!r}}}")
    if not abs(wanted) > 0.0:  # an exit that names no size: NaN or 0
        return
    size = Decimal(repr(abs(wanted)))
    if held - size >= rules.amount_step:
        raise SignalRefused(f"{held.normalize():f} is held and closed as a whole: {size:f} would leave a part of it")
    can_turn = not wants_exit(signal) and rules.kind != "spot"
    if can_turn and size - held >= rules.amount_step:
        raise SignalRefused(f"{held.normalize():f} is held the other way: an order of {size:f} would not just close it")


def _statistics(given: object) -> SpreadStatistics:
    if not isinstance(given, SpreadStatistics):
        raise SignalRefused(f"SpreadStatistics were wanted as statistics, found {given!r}")
    numbers = {name: given_number(getattr(given, name)) for name in ("hedge_ratio", "intercept", "mean", "std")}
    if not all(map(math.isfinite, numbers.values())):
        raise SignalRefused(f"finite numbers were wanted in statistics, found {given}")
    if not (numbers["hedge_ratio"] > 0.0 and numbers["std"] > 0.0):
        raise SignalRefused(f"a positive hedge_ratio and std were wanted in statistics, found {given}")
    if given.prices not in PRICES:
        raise SignalRefused(f"statistics of {' or '.join(PRICES)} prices were wanted, found {given.prices!r}")
    return replace(given, **numbers)  # type: ignore[arg-type]


def _text(signal: TradingSignal, name: str) -> str:
    text = given_text(getattr(signal, name))
    if text is None:
        raise SignalRefused(f"a text was wanted as {name}, found {getattr(signal, name)!r}")
    return text
