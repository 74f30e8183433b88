"""What a desk sees, asks, orders and writes down, bar by bar."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from mixins.zscore import ZScoreEntryMixin
from pairs.sizing import SizingSpec
from pairs.words import Action, Direction, LegPosition, PairPosition, PairState
from strategies.pair_strategy import PairStrategy
from tests.strategies.harness import (
    PAIR,
    EnterAlways,
    FakePairBroker,
    LeaveAfter,
    Spy,
    at,
    cointegrated,
    market,
    plan,
    run,
    series,
    spec,
)

LEGS = cointegrated(150)
ENTER, LEAVE = spec(EnterAlways), "LeaveAfter"


def ran(**changes: Any) -> tuple[Spy, FakePairBroker, Any]:
    broker = changes.pop("broker", None) or FakePairBroker()
    spy = Spy()
    strategy = run(PairStrategy, plan(**changes), LEGS, broker=broker, spy=spy)
    return spy, broker, strategy


def steady(**leave: Any) -> dict[str, Any]:
    """Rules that enter whenever they may, with statistics known from the 11th bar on."""
    wanted = spec(ZScoreEntryMixin, e_window=10).params
    entry = type(ENTER)("EnterAlways", EnterAlways, wanted)
    return {"entry": entry, "exit": spec(LeaveAfter, **leave)}


def answers(spy: Spy, first: int, last: int) -> list[str]:
    return [str(seen) for seen in spy.decisions if first <= seen.bar <= last]


def test_every_bar_after_the_warm_up_gets_one_decision_and_none_before():
    spy, broker, _ = ran(trade_after=at(40))
    assert [seen.bar for seen in spy.decisions] == list(range(41, 151))
    assert [number for number, _ in broker.steps] == list(range(1, 151))


def test_warm_up_bars_are_looked_at_so_that_the_first_decision_knows_its_z():
    spy, _, _ = ran(trade_after=at(40))
    whole, _, _ = ran()
    assert np.isfinite(spy.decisions[0].zscore)
    assert [seen.zscore for seen in spy.decisions] == [seen.zscore for seen in whole.decisions][40:]


def test_a_trade_is_entered_held_and_left_and_every_bar_says_why():
    spy, broker, _ = ran(**steady(x_bars=3, x_reason="reversion"), trade_after=at(20))
    assert answers(spy, 21, 25) == [
        "21 EnterAlways: enter_long (always)",
        "22 LeaveAfter: hold (reversion)",
        "23 LeaveAfter: hold (reversion)",
        "24 LeaveAfter: exit (reversion)",
        "25 EnterAlways: enter_long (always)",
    ]
    assert [order.action for order in broker.orders[:3]] == [Action.ENTER, Action.EXIT, Action.ENTER]


def test_bars_held_count_the_bars_that_closed_since_the_entry_was_decided():
    for bars in (1, 2, 7):
        spy, _, _ = ran(**steady(x_bars=bars), trade_after=at(20))
        entries, exits = ([s.bar for s in spy.decisions if s.answer == word] for word in ("enter_long", "exit"))
        assert entries[0] == 21 and len(exits) > 10
        assert {left - entered for entered, left in zip(entries, exits, strict=False)} == {bars}


def test_while_in_a_position_the_exit_rule_alone_is_asked():
    spy, broker, _ = ran(**steady(x_bars=1000), trade_after=at(20))
    assert {seen.rule for seen in spy.decisions if seen.bar > 21} == {LEAVE}
    assert len(broker.orders) == 1


def test_an_exit_and_an_entry_never_share_a_bar():
    spy, broker, _ = ran(**steady(x_bars=1, x_reason="reversion"), trade_after=at(20))
    times = [order.decided_at for order in broker.orders]
    assert len(times) > 50 and len(times) == len(set(times))


def test_after_a_stop_the_pair_waits_for_calm_and_then_for_the_cool_down():
    rules = steady(x_bars=3, x_reason="stop", x_calm_from=28, x_cooldown_bars=3)
    spy, _, _ = ran(**rules, trade_after=at(20))
    assert answers(spy, 24, 31) == [
        "24 LeaveAfter: exit (stop)",
        *(f"{bar} re_entry: no (latched)" for bar in (25, 26, 27)),
        *(f"{bar} re_entry: no (cooldown)" for bar in (28, 29, 30)),
        "31 EnterAlways: enter_long (always)",
    ]


def test_after_a_reversion_the_pair_waits_for_nothing():
    rules = steady(x_bars=3, x_reason="reversion", x_calm_from=1000, x_cooldown_bars=50)
    spy, _, _ = ran(**rules, trade_after=at(20))
    assert answers(spy, 25, 25) == ["25 EnterAlways: enter_long (always)"]


def test_an_exit_that_risk_decided_latches_too():
    class RiskBroker(FakePairBroker):
        def bind(self, strategy: Any) -> None:
            self.strategy = strategy

        def begin_step(self, time, prices):
            super().begin_step(time, prices)
            if time == at(23):
                self.strategy.desk("A_B").on_exit("stop_loss")
                self.submit(self.positions["A_B"].exit_order(prices, time, "stop_loss"))

    rules = steady(x_bars=1000, x_calm_from=27, x_cooldown_bars=2)
    spy, _, _ = ran(**rules, trade_after=at(20), broker=RiskBroker())
    assert answers(spy, 22, 29) == [
        "22 LeaveAfter: hold (time)",
        "23 broker: wait (exiting)",
        *(f"{bar} re_entry: no (latched)" for bar in (24, 25, 26)),
        *(f"{bar} re_entry: no (cooldown)" for bar in (27, 28)),
        "29 EnterAlways: enter_long (always)",
    ]


def test_an_exit_of_an_earlier_process_latches_and_the_warm_up_counts_it_down():
    rules = steady(x_calm_from=18, x_cooldown_bars=5)
    spy, _, _ = ran(**rules, trade_after=at(20), last_exits={"A_B": (at(12), "stop")})
    assert answers(spy, 21, 23) == [
        "21 re_entry: no (cooldown)",
        "22 re_entry: no (cooldown)",
        "23 EnterAlways: enter_long (always)",
    ]


def test_the_bar_of_an_exit_does_not_open_the_latch_that_the_exit_set():
    """Calm as it may be: a process that restarts must wait as long as one that never stopped."""
    rules = steady(x_calm_from=1, x_cooldown_bars=8)
    spy, _, _ = ran(**rules, trade_after=at(19), last_exits={"A_B": (at(12), "stop")})
    assert answers(spy, 20, 21) == ["20 re_entry: no (cooldown)", "21 EnterAlways: enter_long (always)"]


@pytest.mark.parametrize(
    "last_exits", [{"A_B": (at(12), "reversion")}, {"C_D": (at(12), "stop")}, {"A_B": (at(1000), "stop")}]
)
def test_only_this_pairs_own_latching_exits_of_the_past_count(last_exits):
    spy, _, _ = ran(**steady(x_calm_from=1000), trade_after=at(20), last_exits=last_exits)
    assert answers(spy, 21, 21) == ["21 EnterAlways: enter_long (always)"]


def test_a_position_from_before_goes_on_with_the_bars_that_it_was_held():
    for bars, leaves in ((16, 21), (18, 23)):
        broker = FakePairBroker()
        legs = (LegPosition("AUSDT", Decimal(1), Decimal(100)), LegPosition("BUSDT", Decimal(-2), Decimal(50)))
        broker.positions["A_B"] = PairPosition(
            "A_B", PairState.OPEN, Direction.LONG, legs, at(5), -2.0, None, None, 200.0
        )
        spy, _, _ = ran(**steady(x_bars=bars), trade_after=at(20), broker=broker)
        assert next(seen.bar for seen in spy.decisions if seen.answer == "exit") == leaves


def test_while_orders_are_under_way_the_desk_waits_and_says_so():
    spy, broker, _ = ran(
        **steady(x_bars=5, x_reason="reversion"), trade_after=at(20), broker=FakePairBroker(slow_steps=2)
    )
    assert answers(spy, 21, 29) == [
        "21 EnterAlways: enter_long (always)",
        "22 broker: wait (entering)",
        "23 broker: wait (entering)",
        "24 LeaveAfter: hold (reversion)",
        "25 LeaveAfter: hold (reversion)",
        "26 LeaveAfter: exit (reversion)",
        "27 broker: wait (exiting)",
        "28 broker: wait (exiting)",
        "29 EnterAlways: enter_long (always)",
    ]
    assert len({order.ref for order in broker.orders}) == len(broker.orders)


def test_a_size_that_the_venue_would_refuse_is_written_down_and_not_sent():
    rules = {symbol: market(symbol, min_notional="100000") for symbol in PAIR.symbols}
    spy, broker, _ = ran(**steady(), trade_after=at(20), markets=rules)
    assert answers(spy, 21, 21) == ["21 EnterAlways: refused (below_minimum:AUSDT)"]
    assert spy.refusals[0] == (21, "A_B", ("below_minimum:AUSDT",))
    assert broker.orders == []


def test_an_entry_carries_what_it_was_decided_on():
    spy, broker, strategy = ran(trade_after=at(20))
    order = broker.orders[0]
    decided = next(seen for seen in spy.decisions if seen.answer.startswith("enter"))
    row = decided.bar - 1
    lines = strategy.desks[0].lines
    assert order.ref == f"A_B:enter:{at(decided.bar):%Y%m%dT%H%M%SZ}"
    assert (order.decided_at, order.zscore, order.reason) == (at(decided.bar), decided.zscore, "entry")
    assert abs(order.zscore) >= 1.5
    assert order.direction is (Direction.SHORT if order.zscore > 0 else Direction.LONG)
    assert [leg.reference_price for leg in order.legs] == [leg.close[row] for leg in LEGS]
    assert (order.statistics.mean, order.statistics.std) == (lines.mean.array[row], lines.std.array[row])
    assert order.statistics.zscore(*decided.prices) == pytest.approx(order.zscore)
    assert order.half_life_bars > 0
    signs = [np.sign(float(leg.quantity)) for leg in order.legs]
    assert signs == [order.direction.sign, -order.direction.sign]


def test_an_exit_closes_the_legs_as_they_are_held_and_reads_the_frozen_z():
    _, broker, _ = ran(trade_after=at(20))
    entry, leave = broker.orders[:2]
    assert [leg.quantity for leg in leave.legs] == [-leg.quantity for leg in entry.legs]
    assert leave.direction is entry.direction
    assert leave.zscore == entry.statistics.zscore(*(leg.reference_price for leg in leave.legs))
    assert leave.reason == "reversion"


def test_a_pairs_own_half_life_wins_over_the_measured_one():
    pair = type(PAIR)("A_B", "AUSDT", "BUSDT", PAIR.hedge, half_life_bars=7.5)
    broker = FakePairBroker()
    run(PairStrategy, plan(pair, trade_after=at(20)), LEGS, broker=broker)
    assert {order.half_life_bars for order in broker.orders if order.action is Action.ENTER} == {7.5}


def test_volatility_is_measured_on_the_spread_by_the_hedge_in_force_now():
    _, _, strategy = ran()
    spread = np.log(LEGS[0].close[-100:]) - np.log(LEGS[1].close[-100:])
    assert strategy.desks[0].change_volatility() == pytest.approx(np.std(np.diff(spread), ddof=1))


@pytest.mark.parametrize("method", ["fixed", "risk", "kelly", "volatility"])
def test_every_sizing_method_trades(method):
    sizing = SizingSpec(method, max_pair_fraction=0.5)
    _, broker, _ = ran(trade_after=at(40), sizing=sizing)
    entries = [order for order in broker.orders if order.action is Action.ENTER]
    assert len(entries) > 2
    assert all(0.0 < order.gross_notional <= 5000.0 for order in entries)


def lagging(missing: int) -> tuple:
    keep = np.array([number for number in range(1, 151) if number != missing])
    return LEGS[0], series("BUSDT", LEGS[1].close[keep - 1], numbers=keep)


def test_a_stale_leg_never_reaches_a_rule():
    broker, spy = FakePairBroker(), Spy()
    run(PairStrategy, plan(), lagging(40), broker=broker, spy=spy, runonce=False, preload=False)
    assert [seen.bar for seen in spy.decisions] == [bar for bar in range(1, 151) if bar != 40]
    for seen in spy.decisions:
        assert seen.prices == (LEGS[0].close[seen.bar - 1], LEGS[1].close[seen.bar - 1])
    assert all(np.isnan(seen.zscore) and seen.reason == "not_ready" for seen in spy.decisions if seen.bar > 40)
