"""Entries of one symbol: buy a dip that the relative strength index calls oversold, when a second witness agrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

import backtrader as bt
import numpy as np

from mixins.base import EntryAnswer, EntryMixin, View
from mixins.lines import all_known, bollinger, latest, rsi, tail
from mixins.params import parameter
from mixins.supertrend import SuperTrend
from pairs.words import Direction

NOT_READY = EntryAnswer(None, 0.0, "not_ready")


@dataclass(frozen=True)
class _RSIParams:
    e_rsi_period: int = parameter(14, "bars of the relative strength index", min=2, max=10_000)
    e_rsi_oversold: float = parameter(30.0, "an index at or below this is oversold", above=0.0, max=100.0)


@dataclass(frozen=True)
class RSIBBEntryParams(_RSIParams):
    e_bb_period: int = parameter(20, "bars of the Bollinger bands", min=2, max=10_000)
    e_bb_dev: float = parameter(2.0, "half-width of the bands in standard deviations", above=0.0, max=100.0)


@dataclass(frozen=True)
class RSIBBVolumeEntryParams(RSIBBEntryParams):
    e_vol_period: int = parameter(20, "bars of the average volume, this bar included", min=2, max=10_000)
    e_vol_factor: float = parameter(1.5, "volume must exceed this many times its average", min=0.0, max=1000.0)


@dataclass(frozen=True)
class RSIIchimokuEntryParams(_RSIParams):
    e_rsi_lookback: int = parameter(10, "bars, this one included, in which the dip may lie", min=1, max=10_000)
    e_tenkan: int = parameter(9, "bars of the conversion line", min=1, max=10_000)
    e_kijun: int = parameter(26, "bars of the base line", min=1, max=10_000)
    e_senkou: int = parameter(52, "bars of the slow edge of the cloud", min=1, max=10_000)
    e_senkou_lead: int = parameter(26, "bars by which the cloud is drawn ahead", min=0, max=10_000)


@dataclass(frozen=True)
class RSIVolumeSupertrendEntryParams(_RSIParams):
    e_rsi_lookback: int = parameter(10, "bars, this one included, in which the dip may lie", min=1, max=10_000)
    e_vol_period: int = parameter(20, "bars of the average volume, this bar included", min=2, max=10_000)
    e_vol_factor: float = parameter(1.0, "volume must exceed this many times its average", min=0.0, max=1000.0)
    e_st_period: int = parameter(10, "bars of SuperTrend's average true range", min=1, max=10_000)
    e_st_multiplier: float = parameter(3.0, "SuperTrend's distance in average true ranges", above=0.0, max=1000.0)


class _OversoldEntry(EntryMixin):
    """What the entries below share: the index, how deep the dip went, and the wording of the answer.

    ``strength`` is 0.5 at the threshold and rises linearly to 1 at an index of 0.
    """

    def __init__(self, params: Any, view: View) -> None:
        super().__init__(params, view)
        self.rsi = rsi(view.data, params.e_rsi_period)

    def _answer(self, index: float, refusal: str | None) -> EntryAnswer:
        threshold = self.params.e_rsi_oversold
        if index > threshold:
            return EntryAnswer(None, 0.0, "rsi_not_oversold")
        if refusal is not None:
            return EntryAnswer(None, 0.0, refusal)
        return EntryAnswer(Direction.LONG, 0.5 + 0.5 * (threshold - index) / threshold, "entry")

    def _lowest_index(self) -> float:
        """The deepest index of the look-back, NaN when none is known."""
        return float(np.fmin.reduce(tail(self.rsi.rsi, self.params.e_rsi_lookback), initial=np.nan))


class RSIBBEntryMixin(_OversoldEntry):
    """Buy when the close is oversold and at or below its lower Bollinger band.

    *Reads:* close. *Decides:* long when RSI <= ``e_rsi_oversold`` and close <= lower band.
    Answers "no" with: not_ready, rsi_not_oversold, above_lower_band.
    """

    Params: ClassVar[type] = RSIBBEntryParams

    def __init__(self, params: Any, view: View) -> None:
        super().__init__(params, view)
        self.bands = bollinger(view.data, params.e_bb_period, params.e_bb_dev)

    @classmethod
    def warmup_bars(cls, params: Any) -> int:
        return max(params.e_rsi_period + 1, params.e_bb_period)

    def decide(self) -> EntryAnswer:
        index, close, lower = latest(self.rsi.rsi), latest(self.view.data.close), latest(self.bands.bot)
        if not all_known(index, close, lower):
            return NOT_READY
        return self._answer(index, None if close <= lower else "above_lower_band")


class RSIBBVolumeEntryMixin(RSIBBEntryMixin):
    """Buy as ``RSIBBEntryMixin`` does, when the volume says that many did.

    *Reads:* close, volume. *Decides:* long when also volume > ``e_vol_factor`` * its average.
    Answers "no" with: not_ready, rsi_not_oversold, above_lower_band, volume_too_low.
    """

    Params: ClassVar[type] = RSIBBVolumeEntryParams

    def __init__(self, params: Any, view: View) -> None:
        super().__init__(params, view)
        self.usual_volume = bt.ind.SMA(view.data.volume, period=params.e_vol_period)

    @classmethod
    def warmup_bars(cls, params: Any) -> int:
        return max(super().warmup_bars(params), params.e_vol_period)

    def decide(self) -> EntryAnswer:
        volume, usual = latest(self.view.data.volume), latest(self.usual_volume)
        answer = super().decide()
        if not all_known(volume, usual):
            return NOT_READY
        if answer.direction is not None and not volume > self.params.e_vol_factor * usual:
            return EntryAnswer(None, 0.0, "volume_too_low")
        return answer


class RSIIchimokuEntryMixin(_OversoldEntry):
    """Buy a recent dip inside an Ichimoku up-trend.

    *Reads:* high, low, close. *Decides:* long when RSI was <= ``e_rsi_oversold`` within ``e_rsi_lookback`` bars, the
    close is above the cloud, and the conversion line (tenkan) is above the base line (kijun). A line of n bars is
    (highest high + lowest low) / 2; the cloud of this bar was computed ``e_senkou_lead`` bars ago. The lagging span is
    left out: drawn on past bars, it would be a look into the future.
    Answers "no" with: not_ready, rsi_not_oversold, below_cloud, tenkan_below_kijun.
    """

    Params: ClassVar[type] = RSIIchimokuEntryParams

    def __init__(self, params: Any, view: View) -> None:
        super().__init__(params, view)
        self.tenkan, self.kijun = self._middle(params.e_tenkan), self._middle(params.e_kijun)
        ahead = -params.e_senkou_lead
        self.cloud_fast = ((self.tenkan + self.kijun) / 2.0)(ahead)
        self.cloud_slow = self._middle(params.e_senkou)(ahead)

    @classmethod
    def warmup_bars(cls, params: Any) -> int:
        slowest = max(params.e_tenkan, params.e_kijun, params.e_senkou)
        return max(params.e_rsi_period + 1, slowest + params.e_senkou_lead)

    def decide(self) -> EntryAnswer:
        index, close = self._lowest_index(), latest(self.view.data.close)
        tenkan, kijun = latest(self.tenkan), latest(self.kijun)
        fast, slow = latest(self.cloud_fast), latest(self.cloud_slow)
        if not all_known(index, close, tenkan, kijun, fast, slow):
            return NOT_READY
        if close <= max(fast, slow):
            return self._answer(index, "below_cloud")
        return self._answer(index, None if tenkan > kijun else "tenkan_below_kijun")

    def _middle(self, period: int) -> Any:
        data = self.view.data
        return (bt.ind.Highest(data.high, period=period) + bt.ind.Lowest(data.low, period=period)) / 2.0


class RSIVolumeSupertrendEntryMixin(_OversoldEntry):
    """Buy a recent dip while SuperTrend points up and the volume is there.

    *Reads:* high, low, close, volume. *Decides:* long when RSI was <= ``e_rsi_oversold`` within ``e_rsi_lookback``
    bars, SuperTrend's direction is up, and volume > ``e_vol_factor`` * its average.
    Answers "no" with: not_ready, rsi_not_oversold, supertrend_down, volume_too_low.
    """

    Params: ClassVar[type] = RSIVolumeSupertrendEntryParams

    def __init__(self, params: Any, view: View) -> None:
        super().__init__(params, view)
        self.usual_volume = bt.ind.SMA(view.data.volume, period=params.e_vol_period)
        self.supertrend = cast(Any, SuperTrend)(view.data, period=params.e_st_period, multiplier=params.e_st_multiplier)

    @classmethod
    def warmup_bars(cls, params: Any) -> int:
        return max(params.e_rsi_period + 1, params.e_vol_period, params.e_st_period + 1)

    def decide(self) -> EntryAnswer:
        index, trend = self._lowest_index(), latest(self.supertrend.direction)
        volume, usual = latest(self.view.data.volume), latest(self.usual_volume)
        if not all_known(index, trend, volume, usual):
            return NOT_READY
        if trend < 0:
            return self._answer(index, "supertrend_down")
        return self._answer(index, None if volume > self.params.e_vol_factor * usual else "volume_too_low")
