"""Answers that are late, and events that come while one is on its way."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.merged_account import MergedAccount
from ccxt_bt_bridge.words import Account, Connection, PositionReport
from tests.brokers.desk.desks import until
from tests.ccxt_bt_bridge.sessions import PAIR, buy, desk_session, run, started

D = Decimal
BTC_ID = {"BTCUSDT": "BTC"}


def account(time_ms: int, wallet: int, amount: int = 0, free: int | None = 5) -> Account:
    held = (PositionReport("BTC", D(amount), D(100)),) if amount else ()
    return Account(time_ms, D(wallet), held, None if free is None else D(free))


def update(time_ms: int, wallet: int, amount: int) -> dict:
    position = {"s": "BTCUSDT", "pa": str(amount), "ep": "100"}
    return {"e": "ACCOUNT_UPDATE", "E": time_ms, "a": {"B": [{"a": "USDT", "wb": str(wallet)}], "P": [position]}}


class SlowReads:
    """Every question waits for its answer, to be given by ``questions[n].set_result``."""

    quote, bases = "USDT", BTC_ID

    def __init__(self) -> None:
        self.questions: list[asyncio.Future[Account]] = []

    async def account(self) -> Account:
        self.questions.append(asyncio.get_running_loop().create_future())
        return await self.questions[-1]

    async def asked(self, number: int) -> None:
        while len(self.questions) < number:
            await asyncio.sleep(0)


async def opened() -> tuple[MergedAccount, SlowReads]:
    reads = SlowReads()
    merged = MergedAccount(reads, BTC_ID)  # type: ignore[arg-type]
    begun = asyncio.create_task(merged.ask())
    await reads.asked(1)
    reads.questions[0].set_result(account(10, 1_000))
    assert await begun == account(10, 1_000)
    return merged, reads


def test_news_heard_while_a_question_is_out_is_not_undone_by_its_answer():
    async def ask():
        merged, reads = await opened()
        task = asyncio.create_task(merged.ask())
        await reads.asked(2)
        assert merged.hear(update(30, 990, 2)) == account(30, 990, 2, free=None)
        reads.questions[1].set_result(account(20, 1_000))
        await reads.asked(3)  # what is free only an answer says
        assert merged.account == account(30, 990, 2, free=None)
        reads.questions[2].set_result(account(40, 990, 2, free=3))
        assert await task == merged.account == account(40, 990, 2, free=3)

    run(ask())


def test_an_answer_that_a_later_questions_has_overtaken_is_left():
    async def ask():
        merged, reads = await opened()
        slow = asyncio.create_task(merged.ask())
        await reads.asked(2)
        quick = asyncio.create_task(merged.ask())
        await reads.asked(3)
        reads.questions[2].set_result(account(30, 900))
        newest = await quick
        reads.questions[1].set_result(account(20, 1_000))
        assert await slow == merged.account == newest == account(30, 900)

    run(ask())


def test_a_clock_that_is_ahead_makes_no_news_old():
    async def ask():
        merged, _ = await opened()
        assert merged.hear(update(7, 990, 2)) == account(10, 990, 2, free=None)

    run(ask())


def test_while_the_stream_goes_on_talking_the_answer_comes_without_what_is_free():
    async def ask():
        merged, reads = await opened()
        task = asyncio.create_task(merged.ask())
        for number in (2, 3, 4):
            await reads.asked(number)
            merged.hear(update(number * 10, 1_000, number))
            reads.questions[number - 1].set_result(account(20, 1_000, 1))
        assert await task == account(40, 1_000, 4, free=None)

    run(ask())


@pytest.mark.parametrize("event", [{"e": "balanceUpdate"}, {"e": "MARGIN_CALL"}])
def test_what_cannot_be_merged_has_to_be_asked_for(event):
    async def ask():
        merged, _ = await opened()
        assert merged.hear(event) is None

    run(ask())


@pytest.mark.parametrize("kind", ["usdm", "spot"])
def test_over_the_wire_a_slow_answer_does_not_undo_a_fill(kind, monkeypatch):
    async def trade():
        async with desk_session(kind) as (_, session):
            trading = CcxtTrading(session, PAIR)
            read, go, held = trading._reads.account, asyncio.Event(), list[Account]()

            async def slow():
                answer = await read()
                held.append(answer)
                await go.wait()
                return answer

            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                monkeypatch.setattr(trading._reads, "account", slow)
                questions = [asyncio.create_task(trading.account()), asyncio.create_task(trading._reconcile())]
                await until(lambda: len(held) == 2)
                await trading.create_order(buy("meanwhile"))
                await until(lambda: len(heard.of(Account)) == 2)
                amount = heard.of(Account)[-1].amount("BTCUSDT")
                go.set()
                answer, _ = await asyncio.gather(*questions)
                await trading.create_order(buy("other", "ETHUSDT", "0.1"))
                await until(lambda: heard.of(Account)[-1].amount("ETHUSDT") > 0)
            assert answer.amount("BTCUSDT") == amount > 0
            assert [told.amount("BTCUSDT") for told in heard.of(Account)] == [0, amount, amount]

    run(trade())
