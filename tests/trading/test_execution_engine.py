from __future__ import annotations

from dataclasses import replace

from tests.trading.engines import BTC, D, market, open_exchange, started
from tests.virtual_time import run_virtual
from trading.execution_engine import (
    SignalAction,
    TradingSignal,
)
from trading.execution_models import ExecutionStatus

STILL = [50_000.0] * 30
BUY = TradingSignal(symbol=BTC, action=SignalAction.BUY, quantity=0.01)


def held(exchange, symbol: str = BTC):
    return exchange.venue.account.ledger.amount(symbol)


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
