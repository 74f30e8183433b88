from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum

import numpy as np
import pytest

from brokers.funding import FundingSchedule
from brokers.simulated.exchange import SimulatedExchange
from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.words import OrderRequest, Side
from pairs.words import PairPosition, SpreadStatistics, entry_ref
from tests.tasks import end_all
from tests.trading.engines import BTC, ETH, WIDE, D, market, open_exchange, rule, running, started
from tests.trading.runs import write_config
from tests.virtual_time import run_virtual
from trading.config.confirmation import NotConfirmed
from trading.config.loader import load_config
from trading.control.controls import CommandRefused
from trading.events import Alarm
from trading.execution.exchange_ports import ports_of
from trading.execution.funding_book import FundingBook
from trading.execution.price_watch import PriceWatch
from trading.execution.settings import ExecutionSettings
from trading.execution_engine import ExecutionEngine, ExecutionMode, SignalAction, SignalType, TradingSignal
from trading.execution_models import ExecutionOrder, ExecutionStatus
from trading.risk.state import GUARD_KEY
from trading.risk_guard import Breaker, RiskGuard, TrailingStop

STILL = [50_000.0] * 30
BUY = TradingSignal(symbol=BTC, action=SignalAction.BUY, quantity=0.01)
FUNDED = {"funding": {BTC: FundingSchedule(None, D("0.001"))}}


def held(exchange, symbol: str = BTC):
    return exchange.venue.account.ledger.amount(symbol)


FAIR = SpreadStatistics(1.0, 0.0, mean=-3.2189, std=0.01)  # at the first prices
OF_PAIR = {"symbol": None, "action": None, "pair_x": "ETH", "pair_y": "BTC", "signal_type": SignalType.BUY}


def alarms_of(engine: ExecutionEngine) -> list[str]:
    """Those that follow."""
    told: list[str] = []
    engine._accounts["mock"].bus.add(lambda event: told.append(event.message) if isinstance(event, Alarm) else None)
    return told


def books(engine: ExecutionEngine) -> Decimal:
    """Equity while no price moves: what the wallet should be."""
    return D(str(engine._accounts["mock"].floor.ledger.equity({})))


async def unreachable(symbol: str):
    raise ExchangeUnreachable(f"no quote of {symbol}")


async def unreachable_account():
    raise ExchangeUnreachable("no answer")


class Kind(Enum):
    MOMENTUM = "momentum"


# one symbol


