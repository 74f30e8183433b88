"""Exits that read prices: indicator, trailing, time and ratio.

They keep no memory of their own. What happened since the entry is read again, every bar, from the data's buffer by
``view.bars_held`` and from the position's entry price, so that a restarted bot answers as the one before it would have.
The bar on which the entry was decided closed before the entry was filled and does not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import backtrader as bt
import numpy as np

from mixins.base import HOLD, ExitAnswer, ExitMixin, View
from mixins.lines import all_known, bollinger, latest, rsi, tail
from mixins.params import parameter
from pairs.words import PairPosition

NOT_READY = ExitAnswer(False, "not_ready")


@dataclass(frozen=True)
class RSIBBExitParams:
    x_rsi_period: int = parameter(14, "bars of the relative strength index", min=2, max=10_000)
    x_rsi_overbought: float = parameter(
        70.0, "leave a long at this index or above, a short at 100 minus this or below", min=0.0, max=100.0
    )
    x_bb_period: int = parameter(
        0, "bars of the Bollinger bands that end a trade too; below 2 = none", min=0, max=10_000
    )
    x_bb_dev: float = parameter(2.0, "half-width of those bands in standard deviations", above=0.0, max=100.0)


@dataclass(frozen=True)
class ATRExitParams:
    x_atr_period: int = parameter(14, "bars of the average true range", min=1, max=10_000)
    x_atr_multiplier: float = parameter(3.0, "distance of the stop in average true ranges", above=0.0, max=1000.0)


@dataclass(frozen=True)
class TrailingStopExitParams:
    x_trail_pct: float = parameter(5.0, "per cent (0-100) lost from the best close since entry", above=0.0, max=100.0)


@dataclass(frozen=True)
class TimeBasedExitParams:
    x_max_bars: int = parameter(48, "leave after this many bars", min=1, max=1_000_000)


@dataclass(frozen=True)
class FixedRatioExitParams:
    x_take_profit_pct: float = parameter(
        10.0, "profit in per cent of the notional at entry that ends the trade; 0 = off", min=0.0, max=10_000.0
    )
    x_stop_loss_pct: float = parameter(
        5.0, "loss in per cent of the notional at entry that ends the trade; 0 = off", min=0.0, max=100.0
    )


class RSIBBExitMixin(ExitMixin):
    """Leave a long that is overbought, a short that is oversold.

    *Reads:* close. *Decides:* a long leaves when RSI >= ``x_rsi_overbought`` ("rsi_reversal") or, with bands, when the
    close is at or above the upper one ("band_touch"); a short leaves on the mirror image.
    """

    Params: ClassVar[type] = RSIBBExitParams

    def __init__(self, params: Any, view: View) -> None:
        super().__init__(params, view)
        self.rsi = rsi(view.data, params.x_rsi_period)
        wanted = params.x_bb_period >= 2
        self.bands = bollinger(view.data, params.x_bb_period, params.x_bb_dev) if wanted else None

    @classmethod
    def warmup_bars(cls, params: Any) -> int:
        return max(params.x_rsi_period + 1, params.x_bb_period)

    def decide(self) -> ExitAnswer:
        position, index, close = self.view.position, latest(self.rsi.rsi), latest(self.view.data.close)
        if position is None or not all_known(index, close):
            return NOT_READY
        sign = position.direction.sign
        if sign * (index - 50.0) >= self.params.x_rsi_overbought - 50.0:
            return ExitAnswer(True, "rsi_reversal")
        return self._band_answer(sign, close)

    def _band_answer(self, sign: int, close: float) -> ExitAnswer:
        if self.bands is None:
            return HOLD
        band = latest(self.bands.top if sign > 0 else self.bands.bot)
        if math.isnan(band):
            return NOT_READY
        return ExitAnswer(True, "band_touch") if sign * (close - band) >= 0 else HOLD


def closes_since_entry(view: View, position: PairPosition) -> np.ndarray:
    """The entry price of ``leg_a`` and then every close since, oldest first; unknown prices are NaN.

    After a restart whose history begins later than the trade, the closes that are missing are left out.
    """
    closes = tail(view.data.close, view.bars_held)
    return np.concatenate(([float(position.legs[0].entry_price)], closes))


class TrailingStopExitMixin(ExitMixin):
    """Leave when too much of the best price since entry is given back.

    *Reads:* closes since entry, entry price. *Decides:* a long leaves ("trailing_stop") when the close is
    ``x_trail_pct`` per cent or more below the highest of them, a short when that much above the lowest.
    """

    Params: ClassVar[type] = TrailingStopExitParams

    def decide(self) -> ExitAnswer:
        position, close = self.view.position, latest(self.view.data.close)
        if position is None or not math.isfinite(close):
            return NOT_READY
        sign = position.direction.sign
        best = sign * np.fmax.reduce(sign * closes_since_entry(self.view, position))
        given_back = 100.0 * sign * (best - close)
        return ExitAnswer(True, "trailing_stop") if given_back >= self.params.x_trail_pct * best else HOLD


class ATRExitMixin(ExitMixin):
    """Leave when the close breaks a stop that trails the best close by the average true range.

    *Reads:* high, low, closes since entry, entry price. *Decides:* each bar proposes a stop of (best close so far) -
    ``x_atr_multiplier`` * ATR for a long, + for a short; the tightest one proposed since the decision to enter counts,
    so the stop never loosens when the range widens. A close at or beyond it leaves ("atr_stop").
    """

    Params: ClassVar[type] = ATRExitParams

    def __init__(self, params: Any, view: View) -> None:
        super().__init__(params, view)
        self.atr = bt.ind.ATR(view.data, period=params.x_atr_period)

    @classmethod
    def warmup_bars(cls, params: Any) -> int:
        return params.x_atr_period + 1

    def decide(self) -> ExitAnswer:
        position, close = self.view.position, latest(self.view.data.close)
        if position is None or not all_known(close, latest(self.atr)):
            return NOT_READY
        sign = position.direction.sign
        best = np.fmax.accumulate(sign * closes_since_entry(self.view, position))
        ranges = tail(self.atr.atr, len(best))
        proposed = best[len(best) - len(ranges) :] - self.params.x_atr_multiplier * ranges
        return ExitAnswer(True, "atr_stop") if sign * close <= np.fmax.reduce(proposed) else HOLD


class TimeBasedExitMixin(ExitMixin):
    """Leave after ``x_max_bars`` bars ("time"). *Reads:* bars held; serves pairs too."""

    Params: ClassVar[type] = TimeBasedExitParams
    market: ClassVar[str] = "any"

    def decide(self) -> ExitAnswer:
        return ExitAnswer(True, "time") if self.view.bars_held >= self.params.x_max_bars else HOLD


class FixedRatioExitMixin(ExitMixin):
    """Leave at a fixed profit or loss.

    *Reads:* the position's unrealised profit of price, before fees and funding; serves pairs too. *Decides:*
    "stop_loss" or "take_profit" when it reaches that many per cent of the gross notional at entry.
    """

    Params: ClassVar[type] = FixedRatioExitParams
    market: ClassVar[str] = "any"

    def decide(self) -> ExitAnswer:
        position = self.view.position
        if position is None or not position.gross_notional > 0.0:
            return NOT_READY
        profit_pct = 100.0 * position.unrealised_price(self._prices()) / position.gross_notional
        if math.isnan(profit_pct):
            return NOT_READY
        return self._answer(profit_pct)

    def _prices(self) -> dict[str, float]:
        pair = self.view.pair
        prices = {pair.leg_a: self.view.price_a}
        return prices if pair.leg_b is None else prices | {pair.leg_b: self.view.price_b}

    def _answer(self, profit_pct: float) -> ExitAnswer:
        loss, gain = self.params.x_stop_loss_pct, self.params.x_take_profit_pct
        if 0.0 < loss <= -profit_pct:
            return ExitAnswer(True, "stop_loss")
        return ExitAnswer(True, "take_profit") if 0.0 < gain <= profit_pct else HOLD
