"""Several accounts under one guard: each is liquidated by itself."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from ccxt_bt_bridge.words import Margin
from tests.tasks import end_all
from tests.trading import engines
from tests.trading.engines import BTC, WIDE, D, market, open_exchange
from tests.virtual_time import run_virtual
from trading.execution.settings import ExecutionSettings
from trading.execution_engine import ExecutionEngine, SignalAction, TradingSignal
from trading.risk_guard import RiskGuard

STILL = [50_000.0] * 30
BUY = TradingSignal(symbol=BTC, action=SignalAction.BUY, quantity=0.1)


def held(exchange):
    return exchange.venue.account.ledger.amount(BTC)


def telling_margin(exchange, balance: int) -> dict[str, int]:
    """As Binance's futures accounts do; what it says may be changed."""
    asked, says = exchange.account, {"balance": balance}

    async def account():
        found = await asked()
        gross = sum(abs(position.amount) * D(50_000) for position in found.positions)
        return replace(found, margin=Margin(D(says["balance"]), gross * D("0.005")))

    exchange.account = account
    return says


def running(folder, exchanges) -> AbstractAsyncContextManager[ExecutionEngine]:
    guard = RiskGuard(WIDE, min_liquidation_distance_pct=25.0)
    settings = ExecutionSettings(leverage=50.0)
    return engines.running(exchanges, folder, risk_guard=guard, settings=settings, watch_s=1.0)


@pytest.mark.parametrize("falls", ["small", "large"])
def test_the_margin_of_one_account_is_held_against_its_own_positions(tmp_path, falls):
    async def main():
        large, small = (open_exchange(market(STILL), initial_balance=D(money)) for money in (10_000, 3_000))
        says = {"large": telling_margin(large, 10_000), "small": telling_margin(small, 3_000)}
        async with running(tmp_path, {"large": large, "small": small}) as engine:
            assert (await engine.execute_signal(BUY, "large")).success
            await asyncio.sleep(120.0)
            assert held(large) == D("0.1")
            says[falls]["balance"] = 600  # its owner withdraws the rest
            await asyncio.sleep(120.0)
            assert held(large) == (D("0.1") if falls == "small" else 0)
            assert not engine.is_halted

    run_virtual(main())


def test_an_account_near_its_liquidation_is_seen_beside_a_large_one(tmp_path):
    """600 of equity for 5,000: 12 % to its liquidation, whatever lies idle elsewhere."""

    async def main():
        large, small = (open_exchange(market(STILL), initial_balance=D(money)) for money in (10_000, 600))
        async with running(tmp_path, {"large": large, "small": small}) as engine:
            assert (await engine.execute_signal(BUY, "small")).error == "min_liquidation_distance_pct"
            assert (await engine.execute_signal(replace(BUY, quantity=0.04), "small")).success
            assert (await engine.execute_signal(BUY, "large")).success
            usage = {row["name"]: row["used"] for row in engine.risk_guard.get_risk_status()["limits"]}
            await asyncio.sleep(5.0)
            assert held(small) == D("0.04") and held(large) == D("0.1")
            assert usage["min_liquidation_distance_pct"] == pytest.approx(29.5, abs=0.1)

    run_virtual(main())


def test_a_fall_closes_what_the_account_near_its_liquidation_holds(tmp_path):
    falling = [50_000.0] * 2 + [45_000.0] * 28

    async def main():
        large, small = (open_exchange(market(falling), initial_balance=D(money)) for money in (10_000, 600))
        async with running(tmp_path, {"large": large, "small": small}) as engine:
            assert (await engine.execute_signal(replace(BUY, quantity=0.04), "small")).success
            assert (await engine.execute_signal(BUY, "large")).success
            plays = [asyncio.ensure_future(exchange.run_market()) for exchange in (large, small)]
            await asyncio.sleep(3 * 3600.0)
            await end_all(plays)
            assert (held(small), held(large)) == (0, D("0.1"))
            assert engine.position_tracker.position_history[0].close_reason == "liquidation_distance"

    run_virtual(main())
