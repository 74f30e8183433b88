from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from tests.trading.engines import BTC, D, market, open_exchange
from tests.virtual_time import run_virtual
from trading.execution.exchange_ports import ports_of
from trading.execution_models import ExecutionOrder, ExecutionStatus
from trading.order_manager import OrderManager
from trading.order_monitor import OrderMonitor

STILL = [50_000.0] * 10
FALLING = [50_000.0, 50_000.0, 49_000.0, 48_000.0]
BUY = ExecutionOrder("BTC/USDT", "BUY", 0.01)
LIMIT = ExecutionOrder("BTC/USDT", "BUY", 0.01, order_type="LIMIT", price=48_500.0)


async def until(manager: OrderManager, order_id: str, *, every_s: float = 60.0) -> ExecutionOrder:
    while not (order := manager.get_order(order_id)).status.is_done:
        await asyncio.sleep(every_s)
    return order


# placing


def test_a_market_order_is_placed_once_and_filled():
    async def main():
        exchange, manager = open_exchange(market(STILL)), OrderManager()
        placed = await manager.place_order(BUY, exchange)
        assert placed.status is ExecutionStatus.FILLED and placed.average_filled_price == 50_000.0
        assert placed.symbol == BTC and manager.get_order(placed.order_id) == placed
        assert exchange.venue.account.ledger.amount(BTC) == D("0.01")
        await manager.close()

    run_virtual(main())


def test_a_limit_order_works_until_the_market_comes_to_it():
    async def main():
        exchange, manager, told = open_exchange(market(FALLING)), OrderManager(), []
        for event in ("on_placed", "on_filled"):
            manager.register_callback(event, lambda order, event=event: told.append((event, order.status)))
        placed = await manager.place_order(LIMIT, exchange)
        assert placed.status is ExecutionStatus.OPEN and manager.get_open_orders() == (placed,)
        play = asyncio.create_task(exchange.run_market())
        filled = await until(manager, placed.order_id)
        assert (filled.status, filled.average_filled_price) == (ExecutionStatus.FILLED, 48_500.0)
        assert [event for event, _ in told] == ["on_placed", "on_filled"] and not manager.get_open_orders()
        await play
        await manager.close()

    run_virtual(main())


def test_an_order_is_cancelled_by_whoever_asks_and_by_its_time_out():
    async def main():
        exchange, manager, cancelled = open_exchange(market(STILL)), OrderManager(), []
        manager.register_callback("on_cancelled", lambda order: cancelled.append(order.client_order_id))
        asked = await manager.place_order(LIMIT, exchange)
        assert await manager.cancel_order(asked.order_id)
        assert not await manager.cancel_order(asked.order_id), "it is done"
        late = ExecutionOrder(BTC, "BUY", 0.01, order_type="LIMIT", price=48_500.0, timeout_seconds=30.0)
        placed = await manager.place_order(late, exchange)
        done = await until(manager, placed.client_order_id, every_s=1.0)
        assert done.status is ExecutionStatus.CANCELLED and len(cancelled) == 2
        await manager.close()

    run_virtual(main())


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (ExecutionOrder("DOGEUSDT", "BUY", 1.0), "the exchange has no DOGEUSDT"),
        (ExecutionOrder(BTC, "BUY", 0.0001), "under the minimum"),
        (ExecutionOrder(BTC, "BUY", 100.0), "-2019"),
    ],
)
def test_a_refused_order_is_none_and_its_reason_is_told(order, reason):
    async def main():
        exchange, manager, told = open_exchange(market(STILL)), OrderManager(), []
        manager.register_callback("on_rejected", told.append)
        assert await manager.place_order(order, exchange) is None
        assert reason in told[0].error and told[0].status is ExecutionStatus.REJECTED
        await manager.close()

    run_virtual(main())


@pytest.mark.parametrize("kind", ["timeout_after_execution", "timeout_before_execution"])
def test_an_uncertain_order_is_looked_up_and_never_sent_again(kind):
    async def main():
        exchange = open_exchange(market(STILL), faults=[{"kind": kind, "on": "create_order", "at": 1}])
        manager = OrderManager()
        placed = await manager.place_order(BUY, exchange)
        was_executed = kind == "timeout_after_execution"
        assert (placed is not None) == was_executed
        assert len(exchange.venue.fills) == was_executed
        await manager.close()

    run_virtual(main())


def test_real_money_needs_a_journal():
    async def main():
        exchange = open_exchange(market(STILL))
        with pytest.raises(ValueError, match="has no journal"):
            await OrderManager().place_order(BUY, replace(ports_of(exchange), network="live"))
        assert not exchange.venue.fills

    run_virtual(main())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"side": "HOLD"}, "wanted BUY or SELL"),
        ({"order_type": "STOP"}, "wanted MARKET or LIMIT"),
        ({"order_type": "LIMIT"}, "needs one"),
        ({"price": 1.0}, "takes none"),
        ({"quantity": float("nan")}, "quantity nan: wanted a positive number"),
        ({"quantity": "0.01"}, "quantity '0.01': wanted"),
        ({"order_type": "LIMIT", "price": float("inf")}, "price inf: wanted"),
    ],
)
def test_an_order_of_unknown_words_or_no_numbers_cannot_be_made(fields, message):
    with pytest.raises(ValueError, match=message):
        ExecutionOrder(**({"symbol": BTC, "side": "BUY", "quantity": 1.0} | fields))


# callbacks


def test_a_callback_may_be_a_coroutine_function_and_one_that_raises_disturbs_nobody(caplog):
    async def main():
        exchange, manager, told = open_exchange(market(STILL)), OrderManager(), []

        async def later(order):
            told.append(order.status)

        def broken(order):
            raise RuntimeError("mine")

        manager.register_callback("on_filled", broken)
        manager.register_callback("on_filled", later)
        assert await manager.place_order(BUY, exchange) is not None
        await asyncio.sleep(0.01)
        assert told == [ExecutionStatus.FILLED]
        await manager.close()

    with caplog.at_level(logging.ERROR):
        run_virtual(main())
    assert "callback_failed" in caplog.text


def test_an_unknown_event_is_named():
    with pytest.raises(ValueError, match="known: on_placed"):
        OrderManager().register_callback("on_fill", print)


# monitoring


def test_the_monitor_follows_an_order_to_its_end_and_counts_it():
    async def main():
        exchange, manager, monitor = open_exchange(market(FALLING)), OrderManager(), OrderMonitor()
        placed = await manager.place_order(LIMIT, exchange)
        play = asyncio.create_task(exchange.run_market())
        final = await monitor.monitor_order(order=placed, exchange=exchange, timeout_seconds=86_400)
        assert final.status is ExecutionStatus.FILLED and final.average_filled_price == 48_500.0
        metrics = monitor.get_metrics_summary()
        assert metrics["speed"]["orders"] == 1 and metrics["timeouts"] == 0
        assert metrics["speed"]["avg_latency_ms"] == pytest.approx(final.finished_ms - placed.created_ms)
        await play
        await manager.close()

    run_virtual(main())


def test_the_monitor_gives_up_after_its_time_and_cancels_nothing():
    async def main():
        exchange, manager, monitor = open_exchange(market(STILL)), OrderManager(), OrderMonitor()
        placed = await manager.place_order(LIMIT, exchange)
        seen = await monitor.monitor_order(order=placed, exchange=exchange, timeout_seconds=20)
        assert seen.status is ExecutionStatus.OPEN and monitor.get_metrics_summary()["timeouts"] == 1
        assert len(await exchange.open_orders()) == 1
        await manager.close()

    run_virtual(main())