def test_a_signal_is_an_order_and_a_position(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            result = await engine.execute_signal(replace(BUY, price=50_000.0, stop_loss=48_000.0), "mock")
            assert result.success and result.error is None
            assert result.order.order_id and result.order.status is ExecutionStatus.FILLED
            assert result.order.filled_quantity == 0.01 and result.order.slippage_pct == 0.0
            assert (result.position.symbol, result.position.side, result.position.quantity) == (BTC, "LONG", 0.01)
            assert result.position.stop_loss_price == 48_000.0
            assert held(exchange) == D("0.01")

    run_virtual(main())


def test_a_position_is_closed_by_name_and_stays_in_the_history(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(BUY)
            result = await engine.close_position("BTC/USDT", "mock", "enough")
            assert result.success and held(exchange) == 0
            assert result.order.reduce_only and result.order.side == "SELL"
            assert result.position.close_reason == "enough" and not result.position.is_open
            assert result.position.realized_pnl == pytest.approx(-0.5)  # two fees of 0.05 % on 500
            assert engine.position_tracker.position_history == (result.position,)
            assert engine.get_summary()["total_trades"] == 1

    run_virtual(main())


def test_a_position_of_the_engine_is_not_closed_on_paper_alone(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(BUY)
            tracker = engine.position_tracker
            with pytest.raises(ValueError, match="an engine holds the positions on mock: close it with the engine's"):
                await tracker.close_position("BTC/USDT")
            with pytest.raises(ValueError, match="open it with the engine's execute_signal"):
                await tracker.open_position(symbol="ETH/USDT", side="LONG", quantity=1, entry_price=10, exchange="mock")
            assert tracker.get_position("BTC/USDT") and held(exchange)

    run_virtual(main())


@pytest.mark.parametrize("quantity", [None, 0.01])
def test_an_order_against_what_is_held_closes_it(tmp_path, quantity):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(BUY)
            result = await engine.execute_signal(replace(BUY, action=SignalAction.SELL, quantity=quantity))
            assert result.success and held(exchange) == 0

    run_virtual(main())


@pytest.mark.parametrize(
    ("opening", "quantity"),
    [(0.0333, 0.0333), (0.0333, 0.033), (0.03, 0.1 + 0.2 - 0.27), (0.03, 0.57 - 0.54)],
)
def test_an_order_against_what_is_held_is_of_its_size_within_a_step(tmp_path, opening, quantity):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(replace(BUY, quantity=opening))
            result = await engine.execute_signal(replace(BUY, action=SignalAction.SELL, quantity=quantity))
            assert result.success and held(exchange) == 0, result.error

    run_virtual(main())


@pytest.mark.parametrize("placed_by", ["a signal", "an order manager"])
def test_the_owners_coins_are_not_sold_on_spot(tmp_path, placed_by):
    async def main():
        spot = {symbol: replace(rule(symbol), kind="spot") for symbol in (BTC, ETH)}
        exchange = open_exchange(market(STILL), markets=spot)
        await exchange.create_order(OrderRequest("owner", BTC, Side.BUY, D("0.05"), "market", None, False))
        async with started(exchange, tmp_path) as engine:
            if placed_by == "a signal":
                sold = await engine.execute_signal(replace(BUY, action=SignalAction.SELL))
                assert sold.error == "spot_cannot_be_sold_short:BTCUSDT"
            else:
                assert await engine.order_manager.place_order(ExecutionOrder(BTC, "SELL", 0.01), exchange) is None
            assert (await exchange.account()).amount(BTC) > D("0.049")
            assert (await engine.emergency_stop_all())["state"] == {"mock": "flat"}

    run_virtual(main())


def test_what_a_fee_in_coins_left_of_a_purchase_is_sold_by_the_size_that_was_bought(tmp_path):
    async def main():
        rules = replace(rule(BTC), kind="spot", amount_step=D("0.00001"))
        exchange = open_exchange(market(STILL), markets={BTC: rules})
        async with started(exchange, tmp_path) as engine:
            bought = await engine.execute_signal(replace(BUY, quantity=0.1))
            assert bought.position.quantity == 0.09995
            result = await engine.execute_signal(replace(BUY, action=SignalAction.SELL, quantity=0.1))
            assert result.success and not engine.position_tracker.open_positions, result.error

    run_virtual(main())


@pytest.mark.parametrize(
    ("quantity", "error"), [(0.02, "0.01 is held the other way"), (0.009, "0.009 would leave a part of it")]
)
def test_an_order_against_what_is_held_in_another_size_is_refused(tmp_path, quantity, error):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(BUY)
            result = await engine.execute_signal(replace(BUY, action=SignalAction.SELL, quantity=quantity))
            assert not result.success and error in result.error
            assert held(exchange) == D("0.01")

    run_virtual(main())


def test_a_signal_without_a_size_takes_the_share_of_equity_it_suggests(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            signal = TradingSignal(symbol="BTC", action=SignalAction.SELL, suggested_position_size=0.5)
            result = await engine.execute_signal(signal)
            assert result.success and held(exchange) == D("-0.1")

    run_virtual(main())


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"symbol": "DOGE/USDT"}, "the exchange has no DOGE/USDT"),
        ({"quantity": float("nan")}, "positive numbers were wanted"),
        ({"quantity": -1.0}, "positive numbers were wanted"),
        ({"quantity": "0.01"}, "positive numbers were wanted"),
        ({"quantity": True}, "positive numbers were wanted"),
        ({"z_score": "2"}, "finite numbers were wanted"),
        ({"quantity": 0.0001}, "comes to nothing"),
        ({"price": 50_000.0, "stop_loss": 51_000.0}, "is reached at the price"),
        ({"stop_loss_z": 3.0}, "need statistics"),
        ({"z_score": float("nan")}, "finite numbers were wanted"),
        ({"statistics": SpreadStatistics(1.0, 0.0, float("nan"), 1.0, "log")}, "finite numbers were wanted"),
        ({"statistics": SpreadStatistics(1.0, 0.0, 0.0, 1.0)}, "statistics are of a pair's spread"),
        ({"price": 7_000.0}, "is not near the market's"),
        ({"action": SignalAction.CLOSE}, "nothing to close"),
        ({"price": "50000"}, "positive numbers were wanted"),
        ({"quantity": D("NaN")}, "positive numbers were wanted"),
        ({"strategy_id": SignalAction}, "a text was wanted as strategy_id"),
        ({"reason": 5}, "a text was wanted as reason"),
        ({"timestamp": datetime(2020, 1, 1, tzinfo=UTC)}, "longest_decision_age_s is 3600"),
        ({"timestamp": datetime(2024, 1, 1)}, "a datetime with a time zone was wanted"),
        ({"timestamp": 1_704_067_200}, "a datetime with a time zone was wanted"),
        (OF_PAIR | {"statistics": "x"}, "SpreadStatistics were wanted"),
        (OF_PAIR | {"statistics": replace(FAIR, hedge_ratio="1.0")}, "finite numbers were wanted"),
        (OF_PAIR | {"statistics": replace(FAIR, hedge_ratio=-1.0)}, "a positive hedge_ratio and std"),
        (OF_PAIR | {"statistics": replace(FAIR, std=0.0)}, "a positive hedge_ratio and std"),
        (OF_PAIR | {"statistics": replace(FAIR, prices="foo")}, "log or level prices were wanted"),
        (OF_PAIR | {"statistics": replace(FAIR, mean=-3.1689), "stop_loss_z": 4.0}, "stop_loss_z 4.0 is reached"),
        (OF_PAIR | {"statistics": replace(FAIR, mean=-3.2689), "take_profit_z": 0.5}, "take_profit_z 0.5 is reached"),
        (OF_PAIR | {"hedge_ratio": -1.0}, "positive numbers were wanted"),
        (OF_PAIR | {"stop_loss": 2_100.0}, "stop_loss 2100.0 is reached"),
        (OF_PAIR | {"take_profit": 1_900.0}, "take_profit 1900.0 is reached"),
    ],
)
def test_a_signal_that_makes_no_sense_sends_nothing(tmp_path, fields, error):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            result = await engine.execute_signal(replace(BUY, **fields))
            assert not result.success and error in result.error and result.order is None
            assert not exchange.venue.fills and engine.get_performance_metrics()["engine"]["success_rate"] == 0.0

    run_virtual(main())


@pytest.mark.parametrize(
    "fields",
    [
        {"quantity": D("0.01")},
        {"quantity": np.float32(0.01)},
        {"quantity": np.float64(0.01), "price": D(50_000)},
        {"quantity": 0.01, "stop_loss": np.int64(48_000), "strategy_id": Kind.MOMENTUM},
        {"quantity": 0.01, "timestamp": datetime(2024, 1, 1, 0, 30, tzinfo=UTC)},
        {"quantity": 0.01, "timestamp": datetime(2030, 1, 1, tzinfo=UTC)},  # a wall's clock beside a market's
    ],
)
def test_numbers_and_texts_of_other_types_are_taken_as_they_read(tmp_path, fields):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            result = await engine.execute_signal(replace(BUY, **fields))
            assert result.success and held(exchange) == D("0.01"), result.error
            assert result.position.strategy_id == ("momentum" if "strategy_id" in fields else "")

    run_virtual(main())


