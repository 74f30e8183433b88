"""A market over the wire: the real ccxt client against the exchange on the desk."""

from __future__ import annotations

import asyncio

import pytest

from brokers.mock_market import MockMarket
from brokers.simulated.source import MarketSource
from ccxt_bt_bridge import session as session_module
from ccxt_bt_bridge.backfill import CandlePages, fetch_bars
from ccxt_bt_bridge.binance_endpoints import local_urls
from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.errors import MarketUnknown
from ccxt_bt_bridge.session import CcxtSession, SessionSettings
from ccxt_bt_bridge.words import Bar, Connection
from tests.brokers.desk.desks import minutes, open_desk, until
from tests.ccxt_bt_bridge.sessions import PAIR, desk_session, open_session, run, started

MINUTE_MS = 60_000
FAST = 1_200.0  # a minute in 50 ms
KINDS = ["usdm", "spot"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def is_every_minute_once(bars: list[Bar], symbol: str) -> bool:
    times = [bar.time_ms for bar in bars if bar.symbol == symbol]
    return times == list(range(times[0], times[-1] + 1, MINUTE_MS))


def closes(bars: list[Bar]) -> dict[tuple[str, int], float]:
    return {(bar.symbol, bar.time_ms): bar.close for bar in bars}


async def true_closes(desk, bars: list[Bar]) -> dict[tuple[str, int], float]:
    truth = closes([bar for symbol in PAIR for bar in await desk.exchange.history(symbol, limit=10_000)])
    return {key: truth[key] for key in closes(bars)}


@every_kind
def test_history_ends_with_the_last_closed_bar(kind):
    async def ask():
        async with desk_session(kind) as (desk, session):
            bars = await CcxtMarket(session, PAIR, "1m").history("ETHUSDT", limit=20)
            assert bars == await desk.exchange.history("ETHUSDT", limit=20)
            assert bars[-1].time_ms == desk.exchange.market_ms

    run(ask())


@every_kind
def test_bars_come_once_closed_and_continue_the_history(kind):
    async def listen():
        async with desk_session(kind, source=minutes(80), speed=FAST) as (desk, session):
            market = CcxtMarket(session, PAIR, "1m")
            begun = {symbol: (await market.history(symbol, limit=5))[-1].time_ms for symbol in PAIR}
            async with started(market) as heard:
                await until(lambda: heard.of(Connection))
                desk.walk()
                await until(lambda: len(heard.of(Bar)) == 60)
            bars = heard.of(Bar)
            for symbol in PAIR:
                assert is_every_minute_once(bars, symbol)
                assert next(bar for bar in bars if bar.symbol == symbol).time_ms == begun[symbol] + MINUTE_MS
            assert closes(bars) == await true_closes(desk, bars)

    run(listen())


def test_what_closes_between_the_history_and_the_start_is_not_lost():
    async def listen():
        async with desk_session(source=minutes(70), speed=FAST) as (desk, session):
            market = CcxtMarket(session, PAIR, "1m")
            history = {symbol: await market.history(symbol, limit=5) for symbol in PAIR}
            await desk.walk()
            await session.synchronise()
            async with started(market) as heard:
                await until(lambda: len(heard.of(Bar)) == 40 and heard.of(Connection))
            assert all(is_every_minute_once(heard.of(Bar), symbol) for symbol in PAIR)
            assert heard.of(Bar)[0].time_ms == history["BTCUSDT"][-1].time_ms + MINUTE_MS
            assert isinstance(heard[-1], Connection)  # "up" comes after what a gap held

    run(listen())


def test_a_bar_that_is_listed_a_moment_after_it_closed_is_asked_for_again_at_once(monkeypatch):
    monkeypatch.setattr("ccxt_bt_bridge.ccxt_market.LATE_LOOK_S", 3_600.0)
    rows = CandlePages._rows
    asked = []

    async def listen():
        async with desk_session(source=minutes(70), speed=FAST) as (desk, session):
            market = CcxtMarket(session, PAIR, "1m")
            for symbol in PAIR:
                await market.history(symbol, limit=5)
            await desk.walk()
            newest_ms = desk.exchange.market_ms

            async def without_the_newest_at_first(pages, open_ms, limit):
                asked.append(pages)
                listed = await rows(pages, open_ms, limit)
                is_late = asked.count(pages) <= 2
                return [row for row in listed if not is_late or row[0] + MINUTE_MS < newest_ms]

            monkeypatch.setattr(CandlePages, "_rows", without_the_newest_at_first)
            async with started(market) as heard:
                await until(lambda: heard.of(Connection))
            assert [heard.of(Bar)[-1].time_ms, len(heard.of(Bar))] == [newest_ms, 40]
            assert isinstance(heard[-1], Connection)

    run(listen())


@pytest.mark.parametrize("fault", ["ws_drop", "ws_abort"])
def test_a_cut_stream_comes_back_with_every_bar_once_and_in_order(fault):
    async def listen():
        faults = [{"kind": fault, "on": "market_stream", "at": at} for at in range(3, 60, 9)]
        async with desk_session(source=minutes(110), speed=FAST, server={"faults": faults}) as (desk, session):
            async with started(CcxtMarket(session, PAIR, "1m")) as heard:
                await until(lambda: heard.of(Connection))
                desk.walk()
                await until(lambda: len(heard.of(Bar)) == 120)
            bars, states = heard.of(Bar), [c.is_up for c in heard.of(Connection)]
            assert all(is_every_minute_once(bars, symbol) for symbol in PAIR)
            assert closes(bars) == await true_closes(desk, bars)
            assert states.count(False) >= 5
            assert all(now is not then for now, then in zip(states, states[1:], strict=False))

    run(listen())


@pytest.mark.parametrize(
    "fault", ["bar_missing", "bar_twice", "bar_not_a_number", "kline_out_of_order", "kline_unclosed_as_closed"]
)
def test_what_a_stream_does_wrong_is_put_right_by_asking(fault):
    async def listen():
        on = "bars" if fault.startswith("bar") else "market_stream"
        faults = [{"kind": fault, "on": on, "at": at} for at in (5, 12, 20)]
        terms = {"faults": faults} if on == "bars" else {"server": {"faults": faults}}
        async with desk_session(source=minutes(80), speed=FAST, **terms) as (desk, session):
            async with started(CcxtMarket(session, PAIR, "1m")) as heard:
                await until(lambda: heard.of(Connection))
                desk.walk()
                await until(lambda: len(heard.of(Bar)) == 60)
            bars = heard.of(Bar)
            assert all(is_every_minute_once(bars, symbol) for symbol in PAIR)
            assert closes(bars) == await true_closes(desk, bars)

    run(listen())


@pytest.mark.parametrize("cuts", [(0,), (1, 2)])
def test_more_symbols_than_a_connection_holds_have_several_and_one_that_breaks_leaves_the_others(cuts, monkeypatch):
    monkeypatch.setattr("ccxt_bt_bridge.ccxt_market.MOST_STREAMS", 4)
    names = [f"S{number}USDT" for number in range(5)]
    source = MarketSource(MockMarket(7, 130, "1m", symbols=names, gaps_per_1000=0.0).series())

    async def listen():
        async with desk_session(source=source, speed=FAST) as (desk, session):
            async with started(CcxtMarket(session, names, "1m")) as heard:
                await until(lambda: heard.of(Connection))
                desk.walk()
                await until(lambda: len(heard.of(Bar)) >= 20 * len(names))
                sockets = list(desk.server.sockets)
                assert len(sockets) == 3
                for number in cuts:
                    sockets[number].abort()
                await until(lambda: len(heard.of(Connection)) == 3)
                seen = len(heard.of(Bar))
                await until(lambda: len(heard.of(Bar)) >= seen + 20 * len(names))
                kept = {socket for number, socket in enumerate(sockets) if number not in cuts}
                assert kept < desk.server.sockets
                assert len(desk.server.sockets) == 3
            assert [connection.is_up for connection in heard.of(Connection)] == [True, False, True]
            assert {bar.symbol for bar in heard.of(Bar)[seen:]} == set(names)
            for name in names:
                assert is_every_minute_once(heard.of(Bar), name)

    run(listen())


@pytest.mark.parametrize("fault", ["ws_half_open", "ws_silent"])
def test_a_stream_that_stays_open_and_silent_is_opened_anew(fault):
    async def listen():
        server = {"faults": [{"kind": fault, "on": "market_stream", "at": 4, "delay_ms": 30_000}]}
        settings = {"silent_after_s": 0.5}
        async with desk_session(source=minutes(70), speed=FAST, server=server, settings=settings) as (desk, session):
            async with started(CcxtMarket(session, PAIR, "1m")) as heard:
                await until(lambda: heard.of(Connection))
                desk.walk()
                await until(lambda: len(heard.of(Bar)) == 40)
            assert [c.is_up for c in heard.of(Connection)][:3] == [True, False, True]
            assert "too long" in heard.of(Connection)[1].reason
            assert all(is_every_minute_once(heard.of(Bar), symbol) for symbol in PAIR)

    run(listen())


@every_kind
def test_rules_are_exact_and_come_under_the_name_asked_for(kind):
    async def ask():
        async with desk_session(kind) as (desk, session):
            names = ("BTC/USDT:USDT", "ETHUSDT") if kind == "usdm" else ("BTC/USDT", "ETHUSDT")
            markets = await CcxtMarket(session, names, "1m").markets()
            assert tuple(markets) == names
            for name, market in markets.items():
                truth = desk.exchange.venue.markets[market.base + market.quote]
                assert market.symbol == name
                assert (market.price_tick, market.amount_step) == (truth.price_tick, truth.amount_step)
                assert (market.min_amount, market.min_notional) == (truth.min_amount, truth.min_notional)
                assert (market.kind, market.is_open) == (kind, True)

    run(ask())


@every_kind
def test_a_quote_lies_between_bid_and_ask_and_knows_its_time(kind):
    async def ask():
        async with desk_session(kind) as (desk, session):
            quote = await CcxtMarket(session, PAIR, "1m").quote("BTCUSDT")
            price = desk.exchange.venue.tape.price("BTCUSDT")
            assert abs(quote.price / price - 1) < 0.001
            assert abs(quote.time_ms - desk.clock.now_ms()) < 5_000

    run(ask())


def test_a_fresh_streamed_price_spares_the_request():
    async def ask():
        async with desk_session() as (_, session):
            market = CcxtMarket(session, PAIR, "1m")
            async with started(market):
                await until(lambda: set(market._quotes) == set(PAIR))
                assert await market.quote("BTCUSDT") is market._quotes["BTCUSDT"]

    run(ask())


def test_bars_are_fetched_in_pages_ascending_and_without_the_forming_one():
    async def ask():
        async with desk_session(source=minutes(2_200), warmup_bars=2_100) as (desk, session):
            last_ms = desk.exchange.market_ms
            first_ms = last_ms - 1_999 * MINUTE_MS
            pages = [
                page async for page in fetch_bars(
                    session, "BTC/USDT:USDT", "1m", since_ms=first_ms, until_ms=last_ms + 10 * MINUTE_MS
                )
            ]  # fmt: skip
            times = [bar.time_ms for page in pages for bar in page]
            assert len(pages) == 2
            assert times == list(range(first_ms, last_ms + 1, MINUTE_MS))

    run(ask())


def test_an_unknown_symbol_is_refused_with_names_that_are_near():
    async def ask():
        async with desk_session() as (_, session):
            with pytest.raises(MarketUnknown, match=r"no market BTCUSD; did you mean BTCUSDT"):
                CcxtMarket(session, ["BTCUSD"], "1m")
            with pytest.raises(MarketUnknown, match=r"no interval 7m; it has 1m, 3m, 5m"):
                CcxtMarket(session, ["BTCUSDT"], "7m")
            with pytest.raises(MarketUnknown, match="was not asked for"):
                await CcxtMarket(session, ["BTCUSDT"], "1m").quote("ETHUSDT")

    run(ask())


def test_an_interval_that_the_exchange_lacks_is_said_so():
    async def ask():
        async with desk_session() as (_, session):
            with pytest.raises(MarketUnknown, match="does not have this interval"):
                await CcxtMarket(session, PAIR, "1h").history("BTCUSDT", limit=3)

    run(ask())


def test_close_ends_the_streams_and_may_come_twice():
    async def close():
        async with desk_session() as (_, session):
            market = CcxtMarket(session, PAIR, "1m")
            bars = market.bars()
            await market.start()
            await market.start()
            await market.close()
            await market.close()
            assert [bar async for bar in bars] == []
            assert asyncio.all_tasks() >= {asyncio.current_task()}

    run(close())


def test_without_a_dialect_of_ours_bars_are_polled_by_unified_methods(monkeypatch):
    async def listen():
        async with open_desk(minutes(70), speed=60.0) as desk:
            monkeypatch.setattr(session_module, "BY_EXCHANGE", {})
            urls = {"urls": {"api": local_urls(desk.url)}}
            config = CcxtSession._config
            monkeypatch.setattr(CcxtSession, "_config", lambda session: {**config(session), **urls})
            async with open_session(SessionSettings("binanceusdm")) as session:
                market = CcxtMarket(session, PAIR, "1m")
                history = {symbol: await market.history(symbol, limit=5) for symbol in PAIR}
                assert history["BTCUSDT"] == await desk.exchange.history("BTCUSDT", limit=5)
                assert (await market.quote("BTCUSDT")).price > 0
                async with started(market) as heard:
                    desk.walk()
                    # Nothing streams, so nobody says that the exchange has skipped the idle rest of a minute.
                    session.clock.may_skip = True
                    await until(lambda: session.clock.observe(desk.clock.now_ms()) and len(heard.of(Bar)) >= 6)
            assert all(is_every_minute_once(heard.of(Bar), symbol) for symbol in PAIR)
            assert heard.of(Bar)[0].time_ms == history["BTCUSDT"][-1].time_ms + MINUTE_MS

    run(listen())


def test_a_channel_that_falls_silent_while_the_stream_lives_is_asked_for(monkeypatch):
    monkeypatch.setattr("ccxt_bt_bridge.ccxt_market.LATE_MS", 200)
    monkeypatch.setattr("ccxt_bt_bridge.ccxt_market.LATE_LOOK_S", 0.05)

    async def main() -> None:
        async with desk_session(source=minutes(200), speed=60.0) as (desk, session):
            market = CcxtMarket(session, PAIR, "1m")
            async with started(market) as heard:
                await until(lambda: heard.of(Connection))
                desk.walk()
                await until(lambda: len(heard.of(Bar)) >= 4)
                streams = desk.server.market
                told = streams.publish
                streams.publish = lambda name, event: None if "kline" in name else told(name, event)
                seen = len(heard.of(Bar))
                await until(lambda: len(heard.of(Bar)) >= seen + 6)
                assert all(is_every_minute_once(heard.of(Bar), symbol) for symbol in PAIR)
                assert [connection.is_up for connection in heard.of(Connection)] == [True]

    run(main())


def test_a_symbol_that_stops_trading_is_told_once_and_the_other_goes_on(monkeypatch):
    monkeypatch.setattr("ccxt_bt_bridge.ccxt_market.LATE_MS", 200)
    monkeypatch.setattr("ccxt_bt_bridge.ccxt_market.LATE_LOOK_S", 0.05)
    series, said = minutes(80).series, []
    source = MarketSource({**series, "ETHUSDT": series["ETHUSDT"].take(range(60))})

    async def main() -> None:
        async with desk_session(source=source, speed=60.0) as (desk, session):
            async with started(CcxtMarket(session, PAIR, "1m", tell=said.append)) as heard:
                await until(lambda: heard.of(Connection))
                desk.walk()
                await until(lambda: heard.of(Bar) and len(said) == 1)
                seen = len(heard.of(Bar))
                await until(lambda: len(heard.of(Bar)) >= seen + 3)
        assert heard.of(Bar)[-1].symbol == "BTCUSDT"

    run(main())
    assert len(said) == 1 and said[0].startswith("no bars of ETHUSDT any more: ")


def test_what_nobody_foresaw_is_told_as_a_broken_connection_and_done_again(monkeypatch):
    """Else the symbol's bars would be held for good."""
    pages, troubles = CandlePages._rows, [TypeError("no rows"), KeyError("no rows")]

    async def listen():
        faults = [{"kind": "bar_missing", "on": "bars", "at": 9}]
        async with desk_session(source=minutes(90), speed=FAST, faults=faults) as (desk, session):
            async with started(CcxtMarket(session, PAIR, "1m")) as heard:
                await until(lambda: heard.of(Connection))

                async def rows(*arguments):
                    if troubles:
                        raise troubles.pop()
                    return await pages(*arguments)

                monkeypatch.setattr(CandlePages, "_rows", rows)
                desk.walk()
                await until(lambda: len(heard.of(Bar)) == 80)
            assert all(is_every_minute_once(heard.of(Bar), symbol) for symbol in PAIR)
            states = heard.of(Connection)
            assert [state.is_up for state in states] == [True, False, True]
            assert "KeyError" in states[1].reason

    run(listen())


def test_a_wrong_time_stamp_moves_no_clock_and_has_it_measured_once(monkeypatch):
    async def listen():
        async with desk_session(source=minutes(60)) as (desk, session):
            async with started(CcxtMarket(session, PAIR, "1m")) as heard:
                await until(lambda: heard.of(Connection))
                desk.walk()
                measured, measure = [], session.clock.measure
                monkeypatch.setattr(session.clock, "measure", lambda samples: measured.append(1) or measure(samples))
                told = desk.server.market.publish
                monkeypatch.setattr(
                    desk.server.market, "publish", lambda name, event: told(name, event | {"E": event["E"] + 90_000})
                )
                seen = len(heard)
                await until(lambda: measured)
                await asyncio.sleep(1.5)
                assert measured == [1] and len(heard) == seen
                assert abs(session.clock.now_ms() - desk.clock.now_ms()) < 1_000

    run(listen())
