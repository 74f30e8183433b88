"""One symbol with a rule of one's own, from its indicator to its order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import backtrader as bt
import numpy as np
import pytest

from mixins.base import HOLD, EntryAnswer, EntryMixin, ExitAnswer, ExitMixin
from mixins.exits import ATRExitMixin
from pairs.sizing import SizingSpec
from pairs.words import Action, Direction, Pair
from strategies.custom_strategy import CustomStrategy
from tests.strategies.harness import SINGLE, FakePairBroker, Spy, cointegrated, plan, run, series, spec

LEG = cointegrated(200)[0]


@dataclass(frozen=True)
class MeanParams:
    e_period: int = 10


@dataclass(frozen=True)
class NoParams:
    pass


class AboveMeanEntryMixin(EntryMixin):
    """Buys above the moving average, sells below it."""

    Params = MeanParams

    def __init__(self, params: Any, view: Any) -> None:
        super().__init__(params, view)
        self.mean = bt.ind.SMA(view.data.close, period=params.e_period)

    def decide(self) -> EntryAnswer:
        if len(self.mean) < self.params.e_period or not np.isfinite(self.mean[0]):
            return EntryAnswer(None, 0.0, "not_ready")
        above = self.view.price_a > self.mean[0]
        return EntryAnswer(Direction.LONG if above else Direction.SHORT, 1.0, "above" if above else "below")


class NextBarExitMixin(ExitMixin):
    Params = NoParams

    def decide(self) -> ExitAnswer:
        return ExitAnswer(True, "reversion") if self.view.bars_held >= 2 else HOLD


def ran(leg: Any = LEG, **changes: Any) -> tuple[Spy, FakePairBroker, Any]:
    cerebro = {name: changes.pop(name) for name in ("runonce", "preload") if name in changes}
    spy, broker = Spy(), FakePairBroker()
    rules = {"entry": spec(AboveMeanEntryMixin), "exit": spec(NextBarExitMixin)} | changes
    strategy = run(CustomStrategy, plan(SINGLE, **rules), (leg,), spy=spy, broker=broker, **cerebro)
    return spy, broker, strategy


def test_a_rule_of_ones_own_decides_by_its_own_indicator():
    spy, broker, _ = ran()
    means = np.convolve(LEG.close, np.full(10, 0.1), "valid")
    entries = [seen for seen in spy.decisions if seen.answer.startswith("enter")]
    assert len(entries) > 40
    for seen in entries:
        above = LEG.close[seen.bar - 1] > means[seen.bar - 10]
        assert seen.answer == ("enter_long" if above else "enter_short")
    assert {seen.reason for seen in spy.decisions if seen.bar < 10} == {"not_ready"}


def test_one_symbol_is_ordered_on_one_leg_without_statistics():
    _, broker, _ = ran()
    for order in broker.orders[:10]:
        (leg,) = order.legs
        assert leg.symbol == "AUSDT"
        assert (order.zscore, order.statistics) == (None, None)
        sign = order.direction.sign if order.action is Action.ENTER else -order.direction.sign
        assert leg.quantity * sign > 0


def test_decisions_are_the_same_at_once_and_bar_by_bar():
    at_once, by_bar = ran()[0], ran(runonce=False, preload=False)[0]
    assert list(map(str, at_once.decisions)) == list(map(str, by_bar.decisions))


def test_a_shipped_exit_serves_a_rule_of_ones_own():
    spy, _, _ = ran(exit=spec(ATRExitMixin, x_atr_multiplier=1.0))
    assert "atr_stop" in {seen.reason for seen in spy.decisions}


def test_volatility_is_that_of_the_log_price():
    _, _, strategy = ran()
    wanted = np.std(np.diff(np.log(LEG.close[-100:])), ddof=1)
    assert strategy.desks[0].change_volatility() == pytest.approx(wanted)


@pytest.mark.parametrize("bars", [1, 2])
def test_volatility_of_hardly_any_bars_is_unknown_and_sizes_nothing(bars):
    rules = {"entry": spec(AboveMeanEntryMixin, e_period=1), "sizing": SizingSpec("volatility")}
    spy, broker, strategy = ran(leg=series("AUSDT", [100.0] * bars), **rules)
    assert np.isnan(strategy.desks[0].change_volatility())
    assert [seen.reason for seen in spy.decisions] == ["size_is_zero"] * bars
    assert broker.orders == []


def test_several_symbols_each_get_a_desk_of_their_own():
    other = Pair("BUSDT", "BUSDT", None)
    spy = Spy()
    rules = {"entry": spec(AboveMeanEntryMixin), "exit": spec(NextBarExitMixin)}
    run(CustomStrategy, plan(SINGLE, other, **rules), cointegrated(200), spy=spy)
    alone = ran()[0]
    assert [str(s) for s in spy.decisions if s.pair_id == "AUSDT"] == list(map(str, alone.decisions))
    assert sum(seen.pair_id == "BUSDT" for seen in spy.decisions) == 200
