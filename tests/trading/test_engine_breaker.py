"""The breaker of an engine that stands alone: who halts it, who resumes it, and what comes between."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.trading.engines import BTC, WIDE, market, open_exchange, started
from tests.virtual_time import run_virtual
from trading.control.controls import CommandRefused
from trading.execution_engine import ExecutionEngine, SignalAction, TradingSignal
from trading.risk_guard import Breaker, RiskGuard

STILL = [50_000.0] * 30
BUY = TradingSignal(symbol=BTC, action=SignalAction.BUY, quantity=0.01)


def held(exchange, symbol: str = BTC):
    return exchange.venue.account.ledger.amount(symbol)


def slow(exchange, name: str, delay_s: float) -> None:
    """The exchange takes that long to answer ``name``; what it says is of before."""
    asked = getattr(exchange, name)

    async def answer(*given):
        found = await asked(*given)
        await asyncio.sleep(delay_s)
        return found

    setattr(exchange, name, answer)


def test_a_halt_during_a_resume_holds(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            slow(exchange, "account", 0.3)
            resuming = engine.deactivate_circuit_breaker()
            await asyncio.sleep(0.1)
            engine.activate_circuit_breaker("a person")
            with pytest.raises(CommandRefused):
                await resuming
            assert engine.is_halted
            assert not (await engine.execute_signal(BUY)).success and held(exchange) == 0

    run_virtual(main())


def test_a_halt_by_the_engine_during_a_resume_of_a_cool_down_holds(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        async with started(exchange, tmp_path) as engine:
            slow(exchange, "account", 0.3)
            account = engine._accounts["mock"]
            engine.risk_guard.cool_down("unreachable", account.now, 60.0)
            resuming = engine.deactivate_circuit_breaker()
            await asyncio.sleep(0.1)
            engine.risk_guard.halt("ledger_mismatch", account.now)
            with pytest.raises(CommandRefused):
                await resuming
            assert engine.risk_guard.state.breaker_reason == "ledger_mismatch"

    run_virtual(main())


@pytest.mark.parametrize("after_s", [0.1, 0.4])
def test_a_halt_during_a_resume_of_two_accounts_holds_on_both(tmp_path, after_s):
    """While the first compares, and while the second does."""

    async def main():
        first, second = open_exchange(market(STILL)), open_exchange(market(STILL))
        engine = ExecutionEngine({"one": first, "two": second}, risk_guard=RiskGuard(WIDE), watch_s=None)
        await engine.start()
        engine.activate_circuit_breaker("a person")
        await asyncio.sleep(1.0)
        for exchange in (first, second):
            slow(exchange, "account", 0.3)
        resuming = engine.deactivate_circuit_breaker()
        await asyncio.sleep(after_s)
        assert engine.is_halted
        engine.risk_guard.halt("key_refused", engine._accounts["one"].now)
        with pytest.raises(CommandRefused):
            await resuming
        assert engine.is_halted
        await engine.deactivate_circuit_breaker()
        for name in ("one", "two"):
            assert (await engine.execute_signal(BUY, name)).success
        await engine.stop()

    run_virtual(main())


@pytest.mark.parametrize("halted_by", ["the drawdown", "a person too"])
def test_a_drawdown_can_be_resumed_on_a_slow_exchange(tmp_path, halted_by):
    """Each look finds it again while the exchange is asked."""

    async def main():
        exchange = open_exchange(market(STILL))
        guard = RiskGuard(replace(WIDE, max_drawdown_pct=10.0))
        async with started(exchange, tmp_path, risk_guard=guard, watch_s=1.0) as engine:
            guard.state.peak_equity = 20_000.0
            await asyncio.sleep(1.1)
            assert guard.state.breaker_reason == "max_drawdown"
            if halted_by == "a person too":
                engine.activate_circuit_breaker("a person")
                await asyncio.sleep(1.0)
            slow(exchange, "account", 2.5)
            await engine.deactivate_circuit_breaker("looked")
            assert guard.breaker is Breaker.CLOSED and guard.drawdown_pct == 0.0

    run_virtual(main())


def test_a_drawdown_that_comes_during_a_resume_holds(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL))
        guard = RiskGuard(replace(WIDE, max_drawdown_pct=10.0))
        async with started(exchange, tmp_path, risk_guard=guard, watch_s=1.0) as engine:
            engine.activate_circuit_breaker("a person")
            await asyncio.sleep(1.1)
            slow(exchange, "account", 2.5)
            resuming = engine.deactivate_circuit_breaker()
            await asyncio.sleep(0.5)
            guard.state.peak_equity = 20_000.0
            with pytest.raises(CommandRefused):
                await resuming
            assert engine.is_halted

    run_virtual(main())


# the halt file


@pytest.mark.parametrize("when", ["before the start", "while it runs"])
@pytest.mark.parametrize("watch_s", [None, 1.0])
def test_the_halt_file_of_an_engine_halts_it(tmp_path, when, watch_s):
    """Whether anybody looks at prices or not."""
    flag = tmp_path / "engine.mock.halt"

    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
        if when == "before the start":
            flag.touch()
        async with started(exchange, tmp_path, watch_s=watch_s) as engine:
            if when == "while it runs":
                flag.touch()
                await asyncio.sleep(2.0)
            assert "the halt file is there" in (await engine.execute_signal(BUY)).error
            with pytest.raises(CommandRefused, match="remove it first"):
                await engine.deactivate_circuit_breaker()
            flag.unlink()
            await asyncio.sleep(2.0)
            assert engine.is_halted
            await engine.deactivate_circuit_breaker()
            assert (await engine.execute_signal(BUY)).success
        exchange.close()

    run_virtual(main())
