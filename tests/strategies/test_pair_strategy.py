"""Several pairs in one strategy: each at its own pace, none twice."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest

from ccxt_bt_bridge.words import Bar
from feeds.array_feed import ArrayFeed
from mixins.zscore import ZScoreEntryMixin
from pairs.words import HedgeSpec, Pair
from strategies.desk_strategy import DeskStrategy
from strategies.pair_strategy import PairStrategy
from tests.ccxt_bt_bridge.board_harness import board_of, cerebro_on
from tests.strategies.harness import PAIR, FakePairBroker, Spy, cointegrated, plan, run, series, spec

OTHER = Pair("C_D", "CUSDT", "DUSDT", HedgeSpec(ratio=1.0))
LEGS = cointegrated(150)
OTHER_LEGS = tuple(series(symbol, leg.close) for symbol, leg in zip(OTHER.symbols, cointegrated(150, 9), strict=True))


def decided(spy: Spy, pair_id: str) -> list[str]:
    return [f"{seen} z={seen.zscore:.9f}" for seen in spy.decisions if seen.pair_id == pair_id]


def both(first: Any = LEGS, second: Any = OTHER_LEGS, **cerebro: Any) -> tuple[Spy, FakePairBroker]:
    spy, broker = Spy(), FakePairBroker()
    run(PairStrategy, plan(PAIR, OTHER), (*first, *second), spy=spy, broker=broker, **cerebro)
    return spy, broker


def alone(pair: Pair, legs: Any) -> list[str]:
    spy = Spy()
    run(PairStrategy, plan(pair), legs, spy=spy)
    return decided(spy, pair.pair_id)


@pytest.mark.parametrize("runonce", [True, False])
def test_each_pair_decides_as_it_would_alone(runonce):
    spy, broker = both(runonce=runonce, preload=runonce)
    assert decided(spy, "A_B") == alone(PAIR, LEGS)
    assert decided(spy, "C_D") == alone(OTHER, OTHER_LEGS)
    assert {order.pair_id for order in broker.orders} == {"A_B", "C_D"}


def without(legs: Any, missing: range) -> tuple:
    keep = np.array([number for number in range(1, 151) if number not in missing])
    return tuple(series(leg.symbol, leg.close[keep - 1], numbers=keep) for leg in legs)


@pytest.mark.parametrize("missing", [range(1, 30), range(60, 70), range(140, 151)])
@pytest.mark.parametrize("runonce", [True, False])
def test_a_pair_without_bars_neither_decides_nor_holds_back_the_other(missing, runonce):
    fewer = without(OTHER_LEGS, missing)
    spy, broker = both(second=fewer, runonce=runonce, preload=runonce)
    assert decided(spy, "A_B") == alone(PAIR, LEGS)
    assert decided(spy, "C_D") == alone(OTHER, fewer)
    assert [number for number, _ in broker.steps] == list(range(1, 151))


def test_the_rules_window_and_the_pairs_hedge_make_the_spread():
    entry = spec(ZScoreEntryMixin, e_window=17, e_statistics_window="inclusive", e_ddof=0)
    lines = run(PairStrategy, plan(entry=entry), LEGS).desks[0].lines
    assert (lines.p.window, lines.p.inclusive, lines.p.ddof) == (17, True, 0)
    assert lines.p.hedge == PAIR.hedge


def test_prices_of_the_last_step_are_kept_for_whoever_values_the_account():
    strategy = run(PairStrategy, plan(PAIR, OTHER), (*LEGS, *OTHER_LEGS))
    assert strategy.prices == {leg.symbol: leg.close[-1] for leg in (*LEGS, *OTHER_LEGS)}
    assert strategy.steps == 150


def test_a_strategy_must_say_how_its_desks_are_built():
    with pytest.raises(TypeError, match="DeskStrategy does not say how a desk is built"):
        run(DeskStrategy, plan(), LEGS)


class Buys(PairStrategy):
    def next(self) -> None:
        super().next()
        if len(self) == 2:
            self.buy(data=self.datas[0], size=1)


def test_what_backtrader_notifies_goes_to_the_pair_broker():
    broker = FakePairBroker()
    run(Buys, plan(), LEGS, broker=broker)
    assert [order.getstatusname() for order in broker.notified] == ["Submitted", "Accepted", "Completed"]


def live_bars(leg: Any, symbol: str) -> list[Bar]:
    return [Bar(symbol, bar.time_ms, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in leg]


def deliver(steps: list[list[str]]) -> tuple[Spy, FakePairBroker]:
    """Two pairs on live feeds; ``steps`` says which feeds' next bar arrives at which moment."""
    feeds = {name: live_bars(leg, name) for name, leg in zip("ABCD", (*LEGS, *OTHER_LEGS), strict=True)}
    board, spy, broker = board_of(*"ABCD"), Spy(), FakePairBroker()

    def arrive(names: list[str]):
        return lambda: board.put_step([(name, feeds[name].pop(0)) for name in names])

    board.hub.script = [arrive(names) for names in steps]
    settings: dict[str, Any] = {"plan": plan(PAIR, OTHER), "broker": broker, "recorder": spy}
    cerebro_on(board, "ABCD", PairStrategy, **settings).run()
    return spy, broker


@pytest.mark.parametrize(
    "moment",
    [
        [["A", "B", "C", "D"]],
        [["A", "B"], ["C", "D"]],
        [["C", "D"], ["A", "B"]],
        [["A"], ["B"], ["C"], ["D"]],
        [["D", "A"], ["C", "B"]],
    ],
)
def test_legs_and_pairs_that_come_one_after_the_other_make_the_same_decisions_once(moment):
    """A closed bar may cross the threads leg by leg; no pair may look twice at a bar, or at a leg that is stale."""
    spy, broker = deliver(moment * 150)
    at_once, expected = both()
    for pair_id in ("A_B", "C_D"):
        assert decided(spy, pair_id) == decided(at_once, pair_id)
    assert sorted(order.ref for order in broker.orders) == sorted(order.ref for order in expected.orders)


def test_two_strategies_on_the_same_datas_do_not_disturb_each_other():
    cerebro = bt.Cerebro(stdstats=False)
    for leg in LEGS:
        cerebro.adddata(ArrayFeed(series=leg))
    spies = (Spy(), Spy())
    cerebro.addstrategy(PairStrategy, plan=plan(), broker=FakePairBroker(), recorder=spies[0])
    cerebro.addstrategy(PairStrategy, plan=plan(), broker=FakePairBroker(), recorder=spies[1])
    cerebro.run()
    assert decided(spies[0], "A_B") == decided(spies[1], "A_B") == alone(PAIR, LEGS)