@pytest.mark.parametrize(("ahead_s", "is_taken"), [(3, True), (10, False), (1e9, False)])
def test_on_a_real_market_a_signal_from_the_future_opens_nothing_and_closes(tmp_path, ahead_s, is_taken):
    async def main():
        exchange = open_exchange(market(STILL))
        real = replace(ports_of(exchange), network="testnet")
        async with started(real, tmp_path, execution_mode=ExecutionMode.DEMO) as engine:
            dated = replace(BUY, timestamp=ms_to_datetime(exchange.clock.now_ms()) + timedelta(seconds=ahead_s))
            result = await engine.execute_signal(dated)
            assert result.success is is_taken and held(exchange) == (D("0.01") if is_taken else 0), result.error
            assert is_taken or f"is {ahead_s:.0f} s in the future" in result.error
            await engine.execute_signal(BUY)
            assert (await engine.execute_signal(replace(dated, action=SignalAction.CLOSE))).success

    run_virtual(main())


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"action": SignalAction.SELL, "quantity": "abc"}, "positive numbers were wanted"),
        ({"action": SignalAction.SELL, "quantity": float("inf")}, "positive numbers were wanted"),
        ({"action": SignalAction.CLOSE, "quantity": 0.001}, "0.01 is held and closed as a whole: 0.001 would leave"),
        ({"action": SignalAction.CLOSE, "quantity": 0.01}, None),
        ({"action": SignalAction.CLOSE, "quantity": 5.0}, None),
        ({"action": SignalAction.CLOSE, "quantity": 0.00999}, None),
        ({"action": SignalAction.CLOSE, "quantity": -0.01}, None),
        ({"action": SignalAction.CLOSE, "quantity": -0.001}, "0.001 would leave a part of it"),
        ({"action": SignalAction.CLOSE, "quantity": 0.0}, None),
        ({"action": SignalAction.CLOSE, "quantity": float("nan")}, None),
        ({"action": SignalAction.CLOSE, "quantity": float("inf")}, None),
        ({"action": SignalAction.CLOSE, "quantity": "all"}, None),
        ({"action": SignalAction.CLOSE, "quantity": None, "price": "x", "reason": 5}, None),
        ({"action": SignalAction.CLOSE, "quantity": None, "timestamp": datetime(2020, 1, 1)}, None),
    ],
)
def test_an_exit_is_whole_and_needs_no_more_than_its_size(tmp_path, fields, error):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(BUY)
            result = await engine.execute_signal(replace(BUY, **fields))
            assert result.success is (error is None) and (error or "") in (result.error or "")
            assert held(exchange) == (D("0.01") if error else 0) and not engine.is_halted

    run_virtual(main())


def test_what_is_no_signal_is_named(tmp_path):
    async def main():
        async with started(open_exchange(market(STILL)), tmp_path) as engine:
            for thing, name in ((None, "NoneType"), ({"symbol": "BTC/USDT"}, "dict")):
                result = await engine.execute_signal(thing)
                assert (result.success, result.error) == (False, f"a TradingSignal was wanted, found {name}")

    run_virtual(main())
    with pytest.raises(ValueError, match="wanted a SignalAction, such as SignalAction.BUY; found 'BUY'"):
        replace(BUY, action="BUY")


def test_what_the_risk_guard_refuses_is_told_with_every_reason(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        guard = RiskGuard(max_positions=1, max_exposure=0.04)
        async with started(exchange, tmp_path, risk_guard=guard) as engine:
            result = await engine.execute_signal(BUY)
            assert (result.success, result.error) == (False, "max_exposure")

    run_virtual(main())


def test_one_signal_at_a_time_is_carried_out_for_a_symbol(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), latency_ms=50.0)
        async with started(exchange, tmp_path) as engine:
            results = await asyncio.gather(*(engine.execute_signal(BUY) for _ in range(5)))
            assert sorted(result.success for result in results) == [False] * 4 + [True]
            assert held(exchange) == D("0.01")

    run_virtual(main())


def test_whoever_stops_waiting_stops_nothing(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), latency_ms=1_000.0)
        async with started(exchange, tmp_path) as engine:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(engine.execute_signal(PAIR), 1.5)
            await asyncio.sleep(10.0)
        assert (held(exchange, ETH), held(exchange, BTC)) == (D("0.25"), D("-0.010"))

    run_virtual(main())


# a pair

PAIR = TradingSignal(pair_x="ETH", pair_y="BTC/USDT:USDT", signal_type=SignalType.BUY, suggested_position_size=0.1)


