"""The execution engine in a program of one's own: signals in, positions out, on a simulated exchange.

``python examples/execution_engine.py`` needs no key and no network. For another exchange change ``exchanges`` alone: a
``PaperExchange`` fills at real prices; ``brokers.binance.open_binance`` gives a test network's account
(``ExecutionMode.DEMO``) or real money (``ExecutionMode.LIVE``).
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

from brokers.mock_market import MockMarket
from brokers.simulated.exchange import SimulatedExchange, market_start_ms
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore
from ccxt_bt_bridge.clock import LoopClock
from trading.execution_engine import ExecutionEngine, ExecutionMode, SignalAction, TradingSignal
from trading.order_manager import OrderManager
from trading.order_monitor import OrderMonitor
from trading.position_tracker import PositionTracker
from trading.risk_guard import RiskGuard

HISTORY_BARS, FEE, LATENCY_MS = 100, Decimal("0.0005"), 20.0


def mock_exchange() -> SimulatedExchange:
    """A made-up market of two coins, in memory; its time is the loop's."""
    source = MarketSource(MockMarket(7, 200, "1m", symbols=("BTCUSDT", "ETHUSDT")).series())
    store = ExchangeStore(None, fingerprint="example")
    clock = LoopClock(asyncio.get_running_loop().time, market_start_ms(source, store, warmup_bars=HISTORY_BARS))
    return SimulatedExchange(
        source,
        store,
        clock=clock,
        initial_balance=Decimal(10_000),
        taker_fee=FEE,
        warmup_bars=HISTORY_BARS,
        latency_ms=LATENCY_MS,
    )


async def main() -> None:
    # 1. The exchanges, by name.
    exchanges = {"mock": mock_exchange()}

    # 2. The components. Each works alone, too; left out, the engine makes its own.
    order_manager = OrderManager()  # redis_conn=redis.Redis(): other processes can read every order
    order_manager.register_callback("on_filled", lambda order: print(f"filled: {order.symbol} {order.side}"))
    position_tracker = PositionTracker()
    risk_guard = RiskGuard(max_positions=10, max_drawdown_pct=10.0, daily_loss_limit_pct=2.0)
    order_monitor = OrderMonitor()

    # 3. The engine.
    engine = ExecutionEngine(
        exchanges=exchanges,
        order_manager=order_manager,
        position_tracker=position_tracker,
        risk_guard=risk_guard,
        order_monitor=order_monitor,
        execution_mode=ExecutionMode.PAPER,
    )
    await engine.start()

    # 4. A signal. The engine watches its stops for as long as it runs.
    price = float((await exchanges["mock"].quote("BTCUSDT")).price)
    signal = TradingSignal(
        symbol="BTCUSDT",
        action=SignalAction.BUY,
        quantity=0.01,
        price=price,
        stop_loss=price * 0.96,
        take_profit=price * 1.04,
        confidence=0.85,
        strategy_id="momentum_v1",
    )
    result = await engine.execute_signal(signal, "mock")
    if not result.success or result.order is None or result.position is None:
        print(f"not executed: {result.error}")
        return await engine.stop()
    print(f"order {result.order.order_id}: {result.order.filled_quantity} at {result.order.average_filled_price}")
    print(f"position: {result.position.symbol} {result.position.side}, stop at {result.position.stop_loss_price:.2f}")

    # 5. What it says of itself.
    stats = position_tracker.get_portfolio_stats()
    print(f"open positions: {stats['total_positions']}, profit so far: {stats['total_unrealized_pnl']:+.2f}")
    closed = await engine.close_position("BTCUSDT", "mock", "end_of_the_example")
    print(f"closed: {closed.position.close_reason}, {closed.position.realized_pnl:+.2f}" if closed.position else closed)
    metrics = engine.get_performance_metrics()
    print(f"signals: {metrics['engine']['total_signals']}, success rate {metrics['engine']['success_rate']:.0f} %")
    print(f"orders took {metrics['monitoring']['execution']['avg_fill_time_ms']:.0f} ms on average")

    # 6. In an emergency: everything is cancelled and closed, and stays so until a person has looked.
    stopped = await engine.emergency_stop_all()
    print(f"cancelled: {len(stopped['cancelled_orders'])}, closed: {len(stopped['closed_positions'])}")
    await engine.stop()


if __name__ == "__main__":
    asyncio.run(main())
