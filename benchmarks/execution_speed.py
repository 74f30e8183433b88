"""What the execution engine adds to the exchange's round trips, on the desk exchange in another process.

``python benchmarks/execution_speed.py [--rounds 30] [--pairs 100]``. A round is one pair signal (two orders) and its
exit. The engine's own time is what is left of ``execute_signal`` without the two orders (from the call until the answer
and the last fill are here), without the durable commits and without other questions to the exchange; each of these is
printed by itself. Then all pairs signal at once: from the first signal until the last order has reached the exchange,
against as many times the single figure. Medians; exit code 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from brokers.binance import AccountWish, WirePorts, open_binance
from ccxt_bt_bridge.session import Credentials, SessionSettings
from ccxt_bt_bridge.words import Fill
from trading.execution.leg_orders import LegOrders
from trading.execution.settings import ExecutionSettings
from trading.execution_engine import ExecutionEngine, ExecutionMode, SignalType, TradingSignal
from trading.journal.writer import Journal
from trading.risk_guard import RiskGuard, RiskLimits

HERE = Path(__file__).resolve().parent
MOST_ADDED_MS = 1.0
QUIET_S = 61.0  # the exchange counts requests by the minute: each part has one of its own
WIDE = RiskLimits(
    max_positions=1_000, max_exposure=None, max_leverage=50.0, account_leverage=50.0, max_drawdown_pct=None,
    max_daily_loss_pct=None, max_failed_orders=None,
)  # fmt: skip

Moment = float  # seconds of the wall; asking for the thread's own time costs more than what is measured
Span = tuple[Moment, Moment]
now = time.perf_counter


class Times:
    """When something of the outside was waited for, in seconds, by kind."""

    def __init__(self) -> None:
        self.orders: dict[str, list[Moment]] = {}
        self.commits: list[Span] = []
        self.questions: list[Span] = []

    def clear(self) -> None:
        self.orders, self.commits, self.questions = {}, [], []

    @property
    def order_spans(self) -> list[Span]:
        return [(min(times), max(times)) for times in self.orders.values()]


def covered(spans: Iterable[Span], within: Span) -> float:
    """Seconds in at least one of the spans."""
    total, end = 0.0, within[0]
    for begin, until in sorted(spans):
        begin, until = max(begin, end), min(until, within[1])
        total += max(0.0, until - begin)
        end = max(end, until)
    return total


@contextmanager
def watched(ports: WirePorts, times: Times) -> Iterator[None]:
    """Note every order, commit and question while the block runs."""
    trading, market = ports.trading, ports.market
    create, book, transaction = trading.create_order, LegOrders.book, Journal.transaction

    async def creating(request: Any) -> Any:
        times.orders[request.client_order_id] = [now()]
        answer = await create(request)
        times.orders[request.client_order_id].append(now())
        return answer

    def booking(self: LegOrders, fill: Fill) -> None:
        times.orders.setdefault(fill.client_order_id, []).append(now())
        book(self, fill)

    @contextmanager
    def committing(self: Journal) -> Iterator[None]:
        began, is_outer = now(), not self._depth
        with transaction(self):
            yield
        if is_outer:
            times.commits.append((began, now()))

    def asking(ask: Callable[..., Any]) -> Callable[..., Any]:
        async def asked(*values: Any, **named: Any) -> Any:
            began = now()
            try:
                return await ask(*values, **named)
            finally:
                times.questions.append((began, now()))

        return asked

    trading.create_order, LegOrders.book, Journal.transaction = creating, booking, committing  # type: ignore
    for port, name in ((trading, "account"), (trading, "fetch_order"), (trading, "fills"), (market, "_ask_for_quote")):
        setattr(port, name, asking(getattr(port, name)))
    try:
        yield
    finally:
        LegOrders.book, Journal.transaction = book, transaction  # type: ignore[method-assign]


class Desk:
    """The exchange's process. ``orders`` ends it and says when each order reached it."""

    def __init__(self, symbols: int) -> None:
        command = [sys.executable, str(HERE / "bridge_desk.py"), str(symbols), "600"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = json.loads(self._process.stdout.readline())["url"]

    def orders(self) -> dict[str, float]:
        answer, _ = self._process.communicate("\n", timeout=60)
        return {cid: at_ns / 1e9 for cid, at_ns in json.loads(answer)["orders"].items()}


def pair(number: int) -> TradingSignal:
    legs = f"S{2 * number:02}USDT", f"S{2 * number + 1:02}USDT"
    return TradingSignal(pair_x=legs[0], pair_y=legs[1], signal_type=SignalType.BUY, suggested_position_size=0.001)


@asynccontextmanager
async def engine_at(url: str, pairs: int) -> AsyncIterator[tuple[ExecutionEngine, WirePorts]]:
    settings = SessionSettings("binanceusdm", Credentials("desk-key", "desk-secret"), url=url)
    symbols = [symbol for number in range(pairs) for symbol in (pair(number).pair_x, pair(number).pair_y) if symbol]
    wish = AccountWish("one_way", "cross", Decimal(2))
    ports = await open_binance(settings, wish, symbols=symbols, interval="1m")
    with tempfile.TemporaryDirectory() as folder:
        engine = ExecutionEngine(
            {"desk": ports},
            risk_guard=RiskGuard(WIDE),
            execution_mode=ExecutionMode.DEMO,
            state_dir=folder,
            settings=ExecutionSettings(leverage=2.0, reconcile_s=3_600.0),
            watch_s=None,
        )
        try:
            await ports.market.start()
            await engine.start()
            await engine.execute_signal(pair(0))  # what is built on first use
            await engine.close_position(("S00USDT", "S01USDT"))
            await asyncio.sleep(QUIET_S)
            yield engine, ports
        finally:
            await engine.stop()
            await ports.close()


async def one_by_one(url: str, rounds: int) -> list[dict[str, Any]]:
    """On a market of this pair alone: no stream of another one takes the loop's time."""
    times = Times()
    async with engine_at(url, 1) as (engine, ports):
        with watched(ports, times):
            return [await one_round(engine, times, 0) for _ in range(rounds)]


async def at_once(url: str, pairs: int) -> tuple[float, list[str], list[str]]:
    """When the first signal came, the orders that were sent, and why others were not."""
    async with engine_at(url, pairs) as (engine, _):
        began = time.perf_counter()
        results = await asyncio.gather(*(engine.execute_signal(pair(number)) for number in range(pairs)))
    sent = [order.client_order_id for result in results for order in result.orders]
    return began, sent, [str(result.error) for result in results if not result.success]


async def one_round(engine: ExecutionEngine, times: Times, number: int) -> dict[str, Any]:
    signal = pair(number)
    times.clear()
    began = now()
    result = await engine.execute_signal(signal)
    whole = (began, now())
    assert result.success, result.error
    outside = times.order_spans + times.commits + times.questions
    row = {
        "began": began,
        "second": result.orders[1].client_order_id,
        "whole": whole[1] - began,
        "orders": covered(times.order_spans, whole),
        "commits": covered(times.commits, whole),
        "count": len(times.commits),
        "questions": covered(times.questions, whole),
        "added": whole[1] - began - covered(outside, whole),
    }
    closed = await engine.close_position((signal.pair_x, signal.pair_y))
    assert closed.success, closed.error
    await asyncio.sleep(0.2)  # the exchange's limit of orders a minute
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--pairs", type=int, default=100)
    wanted = parser.parse_args()
    desk = Desk(2)
    rows = asyncio.run(one_by_one(desk.url, wanted.rounds))
    arrived = desk.orders()
    desk = Desk(2 * wanted.pairs)
    began, sent, failed = asyncio.run(at_once(desk.url, wanted.pairs))
    reached = desk.orders()
    ms = {
        name: 1_000.0 * median(row[name] for row in rows)
        for name in ("whole", "orders", "commits", "questions", "added")
    }
    single = median(arrived[row["second"]] - row["began"] for row in rows)
    burst = max(reached.get(cid, 0.0) for cid in sent) - began
    print(f"execute_signal of a pair, median of {len(rows)}: {ms['whole']:.2f} ms, of which")
    commits = median(row["count"] for row in rows)
    print(f"  two orders, until answer and fills are here  {ms['orders']:8.2f} ms")
    print(f"  durable commits ({commits:.0f})                         {ms['commits']:8.2f} ms")
    print(f"  other questions to the exchange              {ms['questions']:8.2f} ms")
    print(f"  the engine itself                            {ms['added']:8.2f} ms (goal: at most {MOST_ADDED_MS:g})")
    print(f"both orders of one pair at the exchange after   {1_000 * single:8.2f} ms")
    limit = wanted.pairs * single
    print(f"{wanted.pairs} pairs at once: all {len(sent)} orders after {burst:.2f} s (goal: {limit:.2f} s)")
    if failed:
        print(f"not executed: {len(failed)}, {failed[0]}")
    return int(ms["added"] > MOST_ADDED_MS or burst > limit or bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
