"""Stops between bars, on the engine's side."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pairs.words import PairOrder, PairState, SpreadStatistics
from tests.brokers.markets import bars, hours, source
from tests.trading.execution.engine_rig import ENTRY, PAIR, Rig
from tests.trading.plays import play, run_market
from tests.trading.risk.asking import NOON, holding
from trading.events import Alarm, PairClosed
from trading.execution.pair_stops import AGAIN_MS, PairStops
from trading.execution.settings import ExecutionSettings
from trading.live.between_bars import BetweenBars, PairSignals
from trading.live.prices import LivePrices
from trading.risk.limits import RiskLimits, TrailingStop
from trading.risk_guard import RiskExit

AROUND_TWO = SpreadStatistics(1.0, math.log(2.0), 0.0, 0.01)  # A at 100 and B at 50 is z 0; a per cent is z 1
SHORT = {symbol: -amount for symbol, amount in ENTRY.items()}
FREE = {"max_exposure": None, "max_drawdown_pct": None, "max_daily_loss_pct": None}


@dataclass
class Held:
    """A pair that is held, its stops, and what they did."""

    rig: Rig
    stop_z: float = 4.0
    told: list[RiskExit] = field(default_factory=list)
    wanted: list[PairOrder] = field(default_factory=list)

    def __post_init__(self) -> None:
        rig = self.rig
        self.stops = PairStops(
            rig.ledger,
            rig.guard,
            rig.world.clock,
            stop_z={"A_B": self.stop_z},
            leave=self._leave,
            told=self,
            hurry=rig.engine.hurry,
        )

    async def enter(self, legs=ENTRY) -> None:
        await self.rig.engine.execute(self.rig.enter(legs=legs, statistics=AROUND_TWO))
        assert self.rig.state() is PairState.OPEN

    def at(self, a: float, b: float = 50.0) -> str | None:
        risk_exit = self.stops.check("A_B", {"A": a, "B": b})
        return None if risk_exit is None else risk_exit.reason

    def tell_exit(self, risk_exit: RiskExit) -> None:
        self.told.append(risk_exit)

    def _leave(self, order: PairOrder) -> None:
        self.wanted.append(order)
        self.rig.tasks.append(asyncio.ensure_future(self.rig.engine.execute(order)))

    async def closed(self) -> PairClosed:
        async with asyncio.timeout(600.0):
            while not self.rig.of(PairClosed):
                await asyncio.sleep(1.0)
        return self.rig.of(PairClosed)[-1]


def held(folder: Path, script, *, market=None, legs=ENTRY, stop_z: float = 4.0, **limits) -> Rig:
    async def whole(rig: Rig) -> None:
        case = Held(rig, stop_z)
        await case.enter(legs)
        await script(case)

    return play(folder, whole, market=market, limits=RiskLimits(**FREE | limits))


@pytest.mark.parametrize(("legs", "fine", "beyond"), [(ENTRY, 96.2, 96.0), (SHORT, 103.9, 104.2)])
def test_a_pair_is_left_at_once_when_its_frozen_z_reaches_the_stop(tmp_path, legs, fine, beyond):
    async def script(case: Held) -> None:
        assert case.at(fine) is None
        assert case.at(200.0 - fine) is None, "the winning side has no stop"
        assert case.at(beyond) == "stop"
        trade = (await case.closed()).trade
        assert trade.exit_reason == "stop"
        assert abs(trade.exit_z) == pytest.approx(abs(math.log(beyond / 100.0)) / 0.01)
        assert case.told == [RiskExit("A_B", "stop")]
        assert case.at(beyond) is None, "what is flat has no stops"

    assert held(tmp_path, script, legs=legs).state() is PairState.FLAT


def test_an_exit_is_asked_for_once_however_many_prices_come(tmp_path):
    async def script(case: Held) -> None:
        assert case.at(96.0) == "stop"
        assert [case.at(95.0) for _ in range(100)] == [None] * 100
        await case.closed()
        assert len(case.wanted) == len(case.told) == 1

    rig = held(tmp_path, script)
    assert len(rig.port.sent) == 4


def test_an_exit_that_came_to_nothing_is_asked_for_again_after_a_while(tmp_path):
    async def script(case: Held) -> None:
        case.stops._leave = case.wanted.append  # type: ignore[method-assign]
        assert case.at(96.0) == "stop"
        await asyncio.sleep(AGAIN_MS / 1000.0 - 1.0)
        assert case.at(96.0) is None
        await asyncio.sleep(1.0)
        assert case.at(96.0) == "stop"

    held(tmp_path, script)


@pytest.mark.parametrize(
    ("limits", "prices", "reason"),
    [
        ({"stop_loss_pct": 5.0}, [85.0], "stop_loss"),  # of both legs, entered near 100 and 50
        ({"take_profit_pct": 5.0}, [115.0], "take_profit"),
        ({"trailing_stop": TrailingStop(3.0, 2.0)}, [107.0, 104.0, 102.0], "trailing_stop"),
    ],
)
def test_the_risk_guards_own_stops_are_watched_too(tmp_path, limits, prices, reason):
    async def script(case: Held) -> None:
        *before, last = prices
        assert [case.at(price) for price in before] == [None] * len(before)
        assert case.at(last) == reason
        assert (await case.closed()).trade.exit_reason == reason

    held(tmp_path, script, stop_z=math.inf, **limits)


def test_one_pairs_prices_leave_another_pairs_best_profit_alone(tmp_path):
    async def script(case: Held) -> None:
        best = case.rig.guard.state.best_profit_pct
        best["C_A"] = 7.0
        case.at(101.0)
        assert best["C_A"] == 7.0

    held(tmp_path, script, trailing_stop=TrailingStop(50.0, 2.0))


@pytest.mark.parametrize("price", [math.nan, math.inf])
def test_what_is_no_price_stops_nothing(tmp_path, price):
    async def script(case: Held) -> None:
        assert case.at(price) is None

    held(tmp_path, script, stop_loss_pct=1.0, stop_z=math.inf)


def gapping() -> object:
    """A opens its fourth bar at 90, and is back at 100 when that bar closes."""
    prices = [(100.0, 100.0)] * 3 + [(90.0, 100.0)] + [(100.0, 100.0)] * 6
    return source(bars("A", prices), bars("B", [(50.0, 50.0)] * 10))


def test_a_price_of_the_exchange_between_closes_leaves_the_pair(tmp_path):
    async def script(case: Held) -> None:
        await _watch(case, max_jump_pct=20.0)
        trade = (await case.closed()).trade
        assert trade.exit_reason == "stop"
        assert case.wanted[0].legs[0].reference_price == 90.0
        assert case.rig.world.clock.now_ms() < hours(4)

    held(tmp_path, script, market=gapping())


def test_a_jump_that_no_second_price_confirms_leaves_nothing_and_is_told(tmp_path):
    async def script(case: Held) -> None:
        await _watch(case, max_jump_pct=5.0)
        assert case.wanted == []

    rig = held(tmp_path, script, market=gapping())
    assert rig.state() is PairState.OPEN
    assert [alarm.message for alarm in rig.of(Alarm)] == [
        "a price of A is not believed before a second one is near it: 90"
    ]


async def _watch(case: Held, *, max_jump_pct: float) -> None:
    rig = case.rig

    def tell(message: str) -> None:
        rig.floor.bus.publish(Alarm(rig.now, message))

    prices = LivePrices(max_jump_pct=max_jump_pct, tell=tell)
    signals = PairSignals({}, rig.world.clock, rig.floor.bus)
    between = BetweenBars([PAIR], prices, stops=case.stops, signals=signals, heard=lambda symbol: None)
    rig.tasks.append(asyncio.ensure_future(between.run(rig.world.exchange.prices())))
    await asyncio.sleep(0)
    await run_market(rig, 3.9)


def test_a_stop_that_is_reached_between_slices_ends_them_and_leaves_what_is_open(tmp_path: Path) -> None:
    async def script(rig: Rig) -> None:
        held = Held(rig)
        order = rig.enter(legs=ENTRY, statistics=AROUND_TWO)
        entering = asyncio.ensure_future(rig.engine.execute(order))
        await asyncio.sleep(1.0)
        assert held.at(90.0) is None, "ten per cent lower is z -10, but nothing is open yet"
        await entering
        assert rig.state() is PairState.OPEN
        assert held.at(90.0) == "stop"
        await held.closed()

    sliced = ExecutionSettings(slice_notional=100.0, slice_pause_s=3.0)
    rig = play(tmp_path, script, settings=sliced)
    amounts = {(one.symbol, float(one.signed_amount)) for one in rig.port.sent}
    assert amounts == {("A", 0.5), ("B", -1.0), ("A", -0.5), ("B", 1.0)}, "one slice of four"


def test_one_leg_has_no_z_and_can_be_left_whatever_statistics_it_was_kept_with():
    pair = holding()
    alone = replace(pair, legs=pair.legs[:1], statistics=SpreadStatistics(1.0, 0.0, 0.0, 1.0))
    assert math.isnan(alone.frozen_zscore({"A": 500.0})) and math.isnan(alone.losing_zscore({"A": 500.0}))
    assert alone.exit_order({"A": 500.0}, NOON, "closed").zscore is None


def test_where_a_price_is_missing_there_is_no_z_and_the_exit_is_measured_against_the_entry():
    pair = replace(holding(gross=1_000.0), statistics=AROUND_TWO)
    order = pair.exit_order({"A": 600.0}, NOON, "shutdown")
    assert [(leg.symbol, leg.reference_price) for leg in order.legs] == [("A", 600.0), ("B", 500.0)]
    assert order.zscore is None and math.isnan(pair.losing_zscore({"A": 600.0}))
