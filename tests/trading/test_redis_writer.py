"""Orders in Redis, for other processes: against a real server, also one that dies or hangs in the middle."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.trading.engines import BTC, market, open_exchange, started
from trading.execution_engine import SignalAction, TradingSignal
from trading.execution_models import ExecutionOrder, ExecutionStatus
from trading.order_manager import OrderManager
from trading.order_monitor import OrderMonitor
from trading.redis_writer import EXECUTION, OPEN_ORDERS, ORDER, QUEUE, RedisWriter

redis = pytest.importorskip("redis", reason="the redis client is not installed: pip install '.[redis]'")
SERVER = shutil.which("redis-server")
needs_server = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed: apt-get install redis-server")

PATIENCE_S = 20.0
BUY = TradingSignal(symbol=BTC, action=SignalAction.BUY, quantity=0.01)


def until(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


class Server:
    """A redis-server of a test's own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder = folder
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [
            str(SERVER),
            "--port",
            str(self.port),
            "--save",
            "",
            "--dir",
            str(self._folder),
            "--bind",
            "127.0.0.1",
        ]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def client(self) -> Any:
        client = redis.Redis(port=self.port, socket_timeout=5, decode_responses=True)
        until(lambda: self._answers(client))
        return client

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def start_again(self) -> None:
        self.process = self._started()

    @staticmethod
    def _answers(client: Any) -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.process.send_signal(signal.SIGCONT)
    server.kill()


@contextmanager
def client_of(server: Server) -> Iterator[Any]:
    with server.client() as client:
        yield client


async def round_trips(folder: Path, manager: OrderManager, count: int, between: Callable[[int], None]) -> list[str]:
    """So many entries and exits; the client ids of the orders."""
    exchange = open_exchange(market([50_000.0] * 5))
    ids = []
    async with started(exchange, folder, order_manager=manager) as engine:
        for number in range(count):
            between(number)
            for signal_ in (BUY, replace(BUY, action=SignalAction.CLOSE)):
                result = await engine.execute_signal(signal_)
                assert result.success, result.error
                ids.append(result.order.client_order_id)
    return ids


@needs_server
def test_every_order_of_an_engine_can_be_read_by_other_processes(server, tmp_path):
    with client_of(server) as reader, client_of(server) as writer:
        channel = reader.pubsub()
        channel.subscribe("tandem:orders")
        manager = OrderManager(redis_conn=writer)
        ids = asyncio.run(round_trips(tmp_path, manager, 2, lambda number: None))
        states = [json.loads(reader.get(ORDER.format(one))) for one in ids]
        assert [state["status"] for state in states] == ["filled"] * 4
        assert [state["side"] for state in states] == ["BUY", "SELL"] * 2
        assert all(state["average_filled_price"] and state["order_id"] for state in states)
        assert reader.smembers(OPEN_ORDERS) == set() and 0 < reader.ttl(ORDER.format(ids[0])) <= 7 * 86_400
        channel.get_message(timeout=1)
        assert json.loads(channel.get_message(timeout=5)["data"])["client_order_id"] == ids[0]
        channel.close()


@needs_server
def test_a_redis_that_is_killed_in_the_middle_touches_no_trade_and_is_told_the_rest_when_it_is_back(server, tmp_path):
    with client_of(server) as writer:
        manager = OrderManager(redis_conn=writer)

        def between(number: int) -> None:
            if number == 2:
                server.kill()
            if number == 4:
                server.start_again()
                with client_of(server) as reader:
                    until(lambda: reader.keys(ORDER.format("*")))

        ids = asyncio.run(round_trips(tmp_path, manager, 5, between))
        assert len(ids) == 10
        with client_of(server) as reader:
            assert json.loads(reader.get(ORDER.format(ids[-1])))["status"] == "filled"
            assert reader.smembers(OPEN_ORDERS) == set()


@needs_server
def test_a_redis_that_hangs_touches_no_trade(server, tmp_path):
    with client_of(server) as writer:
        manager = OrderManager(redis_conn=writer)

        def between(number: int) -> None:
            if number == 1:
                server.process.send_signal(signal.SIGSTOP)

        assert len(asyncio.run(round_trips(tmp_path, manager, 5, between))) == 10


@needs_server
def test_the_monitor_writes_its_figures(server):
    with client_of(server) as client:
        monitor = OrderMonitor(redis_conn=client)
        monitor.quality.note_order(latency_ms=12.0, slippage_pct=0.01)
        monitor._writer.put_execution(monitor.get_metrics_summary())
        asyncio.run(monitor.close())
        assert json.loads(client.get(EXECUTION))["speed"]["avg_latency_ms"] == 12.0


class Gate:
    """A connection whose writes wait until it is opened."""

    def __init__(self) -> None:
        self.is_open, self.written = threading.Event(), {}

    def pipeline(self, transaction: bool) -> Gate:
        return self

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set(self, key: str, text: str, ex: int) -> None:
        self.written[key] = json.loads(text)

    def sadd(self, *_: str) -> None:
        pass

    srem = publish = sadd

    def execute(self) -> None:
        self.is_open.wait(PATIENCE_S)


def order(number: int, status: ExecutionStatus = ExecutionStatus.OPEN) -> ExecutionOrder:
    return ExecutionOrder(BTC, "BUY", 1.0, client_order_id=f"order-{number}", status=status)


def test_what_waits_is_bounded_and_each_order_waits_in_its_last_version():
    gate = Gate()
    writer = RedisWriter(gate)
    writer.put_order(order(-1))
    until(lambda: not writer._waiting)  # the writer has it, and hangs
    for number in range(QUEUE + 10):
        writer.put_order(order(number))
        writer.put_order(order(number, ExecutionStatus.FILLED))
    assert writer.dropped == 10
    gate.is_open.set()
    asyncio.run(writer.close())
    assert len(gate.written) == QUEUE + 1
    assert ORDER.format("order-9") not in gate.written
    assert gate.written[ORDER.format("order-10")]["status"] == "filled"


def test_an_asyncio_client_is_refused_with_what_is_wanted():
    with pytest.raises(TypeError, match="redis.Redis was wanted"):
        OrderManager(redis_conn=redis.asyncio.Redis())


def test_an_address_in_place_of_a_connection_is_refused_with_what_makes_one():
    with pytest.raises(TypeError, match=r"found str: redis.Redis.from_url\(…\) makes one"):
        OrderManager(redis_conn="redis://127.0.0.1")
