from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ccxt_bt_bridge.words import Side
from tests.trading.execution.engine_rig import PAIR, entry_order
from tests.trading.plays import play, round_trip
from tests.trading.reports.result_samples import sample_trade
from trading.events import Alarm, EntryRefused, OrderFinished, PairClosed
from trading.execution.quality import SAMPLES, ExecutionQuality, Sampled
from trading.journal.words import Intent, IntentState

D = Decimal
NOW = datetime(2024, 1, 1, tzinfo=UTC)


def finished(average: str, *, side: Side = Side.BUY, latency_ms: int = 10, filled: str = "1") -> OrderFinished:
    intent = Intent(
        client_order_id="c", pair_id="A_B", ref="r", action="enter", leg=0, symbol="A", side=side, amount=D(1),
        state=IntentState.DONE, filled=D(filled), average=D(average), created_ms=0, reference_price=100.0,
    )  # fmt: skip
    return OrderFinished(NOW, intent, "closed", latency_ms)


@pytest.mark.parametrize(("side", "average", "cost"), [(Side.BUY, "100.2", 0.2), (Side.SELL, "100.2", -0.2)])
def test_slippage_is_what_a_fill_cost_against_the_price_of_the_decision(side, average, cost):
    quality = ExecutionQuality()
    quality.on_event(finished(average, side=side))
    assert quality.average_slippage_pct == pytest.approx(cost)
    assert quality.slippage_metrics()["max_slippage_pct"] == pytest.approx(cost)


def test_an_order_that_did_not_fill_has_neither_latency_nor_slippage():
    quality = ExecutionQuality()
    quality.on_event(finished("100", filled="0"))
    assert (quality.orders, quality.latency.count, quality.slippage.count) == (1, 0, 0)


def test_percentiles_are_those_of_the_nearest_rank():
    quality = ExecutionQuality()
    for latency_ms in range(1, 101):
        quality.on_event(finished("100", latency_ms=latency_ms))
    speed = quality.speed_metrics()
    assert [speed[f"p{rank}_latency_ms"] for rank in (50, 95, 99)] == [50, 95, 99]
    assert (speed["avg_latency_ms"], speed["max_latency_ms"], speed["orders"]) == (50.5, 100, 100)


def test_percentiles_forget_what_is_long_ago_and_averages_do_not():
    sampled = Sampled()
    for value in [0.0] * SAMPLES + [1.0] * SAMPLES:
        sampled.add(value)
    assert sampled.percentiles(1) == {"p1": 1.0} and sampled.average == 0.5


def test_an_order_that_cost_more_than_the_limit_is_an_alarm():
    told: list[Alarm] = []
    quality = ExecutionQuality(0.5, told.append)
    for average in ("100.5", "100.6"):
        quality.on_event(finished(average))
    assert quality.alerts == 1 and "buy of A slipped 0.60 %, more than 0.5 %" in told[0].message


@pytest.mark.parametrize("limit", [None, 1.0])
def test_without_a_limit_or_below_it_nobody_is_alarmed(limit):
    told: list[Alarm] = []
    quality = ExecutionQuality(limit, told.append)
    quality.on_event(finished("100.6"))
    assert not told and quality.record().alerts == 0


def test_the_cost_between_the_legs_is_counted_by_pair_trade():
    told: list[Alarm] = []
    quality = ExecutionQuality(0.5, told.append)
    trade = sample_trade(1, legging_cost=D("-42.0018"))  # of 4,200.185 entered
    quality.on_event(PairClosed(NOW, trade, None))
    assert quality.legging_metrics()["avg_legging_pct"] == pytest.approx(1.0, rel=1e-3)
    assert quality.legging_metrics()["legging_cost"] == -42.0018
    assert "between its legs ETH_BTC lost 1.00 %" in told[0].message


def test_refusals_are_counted():
    quality = ExecutionQuality()
    quality.on_event(EntryRefused(NOW, entry_order(PAIR.pair_id, {"A": D(1)}, NOW), ("max_positions",)))
    assert quality.refused == 1


def test_a_round_trip_of_the_engine_is_four_orders_and_one_pair_trade(tmp_path):
    quality = ExecutionQuality()

    async def script(rig):
        rig.floor.bus.add(quality.on_event)
        await round_trip(rig)

    play(tmp_path, script, terms={"latency_ms": 20.0, "slippage_bps": D(2)})
    assert (quality.orders, quality.opened, quality.legging.count) == (4, 1, 1)
    assert quality.latency.average >= 20.0 and quality.record().p95_slippage_pct > 0.0
