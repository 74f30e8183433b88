"""Backtrader's optstrategy on several processes: plans, rules and brokers travel there and back."""

from __future__ import annotations

import pickle

import backtrader as bt
import pytest

from feeds.array_feed import ArrayFeed
from mixins.registry import ENTRY_RULES, EXIT_RULES
from mixins.zscore import ZScoreEntryMixin
from strategies.pair_strategy import PairStrategy
from tests.strategies.harness import FakePairBroker, Spy, cointegrated, plan, spec

LEVELS = (1.2, 1.5, 2.0, 2.5)


class Orders(bt.Analyzer):
    """The orders' references, as they come home from another process."""

    def stop(self) -> None:
        self.rets = [order.ref for order in self.strategy.pair_broker.orders]


def swept(*, processes: int) -> list[tuple[float, list[str]]]:
    cerebro = bt.Cerebro(stdstats=False, maxcpus=processes)
    for leg in cointegrated(200):
        cerebro.adddata(ArrayFeed(series=leg))
    plans = [plan(entry=spec(ZScoreEntryMixin, e_window=30, e_entry_z=level)) for level in LEVELS]
    cerebro.optstrategy(PairStrategy, plan=plans, broker=FakePairBroker(), recorder=Spy())
    cerebro.addanalyzer(Orders)
    return [(run[0].p.plan.entry.params.e_entry_z, run[0].analyzers[0].rets) for run in cerebro.run()]


# Other tests may have left a thread behind; backtrader forks all the same.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_sweep_on_two_processes_finds_what_separate_runs_find():
    found = swept(processes=2)
    assert [level for level, _ in found] == list(LEVELS)
    assert len({tuple(orders) for _, orders in found}) == len(LEVELS)
    for level, orders in found:
        cerebro = bt.Cerebro(stdstats=False)
        for leg in cointegrated(200):
            cerebro.adddata(ArrayFeed(series=leg))
        broker = FakePairBroker()
        entry = spec(ZScoreEntryMixin, e_window=30, e_entry_z=level)
        cerebro.addstrategy(PairStrategy, plan=plan(entry=entry), broker=broker, recorder=Spy())
        cerebro.run()
        assert orders == [order.ref for order in broker.orders]


@pytest.mark.parametrize("rule", [*ENTRY_RULES.values(), *EXIT_RULES.values()], ids=lambda rule: rule.__name__)
def test_a_plan_with_any_registered_rule_survives_pickling(rule):
    which = {"entry": spec(rule)} if rule.__name__ in ENTRY_RULES else {"exit": spec(rule)}
    made = plan(**which)
    assert pickle.loads(pickle.dumps(made)) == made
