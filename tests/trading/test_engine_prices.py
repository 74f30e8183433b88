"""What an engine makes of prices after a restart: what it holds was bought at others."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketClosed
from tests.tasks import end_all
from tests.trading import engines
from tests.trading.engines import BTC, ETH, WIDE, D, market, open_exchange
from tests.virtual_time import run_virtual
from trading.execution_engine import ExecutionEngine, SignalAction, TradingSignal
from trading.execution_models import ExecutionOrder
from trading.risk_guard import RiskGuard

BUY = TradingSignal(symbol=BTC, action=SignalAction.BUY, quantity=0.15)
OF_ANOTHER = TradingSignal(symbol=ETH, action=SignalAction.BUY, quantity=0.1)
RISING, FALLING = ([50_000.0] * 3 + [price] * 60 for price in (65_000.0, 41_000.0))
STILL = [50_000.0] * 60


async def unreachable(symbol: str):
    raise ExchangeUnreachable(f"no quote of {symbol}")


async def until(exchange, price: int) -> None:
    play = asyncio.ensure_future(exchange.run_market())
    await asyncio.sleep(5 * 3600.0)
    await end_all([play])
    assert (await exchange.quote(BTC)).price == D(price)


def running(exchanges, folder, watch_s=1.0, **limits) -> AbstractAsyncContextManager[ExecutionEngine]:
    guard = RiskGuard(replace(WIDE, max_drawdown_pct=10.0), **limits)
    return engines.running(exchanges, folder, risk_guard=guard, watch_s=watch_s)


@pytest.mark.parametrize("placed_by", ["a signal", "an order manager"])
def test_nothing_is_opened_before_the_loss_of_the_night_is_known(tmp_path, placed_by):
    """13 % are lost while the engine is down; what is opened next comes before the first look."""

    async def main():
        exchange = open_exchange(market(FALLING), tmp_path / "exchange.sqlite")
        async with running({"mock": exchange}, tmp_path) as engine:
            assert (await engine.execute_signal(BUY)).success
        await until(exchange, 41_000)
        async with running({"mock": exchange}, tmp_path) as engine:
            if placed_by == "a signal":
                assert (await engine.execute_signal(OF_ANOTHER)).error == "breaker_reduce_only:max_drawdown"
            else:
                assert await engine.order_manager.place_order(ExecutionOrder(ETH, "BUY", 0.1), exchange) is None
            assert exchange.venue.account.ledger.amount(ETH) == 0

    run_virtual(main())


def test_nothing_is_opened_before_all_that_is_held_has_a_price(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
        async with running({"mock": exchange}, tmp_path) as engine:
            assert (await engine.execute_signal(BUY)).success
        ask = exchange.quote

        async def quote(symbol):
            return await (unreachable if symbol == BTC else ask)(symbol)

        exchange.quote = quote
        async with running({"mock": exchange}, tmp_path) as engine:
            refused = await engine.execute_signal(OF_ANOTHER)
            assert refused.error.startswith("prices_unknown: no price of BTCUSDT on mock since the start")
            exchange.quote = ask
            assert (await engine.execute_signal(OF_ANOTHER)).success
            exchange.quote = unreachable
            await asyncio.sleep(5.0)
            assert not engine.is_halted and engine._watch._last_prices()[BTC] == 50_000.0, "the last one counts"

    run_virtual(main())


@pytest.mark.parametrize("first", ["a signal", "no price yet", "a price"])
def test_a_restart_with_a_profit_is_no_drawdown(tmp_path, first):
    """22 % of profit is open."""

    async def main():
        exchange = open_exchange(market(RISING), tmp_path / "exchange.sqlite")
        async with running({"mock": exchange}, tmp_path, watch_s=60.0) as engine:
            assert (await engine.execute_signal(BUY)).success
            await until(exchange, 65_000)
            assert engine.risk_guard.state.peak_equity > 12_000.0
        ask = exchange.quote
        exchange.quote = unreachable if first == "no price yet" else ask
        async with running({"mock": exchange}, tmp_path) as engine:
            if first == "a signal":
                await engine.execute_signal(OF_ANOTHER)
            await asyncio.sleep(3.0)
            exchange.quote = ask
            await asyncio.sleep(3.0)
            assert not engine.is_halted
            assert engine.risk_guard.state.equity > 12_000.0

    run_virtual(main())


def test_a_restart_of_two_accounts_with_a_profit_is_no_drawdown(tmp_path):
    """The other one is looked at first."""

    async def main():
        one = open_exchange(market(RISING), tmp_path / "1.sqlite")
        two = open_exchange(market(STILL), tmp_path / "2.sqlite", initial_balance=D(1_000))
        async with running({"two": two, "one": one}, tmp_path, watch_s=60.0) as engine:
            assert (await engine.execute_signal(BUY, "one")).success
            await until(one, 65_000)
        ask, answers = one.quote, asyncio.Event()

        async def late(symbol):
            await answers.wait()
            return await ask(symbol)

        one.quote = late
        async with running({"two": two, "one": one}, tmp_path) as engine:
            await asyncio.sleep(10.0)
            assert "BTCUSDT on one" in (await engine.execute_signal(replace(OF_ANOTHER, quantity=0.01), "two")).error
            answers.set()
            await asyncio.sleep(10.0)
            assert not engine.is_halted
            assert (await engine.execute_signal(replace(OF_ANOTHER, quantity=0.01), "two")).success

    run_virtual(main())


def test_stops_of_the_guard_work_for_what_has_a_price(tmp_path):
    async def main():
        exchange = open_exchange(market(FALLING), tmp_path / "exchange.sqlite")
        async with running({"mock": exchange}, tmp_path) as engine:
            assert (await engine.execute_signal(BUY)).success
            assert (await engine.execute_signal(OF_ANOTHER)).success
        await until(exchange, 41_000)
        ask = exchange.quote

        async def quote(symbol):
            return await (unreachable if symbol == ETH else ask)(symbol)

        exchange.quote = quote
        async with running({"mock": exchange}, tmp_path, stop_loss_pct=5.0) as engine:
            await asyncio.sleep(5.0)
            (closed,) = engine.position_tracker.position_history
            assert (closed.symbol, closed.close_reason) == (BTC, "stop_loss")

    run_virtual(main())


def test_a_symbol_that_is_gone_hides_no_loss_of_the_others(tmp_path):
    """It went while the engine was down: its price is never known."""

    async def gone(symbol: str):
        raise MarketClosed(f"{symbol} trades no more")

    async def main():
        exchange = open_exchange(market(FALLING), tmp_path / "exchange.sqlite")
        async with running({"mock": exchange}, tmp_path) as engine:
            assert (await engine.execute_signal(OF_ANOTHER)).success
            assert (await engine.execute_signal(BUY)).success
        ask = exchange.quote

        async def quote(symbol):
            return await (gone if symbol == ETH else ask)(symbol)

        exchange.quote = quote
        async with running({"mock": exchange}, tmp_path, watch_s=60.0) as engine:
            await until(exchange, 41_000)
            assert engine.risk_guard.state.breaker_reason == "max_drawdown"

    run_virtual(main())