def test_a_pair_signal_buys_one_leg_and_sells_the_other(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            result = await engine.execute_signal(PAIR)
            assert result.success and len(result.orders) == 2
            assert result.position.symbol == f"{ETH}_{BTC}" and result.position.side == "LONG"
            assert (held(exchange, ETH), held(exchange, BTC)) == (D("0.25"), D("-0.010"))
            closed = await engine.close_position(("ETH/USDT", "BTC/USDT"), reason="manual")
            assert closed.success and held(exchange, ETH) == held(exchange, BTC) == 0

    run_virtual(main())


@pytest.mark.parametrize(
    ("signal", "name"),
    [
        (BUY, "btc"),
        (BUY, ("BTC",)),
        (PAIR, "ETH_BTC"),
        (PAIR, ("ETH", "BTC")),
        (PAIR, "ETH/USDT_BTC/USDT:USDT"),
    ],
)
def test_a_position_is_closed_by_every_name_that_a_signal_may_give(tmp_path, signal, name):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(signal)
            assert (await engine.close_position(name)).success and held(exchange) == 0

    run_virtual(main())


@pytest.mark.parametrize("wanted", [None, 5, b"x", (BTC, None), {}])
def test_what_names_no_position_is_refused(tmp_path, wanted):
    async def main():
        async with started(open_exchange(market(STILL)), tmp_path) as engine:
            await engine.execute_signal(BUY)
            assert "a symbol, a pair or a tracked position was wanted" in (await engine.close_position(wanted)).error
            assert "wanted one of mock" in (await engine.close_position(BTC, [5])).error
            assert (await engine.close_position(BTC, reason=wanted)).position.close_reason == "closed"

    run_virtual(main())


def test_an_exit_signal_leaves_the_pair(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(PAIR)
            result = await engine.execute_signal(replace(PAIR, signal_type=SignalType.EXIT, reason="reversion"))
            assert result.success and result.position.close_reason == "reversion"

    run_virtual(main())


def test_a_pair_whose_hedge_is_refused_is_unwound_and_says_so(tmp_path):
    faults = [{"kind": "reject", "on": "create_order", "symbol": symbol, "at": 1, "times": 3} for symbol in (BTC,)]

    async def main():
        exchange = open_exchange(market(STILL), faults=faults)
        async with started(exchange, tmp_path) as engine:
            result = await engine.execute_signal(PAIR)
            assert not result.success and result.position is None
            assert held(exchange, ETH) == held(exchange, BTC) == 0

    run_virtual(main())


# watching

FALLING = [50_000.0, 50_000.0, 49_000.0, 47_500.0, 47_500.0, 47_500.0]


def test_a_stop_of_a_signal_is_watched_by_the_engine(tmp_path):
    async def main():
        exchange = open_exchange(market(FALLING))
        async with started(exchange, tmp_path, moves=True, watch_s=300.0) as engine:
            await engine.execute_signal(replace(BUY, stop_loss=48_000.0, take_profit=60_000.0, strategy_id="momentum"))
            while engine.position_tracker.get_position("BTC/USDT"):
                await asyncio.sleep(300.0)
            (closed,) = engine.position_tracker.position_history
            assert (closed.close_reason, closed.strategy_id, held(exchange)) == ("stop_loss", "momentum", 0)
            assert closed.current_price == 47_500.0

    run_virtual(main())


@pytest.mark.parametrize("signal", ["a symbol", "a pair"])
def test_a_stop_that_is_reached_between_slices_ends_them(tmp_path, signal):
    settings = ExecutionSettings(slice_notional=500.0, slice_pause_s=1_800.0)
    wanted = replace(BUY, quantity=0.08, stop_loss=48_000.0)
    if signal == "a pair":
        wanted = replace(PAIR, signal_type=SignalType.SELL, quantity=1.0, statistics=FAIR, stop_loss_z=4.0)

    async def main():
        exchange = open_exchange(market([*FALLING, *[47_500.0] * 30]))
        terms = {"settings": settings, "watch_s": 60.0}
        async with started(exchange, tmp_path, moves=True, **terms) as engine:
            entering = asyncio.ensure_future(engine.execute_signal(wanted))
            most = D(0)
            while not entering.done() or engine.position_tracker.open_positions:
                await asyncio.sleep(60.0)
                most = max(most, abs(held(exchange)))
            whole = D("0.08") if signal == "a symbol" else D("0.04")
            assert entering.result().success and whole / 4 < most < whole
            closed = engine.position_tracker.position_history[0]
            assert closed.close_reason == ("stop_loss" if signal == "a symbol" else "stop_loss_z")

    run_virtual(main())


@pytest.mark.parametrize(
    ("levels", "kind", "reason"),
    [
        ({"stop_loss_z": 4.0}, SignalType.SELL, "stop_loss_z"),
        ({"stop_loss_z": 4.0}, SignalType.BUY, None),  # its profit
        ({"take_profit_z": 0.5}, SignalType.BUY, "take_profit_z"),  # also when it overshoots
    ],
)
def test_levels_of_z_are_of_the_losing_side(tmp_path, levels, kind, reason):
    statistics = replace(FAIR, mean=FAIR.mean + (0.0 if kind is SignalType.SELL else 0.01))

    async def main():
        exchange = open_exchange(market(FALLING, [2_000.0] * 6))
        async with started(exchange, tmp_path, moves=True, watch_s=300.0) as engine:
            entered = await engine.execute_signal(replace(PAIR, signal_type=kind, statistics=statistics, **levels))
            assert entered.success, entered.error
            await asyncio.sleep(4 * 3_600.0)
            closed = [position.close_reason for position in engine.position_tracker.position_history]
            assert closed == ([] if reason is None else [reason])

    run_virtual(main())


@pytest.mark.parametrize(
    ("where", "broken"),
    [(PairPosition, "frozen_zscore"), (PriceWatch, "equity"), (SimulatedExchange, "quote")],
)
def test_what_cannot_be_looked_at_is_told_and_hides_no_stop_of_another(tmp_path, monkeypatch, where, broken):
    real = getattr(where, broken)

    def breaks_for_the_pair(thing, *given):
        if where is PriceWatch or ETH in (*given, *(leg.symbol for leg in getattr(thing, "legs", ()))):
            raise TypeError("a defect")
        return real(thing, *given)

    async def main():
        exchange, told = open_exchange(market(FALLING)), []
        async with started(exchange, tmp_path, moves=True, watch_s=300.0) as engine:
            engine._accounts["mock"].bus.add(told.append)
            assert (await engine.execute_signal(replace(BUY, stop_loss=48_000.0))).success
            assert (await engine.execute_signal(replace(PAIR, statistics=FAIR))).success
            monkeypatch.setattr(where, broken, breaks_for_the_pair)
            await asyncio.sleep(4 * 3_600.0)
            assert engine.position_tracker.get_position(BTC) is None
            assert len([e for e in told if isinstance(e, Alarm) and "cannot be looked at" in e.message]) == 1
            assert engine.is_halted
            await engine.deactivate_circuit_breaker()
            await asyncio.sleep(600.0)
            assert engine.is_halted
            if where is PriceWatch:
                assert (await engine.execute_signal(replace(PAIR, signal_type=SignalType.EXIT))).success

    run_virtual(main())


def test_the_limits_of_the_risk_guard_are_watched(tmp_path):
    async def main():
        exchange = open_exchange(market(FALLING))
        guard = RiskGuard(WIDE, max_drawdown_pct=1.0, stop_loss_pct=4.0)
        async with started(exchange, tmp_path, moves=True, watch_s=300.0, risk_guard=guard) as engine:
            await engine.execute_signal(replace(BUY, quantity=0.1))
            while engine.position_tracker.open_positions:
                await asyncio.sleep(300.0)
            assert engine.position_tracker.position_history[0].close_reason == "stop_loss"
            metrics = engine.get_performance_metrics()
            assert metrics["risk"]["current_drawdown_pct"] == pytest.approx(2.5, abs=0.1)
            assert metrics["risk"]["risk_violations"] == ["max_drawdown", "max_daily_loss_pct"][:1]
            assert (await engine.execute_signal(BUY)).error.startswith("breaker_reduce_only")

    run_virtual(main())


def test_a_disk_that_refuses_the_guard_holds_up_no_exit_that_it_demands(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        guard = RiskGuard(WIDE, max_drawdown_pct=1.0, stop_loss_pct=4.0)
        async with started(exchange, tmp_path, risk_guard=guard) as engine:
            await engine.execute_signal(replace(BUY, quantity=0.1))
            engine.position_tracker.update_position_pnl(BTC, 47_000.0, exchange="mock")
            disk = engine._accounts["mock"].floor.journal._connection
            alarms = alarms_of(engine)
            disk.exec_driver_sql("PRAGMA query_only = ON")
            engine._watch.check_risk()
            disk.exec_driver_sql("PRAGMA query_only = OFF")
            await asyncio.sleep(60.0)
            assert guard.breaker is not Breaker.CLOSED and held(exchange) == 0
            assert engine.position_tracker.position_history[0].close_reason == "stop_loss"
            assert any(alarm.startswith("nothing more is sent") for alarm in alarms)
            assert not any("cannot be looked at" in alarm for alarm in alarms)

    run_virtual(main())


def test_a_price_that_stays_away_is_told_once_each_time(tmp_path):
    """The stops of what is held do not work then."""

    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path, watch_s=1.0) as engine:
            await engine.execute_signal(replace(BUY, stop_loss=48_000.0))
            alarms, ask = alarms_of(engine), exchange.quote
            for _ in range(2):
                exchange.quote = unreachable
                await asyncio.sleep(600.0)
                exchange.quote = ask
                await asyncio.sleep(10.0)
            told = "mock: no price of BTCUSDT for two minutes: until there is one, stops of what is held do not work"
            assert alarms == [told] * 2
            assert engine.risk_guard.breaker is Breaker.CLOSED

    run_virtual(main())


@pytest.mark.parametrize("slow", [ETH, "another account"])
def test_a_stop_waits_for_no_slow_price_of_another(tmp_path, slow):
    async def main():
        first, second = open_exchange(market(STILL)), open_exchange(market(STILL))
        engine = ExecutionEngine({"two": second, "one": first}, risk_guard=RiskGuard(WIDE), watch_s=1.0)
        await engine.start()
        of_another = replace(BUY, symbol=ETH, quantity=0.1)
        assert (await engine.execute_signal(of_another, "one" if slow == ETH else "two")).success
        assert (await engine.execute_signal(replace(BUY, stop_loss=49_000.0), "one")).success

        def quoted(ask, symbol_of):
            async def quote(symbol):
                if symbol_of == ETH == symbol:
                    await asyncio.sleep(60.0)
                real = await ask(symbol)
                return replace(real, price=D(48_000)) if symbol == BTC else real

            return quote

        first.quote = quoted(first.quote, slow)
        second.quote = quoted(second.quote, ETH)
        await asyncio.sleep(8.0 if slow == ETH else 2.0)
        assert held(first) == 0 and engine.position_tracker.position_history[0].close_reason == "stop_loss"
        assert engine.risk_guard.breaker is Breaker.CLOSED
        await engine.stop()

    run_virtual(main())


def test_a_stop_waits_for_no_slow_price_of_its_own(tmp_path):
    """The stop is reached at a price that was answered; the next answer takes ten minutes."""

    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path, watch_s=1.0) as engine:
            await engine.execute_signal(replace(BUY, stop_loss=49_000.0))
            ask, asked = exchange.quote, []

            async def quote(symbol):
                asked.append(symbol)
                if len(asked) > 1:
                    await asyncio.sleep(600.0)
                return replace(await ask(symbol), price=D(48_000))

            exchange.quote = quote
            await asyncio.sleep(10.0)
            assert held(exchange) == 0

    run_virtual(main())


def test_a_position_is_closed_and_none_opened_without_a_price(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(BUY)

            async def quote(symbol):
                await asyncio.sleep(86_400.0)

            exchange.quote = quote
            async with asyncio.timeout(20.0):
                assert (await engine.close_position(BTC)).success and held(exchange) == 0
                assert (await engine.execute_signal(BUY)).error == "no price of BTCUSDT now"

    run_virtual(main())


# the breaker and the emergency stop


def test_an_active_breaker_refuses_entries_and_lets_positions_be_closed(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(BUY)
            engine.activate_circuit_breaker("high_volatility")
            refused = await engine.execute_signal(PAIR)
            assert "high_volatility" in refused.error and engine.is_halted
            assert (await engine.close_position(BTC)).success
            engine.deactivate_circuit_breaker()
            assert (await engine.execute_signal(PAIR)).success and not engine.is_halted

    run_virtual(main())


def test_an_active_breaker_outlives_the_process(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
        async with started(exchange, tmp_path) as engine:
            engine.activate_circuit_breaker("high_volatility")
            await engine.execute_signal(BUY)
        async with started(exchange, tmp_path) as engine:
            assert "high_volatility" in (await engine.execute_signal(BUY)).error
            await engine.deactivate_circuit_breaker()
        async with started(exchange, tmp_path) as engine:
            assert (await engine.execute_signal(BUY)).success
        exchange.close()

    run_virtual(main())


def test_nobody_resumes_while_nobody_watches(tmp_path, monkeypatch):
    async def breaks(*_):
        raise TypeError("a defect")

    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
        with monkeypatch.context() as patched:
            patched.setattr(PriceWatch, "look", breaks)
            async with started(exchange, tmp_path, watch_s=1.0) as engine:
                await asyncio.sleep(5.0)
                with pytest.raises(CommandRefused, match="nobody watches .* stop the engine, start it again"):
                    await engine.deactivate_circuit_breaker()
                assert "task_broken" in (await engine.execute_signal(BUY)).error
        async with started(exchange, tmp_path, watch_s=1.0) as engine:
            await engine.deactivate_circuit_breaker()
            assert (await engine.execute_signal(BUY)).success
        exchange.close()

    run_virtual(main())


def test_the_watch_of_one_account_breaks_without_that_of_another(tmp_path, monkeypatch):
    real = PriceWatch.look

    async def breaks_for_one(watch, account):
        if account.name == "one":
            raise TypeError("a defect")
        await real(watch, account)

    async def main():
        first, second = open_exchange(market(STILL)), open_exchange(market(FALLING))
        engine = ExecutionEngine({"one": first, "two": second}, risk_guard=RiskGuard(WIDE), watch_s=300.0)
        await engine.start()
        play = asyncio.ensure_future(second.run_market())
        assert (await engine.execute_signal(replace(BUY, stop_loss=48_000.0), "two")).success
        monkeypatch.setattr(PriceWatch, "look", breaks_for_one)
        await asyncio.sleep(4 * 3_600.0)
        assert engine.is_halted and held(second) == 0
        with pytest.raises(CommandRefused, match="nobody watches"):
            await engine.deactivate_circuit_breaker()
        await engine.stop()
        await end_all([play])

    run_virtual(main())


def test_a_task_that_breaks_beside_halts_and_one_of_an_account_for_good(tmp_path):
    async def breaks():
        raise TypeError("a defect")

    async def main():
        async with started(open_exchange(market(STILL)), tmp_path, watch_s=1.0) as engine:
            engine._background.keep(breaks())
            await asyncio.sleep(1.0)
            assert engine.is_halted
            await engine.deactivate_circuit_breaker()
            assert not engine.is_halted
            engine._accounts["mock"]._background.keep(breaks())
            await asyncio.sleep(1.0)
            with pytest.raises(CommandRefused, match="mock: a stream or a task of it broke"):
                await engine.deactivate_circuit_breaker()

    run_virtual(main())


@pytest.mark.parametrize("was_started", [False, True])
def test_a_halt_of_an_engine_that_does_not_run_is_refused_and_an_emergency_stop_says_so(tmp_path, was_started):
    async def main():
        engine = ExecutionEngine({"mock": open_exchange(market(STILL))}, state_dir=None, watch_s=None)
        if was_started:
            await engine.start()
            await engine.stop()
        with pytest.raises(CommandRefused, match="the engine is not started: start it first, then halt it"):
            engine.activate_circuit_breaker("manual")
        with pytest.raises(CommandRefused, match="start it first, then resume it"):
            await engine.deactivate_circuit_breaker()
        stopped = await engine.emergency_stop_all()
        assert stopped["failed"] == ["the engine is not started: start it first"] and not stopped["closed_positions"]

    run_virtual(main())


def test_the_emergency_stop_closes_everything_and_latches(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(PAIR)
            done = await engine.emergency_stop_all()
            assert len(done["closed_positions"]) == 2 and done["cancelled_orders"] == done["failed"] == []
            assert held(exchange, ETH) == held(exchange, BTC) == 0
            assert not (await engine.execute_signal(BUY)).success
            await engine.deactivate_circuit_breaker("looked")
            assert (await engine.execute_signal(BUY)).success

    run_virtual(main())


# lives of an engine


def test_a_stop_opens_nothing_more_and_lets_what_is_held_be_closed(tmp_path):
    settings = ExecutionSettings(slice_notional=1_200.0, slice_pause_s=30.0, leverage=50.0)

    async def main():
        first, second = open_exchange(market(STILL), latency_ms=100.0), open_exchange(market(STILL), latency_ms=100.0)
        terms = {"risk_guard": RiskGuard(WIDE), "watch_s": None, "settings": settings}
        engine = ExecutionEngine({"one": first, "two": second}, **terms)
        await engine.start()
        assert (await engine.execute_signal(BUY, "two")).success
        entry = asyncio.ensure_future(engine.execute_signal(replace(PAIR, suggested_position_size=0.5), "one"))
        await asyncio.sleep(5.0)
        slice_of_it = held(first, ETH), held(first, BTC)
        stopped = asyncio.ensure_future(engine.stop())
        await asyncio.sleep(5.0)
        assert (await engine.execute_signal(BUY, "one")).error == "the engine is stopping"
        assert (await engine.close_position(BTC, "two")).success and held(second) == 0
        await stopped
        assert all(slice_of_it) and (held(first, ETH), held(first, BTC)) == slice_of_it
        assert entry.done() and entry.result().success

    run_virtual(main())


def test_a_stop_carries_out_what_was_asked_for_just_before(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), latency_ms=100.0)
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(BUY)
            account = engine._accounts["mock"]
            position = account.position("mock:BTCUSDT")
            order = position.exit_order({BTC: 50_000.0}, account.now, "closed")
            closing = asyncio.ensure_future(account.execute(order, account.pairs[order.pair_id]))
            while not account.under_way:
                await asyncio.sleep(0)
        assert closing.done() and closing.result().error == "" and held(exchange) == 0

    run_virtual(main())


def test_a_stop_waits_for_an_emergency_stop_under_way(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), latency_ms=100.0)
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(BUY)
            emergency = asyncio.ensure_future(engine.emergency_stop_all())
            await asyncio.sleep(0.01)
        assert (await emergency)["state"] == {"mock": "flat"} and held(exchange) == 0

    run_virtual(main())


def test_the_next_process_knows_what_was_open_with_its_stops(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(replace(BUY, stop_loss=48_000.0, strategy_id="one"))
        async with started(exchange, tmp_path) as engine:
            position = engine.position_tracker.get_position(BTC)
            assert (position.quantity, position.stop_loss_price, position.strategy_id) == (0.01, 48_000.0, "one")
            assert (await engine.execute_signal(BUY)).error == "already_in_position"
            assert (await engine.close_position(BTC)).success
        exchange.close()

    run_virtual(main())


@pytest.mark.parametrize("asked_by", ["a signal", "an order manager"])
def test_what_is_refused_leaves_the_stops_of_what_is_held(tmp_path, asked_by):
    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
        async with started(exchange, tmp_path) as engine:
            assert (await engine.execute_signal(replace(BUY, stop_loss=48_000.0))).success
            if asked_by == "a signal":
                assert (await engine.execute_signal(BUY)).error == "already_in_position"
            else:
                assert await engine.order_manager.place_order(ExecutionOrder(BTC, "BUY", 0.01), exchange) is None
        async with started(exchange, tmp_path) as engine:
            assert engine.position_tracker.get_position(BTC).stop_loss_price == 48_000.0
            assert (await engine.close_position(BTC)).success
            assert (await engine.execute_signal(BUY)).success
        async with started(exchange, tmp_path) as engine:
            assert engine.position_tracker.get_position(BTC).stop_loss_price is None, "of another position"
        exchange.close()

    run_virtual(main())


def test_the_books_have_every_payment_of_funding_whichever_process_hears_it(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite", **FUNDED)
        async with started(exchange, tmp_path, moves=True) as engine:
            await asyncio.sleep(0.25)  # no whole second
            await engine.execute_signal(BUY)
            await asyncio.sleep(8 * 3600)
            assert books(engine) == exchange.venue.account.ledger.wallet
        async with started(exchange, tmp_path, moves=True) as engine:
            await asyncio.sleep(8 * 3600)
            assert books(engine) == exchange.venue.account.ledger.wallet
            assert (await engine.close_position(BTC)).success
            (trade,) = engine._accounts["mock"].floor.ledger.trades
            assert trade.pnl_funding == 2 * D("-0.5")
            assert books(engine) == exchange.venue.account.ledger.wallet
        exchange.close()

    run_virtual(main())


@pytest.mark.parametrize("hearer", ["the same process", "the next process"])
def test_funding_heard_after_the_position_was_closed_is_of_its_trade(tmp_path, monkeypatch, hearer):
    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite", **FUNDED)
        async with started(exchange, tmp_path, moves=True) as engine:
            with monkeypatch.context() as deaf:
                deaf.setattr(FundingBook, "book", lambda *_: None)
                await engine.execute_signal(BUY)
                await asyncio.sleep(9 * 3600)
                assert (await engine.close_position(BTC)).success
            (late,) = await exchange.funding(since_ms=0)
            assert books(engine) == exchange.venue.account.ledger.wallet - late.amount
            if hearer == "the same process":
                engine._accounts["mock"].floor.funding.book(late)
                assert books(engine) == exchange.venue.account.ledger.wallet
        async with started(exchange, tmp_path) as engine:
            assert books(engine) == exchange.venue.account.ledger.wallet
        exchange.close()

    run_virtual(main())


def test_entries_of_one_moment_have_references_of_their_own(tmp_path):
    async def main():
        async with started(open_exchange(market(STILL)), tmp_path) as engine:
            times = [engine._accounts["mock"].next_entry_time("P") for _ in range(3)]
            assert len({entry_ref("P", when) for when in times}) == 3

    run_virtual(main())


def test_the_books_count_each_trade_once_where_a_market_plays_its_times_again(tmp_path):
    """The exchange begins each time where its last bar ended, and the first signal comes at once."""

    async def main():
        for life in range(3):
            exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
            async with started(exchange, tmp_path) as engine:
                assert books(engine) == exchange.venue.account.ledger.wallet
                if life < 2:
                    assert (await engine.execute_signal(BUY)).success
                if life == 0:
                    assert (await engine.close_position(BTC)).success
            exchange.close()

    run_virtual(main())


RISEN = [50_000.0, 50_000.0, 52_000.0, 54_000.0, 53_500.0, *[53_500.0] * 20]


def test_the_next_process_knows_what_the_guard_has_seen(tmp_path):
    """After a kill: what it knew when ledger and exchange agreed last."""

    async def main():
        exchange = open_exchange(market(RISEN), tmp_path / "exchange.sqlite")
        limits = replace(WIDE, trailing_stop=TrailingStop(5.0, 50.0))
        async with started(exchange, tmp_path, moves=True, watch_s=60.0, risk_guard=RiskGuard(limits)) as engine:
            await engine.execute_signal(replace(BUY, quantity=0.1))
            await asyncio.sleep(5 * 3_600.0 + 10.0)
            seen = engine.risk_guard.snapshot()
            assert seen["peak_equity"] > 10_300.0 and seen["best_profit_pct"]["mock:BTCUSDT"] > 7.0
            assert engine._accounts["mock"].floor.journal.risk_state(GUARD_KEY) == seen
            engine.risk_guard.state.peak_equity = seen["peak_equity"] = 11_000.0
        async with started(exchange, tmp_path, risk_guard=RiskGuard(limits)) as engine:
            assert engine.risk_guard.snapshot() == seen
        exchange.close()

    run_virtual(main())


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_the_guard_of_several_accounts_knows_what_each_journal_does(tmp_path, names):
    """Whichever starts last; also what was seen while one of them was not there."""

    async def main():
        exchanges = {name: open_exchange(market(STILL), tmp_path / f"{name}.sqlite") for name in "ab"}

        def on(names):
            chosen = {name: exchanges[name] for name in names}
            return running(chosen, tmp_path, risk_guard=RiskGuard(WIDE, max_stops_per_pair=9))

        async with on("ab") as engine:
            assert (await engine.execute_signal(BUY, "b")).success
        async with on("a") as engine:
            for reason in ("closed", "stop"):
                assert (await engine.execute_signal(BUY)).success
                assert (await engine.close_position(BTC, reason=reason)).success
            engine.risk_guard.halt("a_defect", engine._accounts["a"].now)
        async with on(names) as engine:
            state = engine.risk_guard.state
            assert (state.breaker_reason, state.trades_today) == ("a_defect", 3)
            assert state.stops_today == {"a:BTCUSDT": 1}
            both = [account.floor.journal.risk_state(GUARD_KEY) for account in engine._accounts.values()]
            assert both[0] == both[1]
        for exchange in exchanges.values():
            exchange.close()

    run_virtual(main())


def test_a_disk_that_refuses_breaks_no_stop(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
        async with started(exchange, tmp_path) as engine:
            alarms = alarms_of(engine)
            engine._accounts["mock"].floor.journal._connection.exec_driver_sql("PRAGMA query_only = ON")
        assert any(alarm.startswith("nothing more is sent") for alarm in alarms)
        async with started(exchange, tmp_path) as engine:
            assert (await engine.execute_signal(BUY)).success
        exchange.close()

    run_virtual(main())


def test_a_start_that_fails_leaves_what_the_journal_knows_of_the_guard(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(BUY)
            seen = engine.risk_guard.snapshot()
        both = {"mock": exchange, "other": open_exchange(market(STILL))}
        both["other"].account = unreachable_account
        with pytest.raises(ExchangeUnreachable):
            await ExecutionEngine(both, state_dir=tmp_path).start()
        async with started(exchange, tmp_path) as engine:
            assert engine.risk_guard.snapshot() == seen
        exchange.close()

    run_virtual(main())


def test_an_exchange_that_forgets_leaves_no_journal_behind(tmp_path):
    async def main():
        for _ in range(2):
            exchange = open_exchange(market(STILL))
            async with started(exchange, tmp_path) as engine:
                assert (await engine.execute_signal(BUY)).success
        assert not list(tmp_path.iterdir())

    run_virtual(main())


def test_a_new_run_of_the_exchange_begins_flat(tmp_path):
    async def main():
        for _ in range(2):
            exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
            async with started(exchange, tmp_path) as engine:
                assert not engine.position_tracker.open_positions
                assert (await engine.execute_signal(BUY)).success
            await exchange.run_market()
            exchange.close()

    run_virtual(main())


def test_a_mode_trades_on_exchanges_of_its_own_only(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        engine = ExecutionEngine({"mock": exchange}, execution_mode=ExecutionMode.LIVE, state_dir=tmp_path)
        with pytest.raises(ValueError, match="mock is a simulated exchange; live mode trades on live or desk"):
            await engine.start()

    run_virtual(main())


def test_something_that_is_no_exchange_is_named():
    with pytest.raises(TypeError, match="str is no exchange"):
        run_virtual(ExecutionEngine({"binance": "key"}).start())


def test_an_engine_that_is_not_started_says_so():
    result = run_virtual(ExecutionEngine({}).execute_signal(BUY))
    assert result.error == "the engine is not started"


def test_two_exchanges_hold_the_same_symbol_apart(tmp_path):
    async def main():
        first, second = open_exchange(market(STILL)), open_exchange(market(STILL))
        engine = ExecutionEngine({"one": first, "two": second}, risk_guard=RiskGuard(WIDE), watch_s=None)
        await engine.start()
        assert "wanted one of one, two" in (await engine.execute_signal(BUY)).error
        assert (await engine.execute_signal(BUY, "one")).success
        assert (await engine.execute_signal(replace(BUY, quantity=0.02), "two")).success
        assert (held(first), held(second)) == (D("0.01"), D("0.02"))
        assert (await engine.close_position(BTC, "two")).success
        assert [p.exchange for p in engine.position_tracker.open_positions] == ["one"]
        stopped = await engine.emergency_stop_all()
        assert stopped["state"] == {"one": "flat", "two": "flat"} and held(first) == 0
        await engine.deactivate_circuit_breaker()
        assert (await engine.execute_signal(BUY, "two")).success
        await engine.stop()

    run_virtual(main())


def test_equity_is_by_the_prices_of_each_exchange(tmp_path):
    async def main():
        first, second = open_exchange(market(STILL)), open_exchange(market([51_000.0] * 30))
        engine = ExecutionEngine({"one": first, "two": second}, risk_guard=RiskGuard(WIDE), watch_s=1.0)
        await engine.start()
        for name in ("one", "two"):
            assert (await engine.execute_signal(replace(BUY, quantity=0.1), name)).success
        await asyncio.sleep(2.0)
        assert engine.risk_guard.state.equity == pytest.approx(20_000.0 - 0.0005 * 10_100.0)
        await engine.stop()

    run_virtual(main())


# what it tells


def test_the_metrics_have_the_keys_that_dashboards_read(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), latency_ms=40.0, slippage_bps=D(5))
        async with started(exchange, tmp_path) as engine:
            await engine.execute_signal(BUY)
            metrics = engine.get_performance_metrics()
            assert metrics["engine"] | {"circuit_breaker": "closed"} == {
                "mode": "paper", "total_signals": 1, "successful_executions": 1, "success_rate": 100.0,
                "circuit_breaker": "closed",
            }  # fmt: skip
            assert metrics["positions"]["total_positions"] == 1
            assert set(metrics["risk"]) == {"current_drawdown_pct", "daily_loss_pct", "risk_violations"}
            assert metrics["monitoring"]["execution"]["avg_fill_time_ms"] >= 40.0
            assert metrics["monitoring"]["slippage"]["avg_slippage_pct"] == pytest.approx(0.05)

    run_virtual(main())


def test_the_order_manager_of_an_engine_knows_its_orders_and_places_through_it(tmp_path):
    async def main():
        exchange, told = open_exchange(market(STILL)), []
        async with started(exchange, tmp_path) as engine:
            engine.order_manager.register_callback("on_filled", told.append)
            placed = await engine.order_manager.place_order(ExecutionOrder(BTC, "BUY", 0.01), exchange)
            assert placed.status is ExecutionStatus.FILLED and told == [placed]
            assert engine.order_manager.get_order(placed.order_id) == placed
            assert engine.position_tracker.get_position(BTC).quantity == 0.01
            limit = ExecutionOrder(ETH, "BUY", 1.0, order_type="LIMIT", price=1_900.0)
            assert await engine.order_manager.place_order(limit, exchange) is None

    run_virtual(main())


# from a config


def test_an_engine_of_a_config_connects_trades_and_disconnects(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_config(tmp_path, mock={"bars": 700, "seed": 7, "speed": 1})
    loaded = load_config(path, environ={})
    first = loaded.pairs[0]

    async def main():
        engine = ExecutionEngine.from_config(path, risk_guard=RiskGuard(WIDE))
        assert engine.mode is ExecutionMode.PAPER
        assert await engine.connect()
        signal = TradingSignal(pair_x=first.leg_a, pair_y=first.leg_b, signal_type=SignalType.SELL)
        result = await engine.execute_signal(signal)
        assert result.success, result.error
        assert engine.get_summary()["open_positions"] == [result.position.symbol]
        await engine.disconnect()
        again = ExecutionEngine.from_config(path)
        assert await again.connect()
        assert again.get_summary()["open_positions"] == [result.position.symbol]
        assert (await again.close_position(result.position)).success
        await again.disconnect()

    asyncio.run(main())


def test_a_config_for_real_money_needs_a_confirmation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BINANCE_API_KEY", "k" * 64)
    monkeypatch.setenv("BINANCE_API_SECRET", "s" * 64)
    path = write_config(tmp_path, broker={"type": "binance"}, data={"data_source": "binance"})
    with pytest.raises(NotConfirmed):
        ExecutionEngine.from_config(path)
    assert ExecutionEngine.from_config(path, live=True).mode is ExecutionMode.LIVE
