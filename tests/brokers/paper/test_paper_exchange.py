from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.funding import FundingSchedule
from brokers.paper.exchange import PaperExchange
from brokers.simulated.exchange import SimulatedExchange
from brokers.simulated.store import ExchangeStore
from brokers.simulated.venue import VenueTerms
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketUnknown
from ccxt_bt_bridge.words import Fill, NotPlaced, OrderStatus, Placed
from tests.brokers.markets import HOUR_MS, bars, flat, hours, market_order, open_exchange, source
from tests.tasks import end_all
from tests.virtual_time import run_virtual

D = Decimal
TERMS = VenueTerms(D("0.0005"), D(0), D(2), D("0.5"))
RISING = [(100 + at, 101 + at) for at in range(8)]
DIPPING = [(100, 100), (100, 100), (100, 96), (98, 98), (98, 98), (98, 98)]


class PublicMarket:
    """A market port and nothing else: a private call of it would fail."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.markets, self.history, self.bars = exchange.markets, exchange.history, exchange.bars
        self.quote, self.connections = exchange.quote, exchange.connections


class Paper:
    """A paper exchange beside the market it follows, in virtual time."""

    def __init__(self, market, path: Path | None = None, *, warmup_bars: int = 1, real=None, **more) -> None:
        self.real = open_exchange(market, warmup_bars=warmup_bars, **(real or {}))
        self._path, self._more = path, more
        self._tasks: list[asyncio.Task] = []

    async def __aenter__(self) -> Paper:
        store = ExchangeStore(self._path, fingerprint="paper")
        self.exchange = await PaperExchange.open(
            PublicMarket(self.real),
            store,
            symbols=self.real.source.symbols,
            interval_ms=HOUR_MS,
            clock=self.real.clock,
            initial_balance=D(10_000),
            **({"terms": TERMS} | self._more),
        )
        self.events: list = []
        self._tasks = [asyncio.create_task(work) for work in (self._listen(), self.exchange.run_market())]
        await asyncio.sleep(0)
        self._tasks.append(asyncio.create_task(self.real.run_market()))
        return self

    async def __aexit__(self, *error) -> None:
        await end_all(self._tasks)
        self.exchange.close()
        self.real.close()

    async def until(self, hour: float) -> None:
        await self.real.clock.sleep_until(hours(hour))
        await asyncio.sleep(0.001)

    async def _listen(self) -> None:
        async for event in self.exchange.events():
            self.events.append(event)


def limit(client_id: str, symbol: str, amount: str, price: str, **more):
    return replace(market_order(client_id, symbol, amount), type="limit", price=D(price), **more)


def test_a_market_order_fills_at_the_real_markets_quote():
    async def main():
        async with Paper(source(bars("A", RISING))) as paper:
            await paper.until(2.5)
            outcome = await paper.exchange.create_order(market_order("b", "A", "2"))
            return outcome.report, await paper.exchange.account(), await paper.real.account()

    report, account, untouched = run_virtual(main())
    assert (report.status, report.average) == (OrderStatus.CLOSED, 102)
    assert account.amount("A") == 2 and account.wallet == D("10000") - D("0.102")
    assert untouched.positions == () and untouched.wallet == 10_000


def test_the_bars_of_the_market_come_after_the_account_has_seen_them():
    async def main():
        async with Paper(source(bars("A", DIPPING))) as paper:
            told = paper.exchange.bars()
            await paper.exchange.create_order(limit("l", "A", "1", "97"))
            async for closed in told:
                if closed[0].time_ms == hours(3):
                    return await paper.exchange.fills(since_ms=0)

    assert [fill.price for fill in run_virtual(main())] == [97]


def test_an_order_that_came_after_the_open_is_not_filled_by_a_range_that_may_be_older():
    async def main():
        async with Paper(source(bars("A", DIPPING)), quote_every_s=10_000.0) as paper:
            await paper.until(2.5)
            await paper.exchange.create_order(limit("l", "A", "1", "97"))
            await paper.until(2.99)
            before = await paper.exchange.open_orders()
            await paper.until(3.0)
            return before, await paper.exchange.fills(since_ms=0)

    before, fills = run_virtual(main())
    assert len(before) == 1 and [(fill.price, fill.time_ms) for fill in fills] == [(96, hours(3))]


def test_a_resting_order_is_measured_against_quotes_between_the_bars():
    async def main():
        async with Paper(source(bars("A", [(100, 100)] * 3 + [(95, 100)] * 3)), quote_every_s=70.0) as paper:
            await paper.until(2.5)
            await paper.exchange.create_order(limit("l", "A", "1", "97"))
            await paper.until(3.1)
            return await paper.exchange.fills(since_ms=0)

    (fill,) = run_virtual(main())
    assert fill.price == 95 and hours(3) < fill.time_ms <= hours(3.1)


def test_without_a_quote_nothing_is_placed():
    halted = source(bars("A", [*RISING[:2], None, *RISING[3:]]), flat("B", 8))

    async def main():
        async with Paper(halted) as paper:
            await paper.until(2.5)
            with pytest.raises(ExchangeUnreachable):
                await paper.exchange.quote("A")
            in_the_halt = await paper.exchange.create_order(market_order("b", "A", "1"))
            await paper.until(3.5)
            return in_the_halt, await paper.exchange.create_order(market_order("b", "A", "1"))

    in_the_halt, after = run_virtual(main())
    assert isinstance(in_the_halt, NotPlaced) and in_the_halt.code == "-1001" and isinstance(after, Placed)


def test_a_market_that_is_over_refuses_as_closed():
    async def main():
        async with Paper(source(flat("A", 3), flat("B", 6))) as paper:
            await paper.until(4.5)
            return await paper.exchange.create_order(market_order("b", "A", "1"))

    outcome = run_virtual(main())
    assert isinstance(outcome, NotPlaced) and outcome.code == "-1013"


def test_a_killed_process_resumes_and_makes_up_for_what_it_missed(tmp_path):
    path, market = tmp_path / "paper.sqlite", source(bars("A", DIPPING))
    funding = {"A": FundingSchedule(None, D("0.0001"))}

    async def first_life():
        async with Paper(market, path) as paper:
            await paper.exchange.create_order(market_order("in", "A", "2"))
            await paper.exchange.create_order(limit("rest", "A", "1", "97"))
            return await paper.exchange.account()

    async def second_life():
        async with Paper(market, path, warmup_bars=4, funding=funding) as paper:
            found = await paper.exchange.fetch_order("A", "rest")
            return found.report, await paper.exchange.account(), await paper.exchange.fills(since_ms=0)

    before, (report, after, fills) = run_virtual(first_life()), run_virtual(second_life())
    assert before.amount("A") == 2 and after.amount("A") == 3
    assert (report.status, report.average, report.time_ms) == (OrderStatus.CLOSED, 97, hours(3))
    assert [fill.client_order_id for fill in fills] == ["in", "rest"]


def test_funding_is_paid_by_the_schedule():
    async def main():
        schedule = {"A": FundingSchedule(None, D("0.0001"))}
        async with Paper(source(flat("A", 12)), warmup_bars=4, funding=schedule) as paper:
            await paper.until(5.5)
            await paper.exchange.create_order(market_order("in", "A", "2"))
            await paper.until(8.5)
            return await paper.exchange.funding(since_ms=0)

    (payment,) = run_virtual(main())
    assert (payment.time_ms, payment.amount) == (hours(8), D("-0.02"))


def test_faults_are_played_on_paper_too():
    async def main():
        faults = [{"kind": "timeout_after_execution", "at": 1}, {"kind": "event_twice", "at": 2}]
        async with Paper(source(flat("A", 6)), faults=faults) as paper:
            await paper.exchange.create_order(market_order("b", "A", "1"))
            await paper.until(1.5)
            return [event for event in paper.events if isinstance(event, Fill)], await paper.exchange.account()

    fills, account = run_virtual(main())
    assert len(fills) == 2 and fills[0] == fills[1] and account.amount("A") == 1


def test_an_outage_of_the_market_is_passed_on_and_its_bars_come_before_the_return():
    async def main():
        fault = {"kind": "market_stream_down", "at": 2, "delay_ms": HOUR_MS * 3 // 2}
        async with Paper(source(flat("A", 8)), real={"faults": [fault]}) as paper:
            seen = []

            async def watch(stream, name):
                async for item in stream:
                    seen.append((name, item.is_up if name == "connection" else item[0].time_ms))

            streams = ((paper.exchange.bars(), "bar"), (paper.exchange.connections(), "connection"))
            tasks = [asyncio.create_task(watch(*one)) for one in streams]
            await paper.until(5.2)
            for task in tasks:
                task.cancel()
            return seen

    seen = run_virtual(main())
    assert [name for name in seen if name[0] == "connection"] == [("connection", False), ("connection", True)]
    assert [time_ms for name, time_ms in seen if name == "bar"] == [hours(at) for at in (2, 3, 4, 5)]
    assert seen.index(("bar", hours(4))) < seen.index(("connection", True))


def test_a_symbol_that_the_market_does_not_list_is_refused():
    async def main():
        real = open_exchange(source(flat("A", 4)))
        store = ExchangeStore(None, fingerprint="paper")
        try:
            with pytest.raises(MarketUnknown, match="does not list X"):
                await PaperExchange.open(
                    PublicMarket(real), store, symbols=["X"], interval_ms=HOUR_MS, clock=real.clock,
                    initial_balance=D(1), terms=TERMS,
                )  # fmt: skip
        finally:
            store.close()
            real.close()

    run_virtual(main())
