"""Trading over the wire: the real ccxt client against the exchange on the desk, which may do anything to a request."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from ccxt_bt_bridge import binance_orders, ccxt_trading
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.errors import ExchangeUnreachable, KeyRefused, NotSupported, RateBanned
from ccxt_bt_bridge.words import (
    Absent,
    Account,
    Ambiguous,
    Cancelled,
    Connection,
    Fill,
    Found,
    FundingPayment,
    NotCancelled,
    NotPlaced,
    OrderReport,
    OrderStatus,
    Placed,
    Unknown,
)
from tests.brokers.desk.desks import until, usdm_client
from tests.ccxt_bt_bridge.sessions import PAIR, buy, cancelled, desk_session, run, sell, started

every_kind = pytest.mark.parametrize("kind", ["usdm", "spot"])


def faults(*kinds: str, on: str = "create_order", **more) -> dict:
    return {"server": {"faults": [{"kind": kind, "on": on, "at": 1, **more} for kind in kinds]}}


def core_fault(kind: str, on: str, *, at: int = 1, **more) -> dict:
    return {"faults": [{"kind": kind, "on": on, "at": at, **more}]}


@every_kind
def test_an_order_is_placed_once_and_told_once(kind):
    async def trade():
        async with desk_session(kind) as (desk, session):
            trading = CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                outcome = await trading.create_order(buy("one"))
                await until(lambda: heard.of(Fill) and len(heard.of(Account)) == 2)
            assert isinstance(outcome, Placed)
            assert outcome.report.filled == Decimal("0.01")
            (fill,) = heard.of(Fill)
            (report,) = heard.of(OrderReport)
            assert (report.client_order_id, report.status) == ("one", OrderStatus.CLOSED)
            assert (fill.client_order_id, fill.order_id) == ("one", report.order_id)
            assert fill.fee > 0
            assert fill.base_fee in (0, fill.fee / fill.price)
            assert heard.of(Account)[-1].amount("BTCUSDT") == fill.position_change
            assert [fill] == await trading.fills(since_ms=0)

    run(trade())


@every_kind
def test_what_is_there_already_is_told_before_the_stream_is_up(kind):
    async def begin():
        async with desk_session(kind) as (_, session):
            former = CcxtTrading(session, PAIR)
            await former.create_order(buy("held"))
            await former.create_order(buy("waits", type="limit", price=Decimal("50000.0")))
            trading = CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
            assert [type(item) for item in heard] == [OrderReport, Account, Connection]
            assert heard.of(OrderReport)[0].client_order_id == "waits"
            assert heard.of(Account)[0].amount("BTCUSDT") > 0

    run(begin())


@every_kind
def test_a_limit_order_waits_is_listed_and_is_cancelled_by_our_id(kind):
    async def trade():
        async with desk_session(kind) as (_, session):
            trading = CcxtTrading(session, PAIR)
            placed = await trading.create_order(buy("low", type="limit", price=Decimal("50000.0")))
            assert placed.report.status is OrderStatus.OPEN
            assert [report.client_order_id for report in await trading.open_orders()] == ["low"]
            assert isinstance(await trading.cancel_order("BTCUSDT", "low"), Cancelled)
            assert await trading.open_orders() == []
            assert (await trading.cancel_order("BTCUSDT", "low")).code == "-2011"
            found = await trading.fetch_order("BTCUSDT", "low")
            assert found.report.status is OrderStatus.CANCELED

    run(trade())


def test_orders_are_named_as_the_caller_names_markets():
    async def trade():
        async with desk_session() as (_, session):
            trading = CcxtTrading(session, ["BTC/USDT:USDT"])
            placed = await trading.create_order(buy("named", "BTC/USDT:USDT"))
            assert placed.report.symbol == "BTC/USDT:USDT"
            assert (await trading.account()).amount("BTC/USDT:USDT") == Decimal("0.01")
            assert (await trading.fills(since_ms=0))[0].symbol == "BTC/USDT:USDT"

    run(trade())


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (buy("x", amount="0.0105"), "step"),
        (buy("x", type="limit", price=Decimal("50000.01")), "tick"),
        (buy("x", type="limit"), "needs a price"),
        (buy("x", type="stop"), "needs a trigger price"),
        (buy("x", type="iceberg"), "unknown order type"),
        (buy("x", "DOGEUSDT"), "none of the symbols"),
    ],
)
def test_an_order_that_cannot_be_right_is_never_sent(request_, said):
    async def trade():
        async with desk_session() as (desk, session):
            outcome = await CcxtTrading(session, PAIR).create_order(request_)
            assert isinstance(outcome, NotPlaced)
            assert (outcome.code, said in outcome.reason) == ("local", True)
            assert desk.exchange.venue.order("BTCUSDT", "x") is None

    run(trade())


@every_kind
def test_no_such_order_is_absent_only_after_the_horizon(kind):
    async def ask():
        async with desk_session(kind, server={"backend_timeout_ms": 100}) as (_, session):
            session.horizon_ms = 400
            trading = CcxtTrading(session, PAIR)
            await trading.create_order(buy("refused", amount="100000"))
            first = await trading.fetch_order("BTCUSDT", "refused")
            assert isinstance(first, Unknown)
            async with asyncio.timeout(10):
                while isinstance(outcome := await trading.fetch_order("BTCUSDT", "refused"), Unknown):
                    await asyncio.sleep(0.05)
            assert outcome == Absent()

    run(ask())


def test_what_another_client_of_the_session_sends_or_sent_is_not_absent_before_the_horizon(monkeypatch):
    async def ask():
        async with desk_session() as (_, session):
            session.horizon_ms = 60_000
            monkeypatch.setattr(session.sent, "_begun_s", session.sent._begun_s - 3_600)  # it is open for an hour
            trading, emergency = CcxtTrading(session, PAIR), CcxtTrading(session, PAIR, client="emergency")
            assert await emergency.fetch_order("BTCUSDT", "refused") == Absent()
            task = asyncio.create_task(trading.create_order(buy("refused", amount="100000")))
            await asyncio.sleep(0)
            assert await emergency.fetch_order("BTCUSDT", "refused") != Absent()
            assert isinstance(await task, NotPlaced)
            outcome = await emergency.fetch_order("BTCUSDT", "refused")
            assert isinstance(outcome, Unknown) and "certain in" in outcome.reason
            session.horizon_ms = 0
            assert await emergency.fetch_order("BTCUSDT", "refused") == Absent()

    run(ask())


@every_kind
def test_the_answer_is_lost_and_the_order_is_found_and_never_sent_again(kind):
    async def trade():
        async with desk_session(kind, **faults("reset")) as (desk, session):
            trading = CcxtTrading(session, PAIR)
            assert isinstance(await trading.create_order(buy("lost")), Ambiguous)
            found = await trading.fetch_order("BTCUSDT", "lost")
            assert isinstance(found, Found) and found.report.status is OrderStatus.CLOSED
            assert len(await trading.fills(since_ms=0)) == 1

    run(trade())


def test_a_cancelled_caller_loses_nothing():
    async def trade():
        async with desk_session(**core_fault("slow", "create_order", delay_ms=300)) as (_, session):
            trading = CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                task = asyncio.create_task(trading.create_order(buy("orphan")))
                await until(lambda: heard.of(Fill))
                await cancelled(task)
            assert heard.of(OrderReport)[-1].client_order_id == "orphan"
            found = await trading.fetch_order("BTCUSDT", "orphan")
            assert isinstance(found, Found)

    run(trade())


def test_two_legs_leave_together():
    async def trade():
        async with desk_session() as (_, session):
            trading = CcxtTrading(session, PAIR)
            loop, limiter_s = asyncio.get_running_loop(), 0.2
            await trading.create_order(buy("warm"))
            begun = loop.time()
            outcomes = await asyncio.gather(
                trading.create_order(buy("leg-a")), trading.create_order(sell("leg-b", "ETHUSDT"))
            )
            took_s = loop.time() - begun
            assert all(isinstance(outcome, Placed) for outcome in outcomes)
            assert took_s < limiter_s  # ccxt's default limiter alone takes 0.2 s before the second leg

    run(trade())


@every_kind
def test_an_event_that_the_stream_loses_is_found_after_the_reconnect(kind):
    async def trade():
        async with desk_session(kind, **core_fault("event_lost", "events", times=50)) as (desk, session):
            trading = CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                await trading.create_order(buy("unheard"))
                assert heard.of(Fill) == []
                for socket in desk.server.sockets:
                    socket.abort()
                await until(lambda: len(heard.of(Connection)) == 3)
            down, up = heard.of(Connection)[1:]
            assert (down.is_up, up.is_up) == (False, True)
            (fill,) = heard.of(Fill)
            assert fill.client_order_id == "unheard"
            assert heard.index(fill) < heard.index(up)
            assert heard.of(Account)[-1].amount("BTCUSDT") > 0

    run(trade())


def test_an_order_that_ended_while_the_stream_was_away_is_told():
    async def trade():
        async with desk_session(**core_fault("event_lost", "events", at=2, times=50)) as (desk, session):
            trading, other = CcxtTrading(session, PAIR), CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                await trading.create_order(buy("low", type="limit", price=Decimal("50000.0")))
                assert isinstance(await other.cancel_order("BTCUSDT", "low"), Cancelled)
                for socket in desk.server.sockets:
                    socket.abort()
                await until(lambda: len(heard.of(Connection)) == 3)
            assert heard.of(OrderReport)[-1].status is OrderStatus.CANCELED

    run(trade())


@pytest.mark.parametrize("fault", ["event_twice", "event_out_of_order"])
def test_what_is_told_twice_or_out_of_order_counts_once(fault):
    async def trade():
        script = [{"kind": fault, "on": "events", "at": at} for at in range(1, 10, 3)]
        async with desk_session(faults=script) as (_, session):
            trading = CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                for number in range(6):
                    await trading.create_order(buy(f"n{number}"))
                await until(lambda: len(heard.of(Fill)) >= 6)
            ids = [fill.trade_id for fill in heard.of(Fill)]
            assert len(ids) == len(set(ids)) == 6

    run(trade())


def test_an_expired_listen_key_is_replaced():
    async def trade():
        script = [{"kind": "listen_key_expired", "on": "user_stream", "at": 1}]
        async with desk_session(server={"faults": script}) as (_, session):
            trading = CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                await trading.create_order(buy("first"))
                await until(lambda: len(heard.of(Connection)) == 3)
                await trading.create_order(buy("second"))
                await until(lambda: len(heard.of(Fill)) == 2)
            assert [fill.client_order_id for fill in heard.of(Fill)] == ["first", "second"]

    run(trade())


def test_while_banned_nothing_is_sent():
    async def trade():
        async with desk_session(**core_fault("rate_limit", "create_order", delay_ms=1_000)) as (_, session):
            trading, emergency = CcxtTrading(session, PAIR), CcxtTrading(session, PAIR, client="emergency")
            assert (await trading.create_order(buy("banned"))).code == "-1003"
            for port in (trading, emergency):
                held = await port.create_order(buy("held"))
                assert isinstance(held, NotPlaced) and held.code == "local"
                assert (await port.cancel_order("BTCUSDT", "held")).code == "local"
                assert isinstance(await port.fetch_order("BTCUSDT", "held"), Unknown)
                with pytest.raises(RateBanned) as banned:
                    await port.account()
                assert 0 < banned.value.until_ms - session.clock.now_ms() <= 1_000
            async with asyncio.timeout(10):
                while isinstance(await trading.create_order(buy("after")), NotPlaced):
                    await asyncio.sleep(0.05)
            assert [fill.client_order_id for fill in await trading.fills(since_ms=0)] == ["after"]

    run(trade())


def test_a_refused_time_stamp_places_nothing_and_sets_the_clock_anew():
    async def trade():
        async with desk_session() as (desk, session):
            trading = CcxtTrading(session, PAIR)
            session.clock.may_skip = True  # else one message could not do it
            session.clock.observe(session.clock.now_ms() + 60_000)
            refused = await trading.create_order(buy("ahead"))
            assert (type(refused), refused.code) == (NotPlaced, "-1021")
            await until(lambda: abs(session.clock.signing_ms() - desk.clock.now_ms()) < 1_000)
            assert isinstance(await trading.create_order(buy("again")), Placed)

    run(trade())


def test_a_revoked_key_stops_reads_and_orders_with_a_sentence():
    async def trade():
        async with desk_session() as (desk, session):
            trading = CcxtTrading(session, PAIR)
            await trading.account()
            desk.server.keys.revoke("desk-key")
            with pytest.raises(KeyRefused, match="wrong, revoked, lacks the permission"):
                await trading.account()
            refused = await trading.create_order(buy("late"))
            assert (type(refused), refused.code) == (NotPlaced, "-2015")
            assert "Invalid API-key" in refused.reason and "wrong, revoked, lacks the permission" in refused.reason
            assert isinstance(await trading.cancel_order("BTCUSDT", "late"), NotCancelled)

    run(trade())


def test_a_failed_read_is_never_nothing():
    async def trade():
        reads = [{"kind": "empty_object_200", "on": on, "at": 1} for on in ("open_orders", "fills", "account")]
        async with desk_session(server={"faults": reads}) as (_, session):
            trading = CcxtTrading(session, PAIR)
            for read in (trading.open_orders(), trading.fills(since_ms=0), trading.account()):
                with pytest.raises(ExchangeUnreachable):
                    await read

    run(trade())


def test_without_a_key_there_is_no_trading():
    async def trade():
        async with desk_session(settings={"credentials": None}) as (_, session):
            with pytest.raises(NotSupported, match="need an API key"):
                CcxtTrading(session, PAIR)

    run(trade())


def test_a_refusal_says_why():
    async def trade():
        async with desk_session() as (_, session):
            trading = CcxtTrading(session, PAIR)
            refused = await trading.create_order(sell("reduce", reduce_only=True))
            assert (type(refused), refused.code) == (NotPlaced, "-2022")
            small = await trading.create_order(buy("dust", "ETHUSDT", "0.001"))
            assert (type(small), small.code) == (NotPlaced, "-4164")

    run(trade())


def test_fills_are_asked_for_in_windows_and_from_the_given_time():
    async def trade():
        async with desk_session() as (_, session):
            trading = CcxtTrading(session, PAIR)
            for number in range(3):
                await trading.create_order(buy(f"f{number}"))
            every = await trading.fills(since_ms=session.clock.now_ms() - 20 * 86_400_000)
            assert [fill.client_order_id for fill in every] == ["f0", "f1", "f2"]
            assert list(await trading.fills(since_ms=every[-1].time_ms + 1)) == []

    run(trade())


def test_close_is_quick_and_may_come_twice():
    async def close():
        async with desk_session() as (_, session):
            trading, loop = CcxtTrading(session, PAIR), asyncio.get_running_loop()
            events = trading.events()
            await trading.start()
            await trading.start()
            begun = loop.time()
            await trading.close()
            await trading.close()
            await session.close()
            await session.close()
            assert loop.time() - begun < 1.0
            assert all(isinstance(event, Account | Connection) for event in [event async for event in events])

    run(close())


# stops


@every_kind
@pytest.mark.parametrize("type_", ["stop", "stop_limit"])
def test_a_stop_waits_is_listed_and_is_cancelled_by_our_id(kind, type_):
    async def trade():
        async with desk_session(kind) as (_, session):
            trading = CcxtTrading(session, PAIR)
            stop = buy("stop", type=type_, trigger_price=Decimal(90_000), price=stop_price(type_))
            placed = await trading.create_order(stop)
            assert isinstance(placed, Placed), placed
            assert placed.report.status is OrderStatus.OPEN
            assert [report.client_order_id for report in await trading.open_orders()] == ["stop"]
            found = await trading.fetch_order("BTCUSDT", "stop")
            assert isinstance(found, Found) and found.report.status is OrderStatus.OPEN
            later = CcxtTrading(session, PAIR)  # as after a restart: it does not know that it was a stop
            assert (await later.fetch_order("BTCUSDT", "stop")).report.status is OrderStatus.OPEN
            assert isinstance(await later.cancel_order("BTCUSDT", "stop"), Cancelled)
            assert await trading.open_orders() == []
            assert (await trading.fetch_order("BTCUSDT", "stop")).report.status is OrderStatus.CANCELED

    run(trade())


def stop_price(type_: str) -> Decimal | None:
    return Decimal(90_100) if type_ == "stop_limit" else None


@every_kind
def test_a_stop_that_triggers_fills_under_our_id(kind):
    async def trade():
        async with desk_session(kind, speed=1_200.0) as (desk, session):
            trading = CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                await trading.create_order(buy("held", amount="0.05"))
                price = (await desk.exchange.quote("BTCUSDT")).price
                trigger = (price * Decimal("1.0005")).quantize(Decimal(1))
                placed = await trading.create_order(buy("stop", type="stop", trigger_price=trigger))
                assert isinstance(placed, Placed), placed
                desk.walk()
                await until(lambda: any(fill.client_order_id == "stop" for fill in heard.of(Fill)))
                found = await trading.fetch_order("BTCUSDT", "stop")
            assert found.report.status is OrderStatus.CLOSED
            assert (found.report.client_order_id, found.report.filled) == ("stop", Decimal("0.01"))
            assert [fill.client_order_id for fill in await trading.fills(since_ms=0)] == ["held", "stop"]
            assert heard.of(OrderReport)[-1].client_order_id == "stop"

    run(trade())


def test_a_post_only_order_that_would_take_is_not_placed_or_expires():
    async def trade():
        async with desk_session() as (desk, session):
            trading = CcxtTrading(session, PAIR)
            price = ((await desk.exchange.quote("BTCUSDT")).price * 2).quantize(Decimal(1))
            outcome = await trading.create_order(buy("maker", type="limit", price=price, time_in_force="PO"))
            refused = isinstance(outcome, NotPlaced) and outcome.code == "-5022"
            assert refused or outcome.report.status in (OrderStatus.EXPIRED, OrderStatus.CANCELED)
            assert await trading.fills(since_ms=0) == []

    run(trade())


def test_a_stream_that_is_silent_while_the_account_changes_is_opened_anew(monkeypatch):
    monkeypatch.setattr(ccxt_trading, "QUIET_S", 0.2)

    async def trade():
        async with desk_session(**core_fault("event_lost", "events", times=50)) as (_, session):
            trading = CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                await trading.create_order(buy("unheard"))
                await until(lambda: len(heard.of(Connection)) == 3)
            assert [fill.client_order_id for fill in heard.of(Fill)] == ["unheard"]
            assert "silent while the account changed" in heard.of(Connection)[1].reason

    run(trade())


def test_an_order_that_is_still_being_sent_is_never_absent(monkeypatch):
    async def trade():
        async with desk_session() as (_, session):
            session.horizon_ms = 0
            trading, go = CcxtTrading(session, PAIR), asyncio.Event()
            create = trading._orders.create

            async def held_back(request, market):
                await go.wait()
                return await create(request, market)

            monkeypatch.setattr(trading._orders, "create", held_back)
            task = asyncio.create_task(trading.create_order(buy("queued")))
            await asyncio.sleep(0)
            assert await trading.fetch_order("BTCUSDT", "queued") == Unknown("it is being sent")
            go.set()
            assert isinstance(await task, Placed)
            assert isinstance(await trading.fetch_order("BTCUSDT", "queued"), Found)

    run(trade())


def test_an_order_that_waits_too_long_for_the_rate_limit_is_not_sent(monkeypatch):
    monkeypatch.setattr(binance_orders, "FRESH_S", 0.05)

    async def trade():
        async with desk_session() as (desk, session):
            trading = CcxtTrading(session, PAIR)

            async def crowded(cost=None):
                await asyncio.sleep(0.2)

            monkeypatch.setattr(trading._client, "throttle", crowded)
            outcome = await trading.create_order(buy("stale"))
            assert (outcome.code, "rate limit" in outcome.reason) == ("local", True)
            assert await trading.fills(since_ms=0) == []

    run(trade())


def test_a_persons_order_on_another_symbol_disturbs_nothing():
    async def main() -> None:
        async with desk_session() as (desk, session):
            trading = CcxtTrading(session, ["BTCUSDT"])
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                async with usdm_client(desk.url) as person:
                    await person.load_markets()
                    await person.create_order("ETH/USDT:USDT", "limit", "buy", 0.1, 1000.0)
                    placed = await trading.create_order(buy("ours", symbol="BTCUSDT"))
                    assert isinstance(placed, Placed)
                    trading._lifeline.cut("a test")
                    await until(lambda: [one.is_up for one in heard.of(Connection)] == [True, False, True])
                    assert {order.symbol for order in await trading.open_orders()} == {"ETHUSDT"}
                assert {report.symbol for report in heard.of(OrderReport)} == {"BTCUSDT"}

    run(main())


def test_an_open_order_that_cannot_be_read_does_not_hide_the_others(monkeypatch):
    read = binance_orders.order_report

    def picky(row, symbol):
        if row["clientOrderId"] == "a-persons":
            raise ValueError("filled 0 of 0")
        return read(row, symbol)

    monkeypatch.setattr(binance_orders, "order_report", picky)

    async def main() -> None:
        async with desk_session() as (desk, session):
            trading = CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                for name in ("a-persons", "ours"):
                    await trading.create_order(buy(name, type="limit", price=Decimal(10_000), amount=Decimal("0.01")))
                assert [order.client_order_id for order in await trading.open_orders()] == ["ours"]

    run(main())


def test_an_answer_that_breaks_the_poll_does_not_end_it(monkeypatch):
    monkeypatch.setattr(ccxt_trading, "QUIET_S", 0.05)
    asked = []

    async def main() -> None:
        async with desk_session() as (desk, session):
            trading = CcxtTrading(session, PAIR)

            async def broken():
                asked.append(1)
                raise KeyError("income")

            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                trading._reconcile = broken
                await until(lambda: len(asked) >= 3)

    run(main())


def test_funding_that_fell_due_before_the_start_and_is_listed_after_it_is_told_once(monkeypatch):
    async def main() -> None:
        async with desk_session() as (_, session):
            trading, now_ms = CcxtTrading(session, PAIR), session.clock.now_ms()
            due_ms = now_ms - now_ms % 3_600_000
            assert due_ms < now_ms - 120_000
            late = FundingPayment("1", "BTCUSDT", Decimal("-0.1"), Decimal("0.0001"), Decimal(100), due_ms)
            asked: list[int] = []

            async def listed(since_ms: int) -> list[FundingPayment]:
                asked.append(since_ms)
                return [late] if len(asked) > 1 and late.time_ms >= since_ms else []

            monkeypatch.setattr(trading._reads, "funding", listed)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                assert heard.of(FundingPayment) == []
                for _ in range(2):
                    await trading._funding_soon()
                await until(lambda: heard.of(FundingPayment))
                assert heard.of(FundingPayment) == [late]

    run(main())
