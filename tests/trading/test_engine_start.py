"""Starts and stops of an engine that stands alone: what is asked of it while it is not there yet, or no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.words import NotPlaced, OrderRequest, Side
from tests.trading.engines import BTC, ETH, D, engine_of, market, open_exchange
from tests.virtual_time import run_virtual
from trading.execution.engine_account import CUT_SHORT
from trading.execution_engine import ExecutionEngine, SignalAction, TradingSignal
from trading.execution_models import ExecutionOrder
from trading.journal.errors import JournalUnwritable

STILL = [50_000.0] * 30
BUY = TradingSignal(symbol=BTC, action=SignalAction.BUY, quantity=0.01)
OF_ANOTHER = TradingSignal(symbol=ETH, action=SignalAction.BUY, quantity=0.1)
STARTING = "the engine is still starting: give it again when start() has returned"


def held(exchange, symbol: str = BTC):
    return exchange.venue.account.ledger.amount(symbol)


def slow(exchange, name: str, delay_s: float) -> None:
    asked = getattr(exchange, name)

    async def answer(*given, **named):
        await asyncio.sleep(delay_s)
        return await asked(*given, **named)

    setattr(exchange, name, answer)


def cheaper(ask):
    async def quote(symbol):
        return replace(await ask(symbol), price=D(48_000))

    return quote


@asynccontextmanager
async def starting(tmp_path) -> AsyncIterator[tuple[ExecutionEngine, dict, asyncio.Task]]:
    """An engine that holds 0.01 BTC on the first of two exchanges, in the middle of its next start."""
    exchanges = {name: open_exchange(market(STILL), tmp_path / f"{name}.sqlite") for name in ("one", "two")}
    engine = engine_of(exchanges, tmp_path)
    await engine.start()
    assert (await engine.execute_signal(BUY, "one")).success
    await engine.stop()
    slow(exchanges["two"], "account", 1.0)
    engine = engine_of(exchanges, tmp_path)
    start = asyncio.ensure_future(engine.start())
    await asyncio.sleep(0.5)
    try:
        yield engine, exchanges, start
    finally:
        await engine.stop()
        for exchange in exchanges.values():
            exchange.close()


# signals


def test_a_signal_during_a_start_is_refused_whatever_it_wants(tmp_path):
    async def main():
        async with starting(tmp_path) as (engine, exchanges, start):
            asked = [
                await engine.execute_signal(OF_ANOTHER, "one"),
                await engine.execute_signal(TradingSignal(symbol=BTC, action=SignalAction.CLOSE), "one"),
                await engine.close_position(BTC),
            ]
            assert [result.error for result in asked] == [STARTING] * 3
            await start
            assert (held(exchanges["one"]), held(exchanges["one"], ETH)) == (D("0.01"), 0)
            assert (await engine.close_position(BTC)).success

    run_virtual(main())


def test_nothing_is_opened_during_a_start_while_halted(tmp_path):
    async def main():
        exchanges = {name: open_exchange(market(STILL), tmp_path / f"{name}.sqlite") for name in ("one", "two")}
        engine = engine_of(exchanges, tmp_path)
        await engine.start()
        engine.activate_circuit_breaker("a person")
        await engine.stop()
        slow(exchanges["two"], "account", 1.0)
        engine = engine_of(exchanges, tmp_path)
        start = asyncio.ensure_future(engine.start())
        while not start.done():
            assert not (await engine.execute_signal(BUY, "one")).success
            await asyncio.sleep(0.1)
        assert engine.is_halted and held(exchanges["one"]) == 0
        assert (await engine.emergency_stop_all())["failed"] == []
        await engine.stop()

    run_virtual(main())


def test_nothing_is_opened_before_ledger_and_exchange_were_compared(tmp_path):
    """The exchange holds more than the journal knows, which is found at the end of the start only."""

    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
        engine = engine_of({"mock": exchange}, tmp_path)
        await engine.start()
        assert (await engine.execute_signal(BUY)).success
        await engine.stop()
        await exchange.create_order(OrderRequest("engine-old-9-0e", BTC, Side.BUY, D("0.01"), "market", None, False))
        slow(exchange, "funding", 3.0)
        engine = engine_of({"mock": exchange}, tmp_path)
        start = asyncio.ensure_future(engine.start())
        await asyncio.sleep(1.0)
        placed = await engine.order_manager.place_order(ExecutionOrder(ETH, "BUY", 0.1), exchange)
        assert placed is None and (await engine.execute_signal(OF_ANOTHER)).error == STARTING
        await start
        assert (await engine.execute_signal(OF_ANOTHER)).error == "breaker_halted:journal_outdated"
        assert held(exchange, ETH) == 0
        await engine.stop()

    run_virtual(main())


# halts


def test_a_halt_during_a_start_holds_when_it_is_over_and_after_the_next(tmp_path):
    async def main():
        async with starting(tmp_path) as (engine, exchanges, start):
            engine.activate_circuit_breaker("a person")
            assert engine.is_halted
            await start
            assert "a person" in (await engine.execute_signal(OF_ANOTHER, "one")).error
            await engine.stop()
            engine = engine_of(exchanges, tmp_path)
            await engine.start()
            assert "a person" in (await engine.execute_signal(OF_ANOTHER, "two")).error
            await engine.deactivate_circuit_breaker()
            assert (await engine.execute_signal(OF_ANOTHER, "two")).success
            await engine.stop()

    run_virtual(main())


def test_an_emergency_stop_during_a_start_is_carried_out_at_its_end(tmp_path):
    async def main():
        async with starting(tmp_path) as (engine, exchanges, start):
            stopping = asyncio.ensure_future(engine.emergency_stop_all())
            await start
            assert not (await engine.execute_signal(OF_ANOTHER, "two")).success
            done = await stopping
            assert done["state"] == {"one": "flat", "two": "flat"} and held(exchanges["one"]) == 0

    run_virtual(main())


def test_an_emergency_stop_during_a_start_that_fails_says_so_and_the_next_start_is_halted(tmp_path):
    async def main():
        async with starting(tmp_path) as (engine, exchanges, start):
            account = exchanges["two"].account

            async def unreachable():
                raise ExchangeUnreachable("no answer")

            exchanges["two"].account = unreachable
            stopping = asyncio.ensure_future(engine.emergency_stop_all())
            with pytest.raises(ExchangeUnreachable):
                await start
            assert (await stopping)["failed"] == ["the engine is not started: start it first"]
            exchanges["two"].account = account
            await engine.start()
            assert "emergency_stop_all" in (await engine.execute_signal(OF_ANOTHER, "one")).error

    run_virtual(main())


def test_a_stop_during_a_start_ends_what_has_started(tmp_path):
    async def main():
        async with starting(tmp_path) as (engine, exchanges, start):
            await engine.stop()
            assert start.done()
            assert (await engine.execute_signal(OF_ANOTHER, "one")).error == "the engine is not started"
            assert held(exchanges["one"]) == D("0.01")

    run_virtual(main())


# twice


def test_a_second_start_changes_nothing(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
        engine = engine_of({"mock": exchange}, tmp_path, watch_s=1.0)
        await engine.start()
        assert (await engine.execute_signal(replace(BUY, stop_loss=49_000.0))).success
        assert await engine.connect()
        await engine.start()
        exchange.quote = cheaper(exchange.quote)
        await asyncio.sleep(3.0)
        assert held(exchange) == 0, "its stop is watched still"
        await engine.stop()
        exchange.close()

    run_virtual(main())


def test_two_starts_at_once_are_one(tmp_path):
    async def main():
        exchange = open_exchange(market(STILL), tmp_path / "exchange.sqlite")
        slow(exchange, "account", 0.3)
        engine = engine_of({"mock": exchange}, tmp_path)
        assert await asyncio.gather(engine.connect(), engine.connect()) == [True, True]
        assert (await engine.execute_signal(BUY)).success
        await engine.stop()
        exchange.close()

    run_virtual(main())


# ends


def test_a_disk_that_refuses_keeps_no_stop_from_ending_every_account(tmp_path):
    async def main():
        exchanges = {name: open_exchange(market(STILL), tmp_path / f"{name}.sqlite") for name in ("one", "two")}
        engine = engine_of(exchanges, tmp_path, watch_s=1.0)
        await engine.start()
        engine.activate_circuit_breaker("a person")
        for name in exchanges:  # a refusal waits to be written
            assert not (await engine.execute_signal(BUY, name)).success
        for account in engine._accounts.values():
            account.floor.journal._connection.exec_driver_sql("PRAGMA query_only = ON")
        with pytest.raises(JournalUnwritable):
            await engine.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await engine.stop()
        await engine.start()
        assert "a person" in (await engine.execute_signal(BUY, "two")).error
        await engine.stop()
        for exchange in exchanges.values():
            exchange.close()

    run_virtual(main())


def test_an_engine_that_has_stopped_mends_nothing_more(tmp_path, caplog):
    """Half of what it holds is sold by somebody, and the exchange does not take the rest. What is told afterwards goes
    to the journal of the next start alone."""

    async def main():
        exchange, sent = open_exchange(market(STILL), tmp_path / "exchange.sqlite"), []
        engine = engine_of({"mock": exchange}, tmp_path)
        await engine.start()
        assert (await engine.execute_signal(BUY)).success
        await exchange.create_order(OrderRequest("by-hand", BTC, Side.SELL, D("0.005"), "market", None, True))
        take = exchange.create_order

        async def refuse(request):
            sent.append(request)
            return NotPlaced("-1001", "DISCONNECTED")

        exchange.create_order = refuse
        await asyncio.sleep(5.0)
        await engine.stop()
        before = len(sent)
        await asyncio.sleep(600.0)
        assert before and len(sent) == before and asyncio.all_tasks() == {asyncio.current_task()}
        exchange.create_order = take
        await engine.start()
        await asyncio.sleep(60.0)
        assert held(exchange) == 0, "the next start goes on with it"
        engine.activate_circuit_breaker("a person")
        await engine.stop()
        exchange.close()

    run_virtual(main())
    assert "risk_listener_failed" not in caplog.text


def test_an_engine_that_has_stopped_sends_nothing_more(tmp_path):
    """An exit that the exchange does not take for longer than a stop waits."""

    async def main():
        exchange, sent = open_exchange(market(STILL), tmp_path / "exchange.sqlite"), []
        engine = engine_of({"mock": exchange}, tmp_path)
        await engine.start()
        assert (await engine.execute_signal(BUY)).success
        take = exchange.create_order

        async def refuse(request):
            sent.append(request)
            return NotPlaced("-1001", "DISCONNECTED")

        exchange.create_order = refuse
        closing = asyncio.ensure_future(engine.close_position(BTC))
        await asyncio.sleep(1.0)
        await engine.stop()
        before = len(sent)
        assert (await closing).error == CUT_SHORT
        await asyncio.sleep(600.0)
        assert len(sent) == before and asyncio.all_tasks() == {asyncio.current_task()}
        exchange.create_order = take
        await engine.start()
        await asyncio.sleep(60.0)
        assert held(exchange) == 0, "the next start goes on with it"
        await engine.stop()
        exchange.close()

    run_virtual(main())
