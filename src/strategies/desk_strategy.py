"""What pair and one-symbol strategies share: a desk per pair, called once per time step."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

import backtrader as bt

from ccxt_bt_bridge.bt_time import ms_to_datetime, num_to_ms
from pairs.words import Pair, PairBroker
from strategies.desk import Desk, Recorder
from strategies.plan import StrategyPlan


class StrategyBroker(PairBroker, Protocol):
    """A PairBroker as the strategy base drives it: told when a step begins and what Backtrader notified."""

    def bind(self, strategy: DeskStrategy) -> None: ...

    def begin_step(self, time: datetime, prices: dict[str, float]) -> None: ...

    def on_order(self, order: bt.Order) -> None: ...


class DeskStrategy(bt.Strategy):
    """Subclasses say how a desk is built from its datas.

    Datas come in the order of the plan's pairs, one per leg.
    """

    params = (("plan", None), ("broker", None), ("recorder", None))

    def __init__(self) -> None:
        super().__init__()
        self.plan: StrategyPlan = self.p.plan
        self.pair_broker: StrategyBroker = self.p.broker
        self.recorder: Recorder = self.p.recorder
        self.steps = 0
        self._decided = self.plan.decided
        self.prices: dict[str, float] = {}
        self.desks = self._build_desks()
        self._by_pair = {desk.pair.pair_id: desk for desk in self.desks}

    def _build_desks(self) -> tuple[Desk, ...]:
        datas = iter(self.datas)
        return tuple(self.build_desk(pair, tuple(next(datas) for _ in pair.symbols)) for pair in self.plan.pairs)

    def build_desk(self, pair: Pair, datas: tuple[Any, ...]) -> Desk:
        raise TypeError(f"{type(self).__name__} does not say how a desk is built")

    def start(self) -> None:
        self.pair_broker.bind(self)

    def desk(self, pair_id: str) -> Desk:
        return self._by_pair[pair_id]

    def prenext(self) -> None:
        # One late or silent feed must not hold back the pairs that have their bars.
        self.next()

    def next(self) -> None:
        fresh = [desk for desk in self.desks if desk.has_new_bar()]
        # Live, a pair's bar may come when another pair is a bar ahead: each is decided at its own time.
        for stamp in sorted({desk.stamp for desk in fresh}):
            self._step(ms_to_datetime(int(num_to_ms(stamp))), [desk for desk in fresh if desk.stamp == stamp])

    def _step(self, time: datetime, fresh: list[Desk]) -> None:
        self.steps += 1
        prices, broker = self.prices, self.pair_broker
        for desk in fresh:
            desk.read(time)
            for symbol, price in zip(desk.pair.symbols, (desk.price_a, desk.price_b), strict=False):
                prices[symbol] = price
        broker.begin_step(time, prices)
        trading = time > self.plan.trade_after
        for desk in fresh:
            desk.watch(broker.position(desk.pair.pair_id))
            if trading and desk.pair.pair_id not in self._decided:
                desk.decide(broker, self.recorder)
        if trading:
            self._decided = frozenset()

    def notify_order(self, order: bt.Order) -> None:
        self.pair_broker.on_order(order)
