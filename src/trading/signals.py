"""What a signal says: of one symbol, or of a pair. One word for whoever makes it and whoever carries it out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from pairs.words import SpreadStatistics


class SignalAction(Enum):
    """What a signal of one symbol asks for."""

    BUY = "buy"
    SELL = "sell"
    CLOSE = "close"


class SignalType(Enum):
    """What a signal of a pair asks for. BUY: the spread is low, buy ``pair_x`` and sell ``pair_y``; SELL: the reverse;
    EXIT: leave, for whatever reason."""

    BUY = "buy"
    SELL = "sell"
    EXIT = "exit"


class SignalStrength(Enum):
    """How far a z has run, in steps of a quarter of the way from the entry to the stop."""

    WEAK = "weak"
    NORMAL = "normal"
    STRONG = "strong"
    EXTREME = "extreme"

    @classmethod
    def of(cls, distance: float, *, entry: float, stop: float) -> SignalStrength:
        """Of ``|z|``: weak up to a quarter of the way, then normal; strong from half, extreme from three quarters.

        Without a stop (infinite) the way is one entry level long.

        >>> [SignalStrength.of(z, entry=2.0, stop=4.0).value for z in (0.3, 2.4, 2.5, 3.0, 3.5, 9.0)]
        ['weak', 'weak', 'normal', 'strong', 'extreme', 'extreme']
        """
        way = stop - entry if math.isfinite(stop) and stop > entry else entry
        done = (distance - entry) / way
        if done < 0.25:
            return cls.WEAK
        if done < 0.5:
            return cls.NORMAL
        return cls.STRONG if done < 0.75 else cls.EXTREME


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingSignal:
    """Of one symbol: ``symbol``, ``action`` and ``quantity``; of a pair: ``pair_x``, ``pair_y`` and ``signal_type``.

    ``quantity`` in base units, positive. ``price``, ``stop_loss`` and ``take_profit``: prices in quote currency.
    ``suggested_position_size``: gross notional / equity. ``stop_loss_z`` and ``take_profit_z``: levels of z on
    the losing side (of z for SELL, of -z for BUY).
    ``confidence`` from 0 to 1; ``reason`` is a short code. ``hedge_ratio``: of the legs' notionals, where there are no
    ``statistics`` of the spread, by which the levels of z are watched while the pair is held. Raises ValueError for a
    signal of neither or of both, or whose action is no ``SignalAction`` or ``SignalType``.
    """

    symbol: str | None = None
    action: SignalAction | None = None
    quantity: float | None = None
    price: float | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    confidence: float | None = None
    strategy_id: str | None = None
    timestamp: datetime | None = None
    pair_x: str | None = None
    pair_y: str | None = None
    signal_type: SignalType | None = None
    z_score: float | None = None
    strength: SignalStrength | None = None
    suggested_position_size: float | None = None
    stop_loss_z: float | None = None
    take_profit_z: float | None = None
    reason: str = ""
    hedge_ratio: float | None = None
    statistics: SpreadStatistics | None = None

    def __post_init__(self) -> None:
        of_symbol, of_pair = (self.symbol, self.action), (self.pair_x, self.pair_y, self.signal_type)
        if not (all(of_symbol) and not any(of_pair) or all(of_pair) and not any(of_symbol)):
            raise ValueError(
                f"wanted symbol and action, or pair_x, pair_y and signal_type; found {of_symbol} and {of_pair}"
            )

        for value, kind in ((self.action, SignalAction), (self.signal_type, SignalType)):
            if value is not None and not isinstance(value, kind):
                raise ValueError(
                    f"wanted a {kind.__name__}, such as {kind.__name__}.{next(iter(kind)).name}; found {value!r}"
                )

    @property
    def is_of_pair(self) -> bool:
        return self.pair_x is not None
