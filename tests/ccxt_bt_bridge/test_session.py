"""A session from open to close: where it may go, what it learns, what it keeps to itself, what it leaves behind."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import threading
import traceback

import pytest

from brokers.desk.tls import CA_FILE, throwaway_tls
from ccxt_bt_bridge import session as session_module
from ccxt_bt_bridge.capabilities import report_on
from ccxt_bt_bridge.ccxt_account import CcxtAccount
from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.errors import BridgeError, ExchangeUnreachable, KeyRefused, MarketUnknown, NotSupported
from ccxt_bt_bridge.resolver import PinnedResolver
from ccxt_bt_bridge.session import CcxtSession, Credentials, SessionSettings
from ccxt_bt_bridge.wire import ask
from ccxt_bt_bridge.words import Connection, Placed
from tests.brokers.desk.desks import open_desk, until
from tests.ccxt_bt_bridge.sessions import (
    DESK_KEY,
    EXCHANGE_OF,
    PAIR,
    buy,
    desk_session,
    desk_settings,
    open_session,
    run,
    started,
)

CANARY = Credentials("canary-key-Xq81", "canary-secret-Zr27")
every_kind = pytest.mark.parametrize("kind", ["usdm", "spot"])


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "http://fapi.binance.com:80"}, "must be on this machine"),
        ({"url": "http://10.0.0.7:8080"}, "must be on this machine"),
        ({"url": "http://127.0.0.1.evil.example:80"}, "must be on this machine"),
        ({"url": "http://user@127.0.0.1:80"}, "and nothing more"),
        (
            {"url": "http://127.0.0.1:80", "credentials": Credentials("K" * 64, "S")},
            "looks like one of the real exchange",
        ),
        ({"url": "http://127.0.0.1"}, "and nothing more"),
        ({"url": "http://127.0.0.1:80/api"}, "and nothing more"),
        ({"url": "ftp://127.0.0.1:80"}, "and nothing more"),
        ({"url": "http://127.0.0.1:abc"}, "and nothing more"),
        ({"url": "http://127.0.0.1:99999"}, "and nothing more"),
        ({"url": "http://[::1"}, "and nothing more"),
        ({"url": "http://127.0.0.1:80//"}, "and nothing more"),
        ({"url": "http://127.0.0.1:80?a=1"}, "and nothing more"),
        ({"url": "http://127.0.0.1:80/#a"}, "and nothing more"),
        ({"url": "http://:secret@127.0.0.1:80"}, "and nothing more"),
        ({"url": "https://127.0.0.1:80", "ca_file": "no/such.pem"}, "the CA file no/such.pem cannot be read"),
        ({"url": "https://127.0.0.1:80"}, "belong together"),
        ({"url": "http://127.0.0.1:80", "ca_file": "ca.pem"}, "belong together"),
        ({"ca_file": "ca.pem"}, "needs none"),
        ({"url": "http://127.0.0.1:80", "testnet": True}, "exclude each other"),
        ({"recv_window_ms": 10_000}, "from 1500 to 3000"),
        ({"silent_after_s": 60.0}, "at most 15"),
    ],
)
def test_settings_that_could_lead_elsewhere_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        SessionSettings("binanceusdm", **settings)


def test_a_slash_at_the_end_of_an_address_is_none():
    async def ask():
        async with open_desk() as desk:
            async with open_session(desk_settings(desk, url=f"{desk.url}/")) as session:
                assert session.settings.url == desk.url
                assert session.market_of("BTCUSDT").is_open

    run(ask())


@every_kind
def test_one_market_has_three_names_and_is_answered_in_the_callers(kind):
    async def ask_names():
        async with desk_session(kind) as (_, session):
            for name in ("BTCUSDT", "BTC/USDT", "BTC/USDT:USDT"):
                assert session.market_of(name).symbol == name
                assert session.raw_market(name) is session.raw_market("BTCUSDT")
            with pytest.raises(MarketUnknown, match=r"no market ETHUSD; did you mean ETHUSDT"):
                session.market_of("ETHUSD")
            assert session.kind == kind

    run(ask_names())


def test_the_horizon_follows_from_what_the_exchange_declares():
    async def declare():
        async with desk_session(server={"backend_timeout_ms": 300}) as (_, session):
            declared_margin_ms = session.horizon_ms - 2_000 - 300
            assert 0 <= declared_margin_ms <= 2_000

    run(declare())


def test_the_clock_is_the_exchanges():
    async def compare():
        async with desk_session() as (desk, session):
            assert abs(session.clock.now_ms() - desk.clock.now_ms()) < 100
            assert await CcxtAccount(session).server_time_ms() <= desk.clock.now_ms()

    run(compare())


@every_kind
def test_close_leaves_no_task_no_thread_and_no_socket(kind):
    async def live_and_die():
        async with open_desk(dialects={EXCHANGE_OF[kind]: 0}) as desk:
            tasks, threads = len(asyncio.all_tasks()), threading.active_count()
            session = await CcxtSession.open(desk_settings(desk, kind))
            market, trading = CcxtMarket(session, PAIR, "1m"), CcxtTrading(session, PAIR)
            async with started(market) as bars, started(trading) as events:
                await until(lambda: bars.of(Connection) and events.of(Connection))
                await trading.create_order(buy("x"))
            begun = asyncio.get_running_loop().time()
            await session.close()
            await session.close()
            assert asyncio.get_running_loop().time() - begun < 1.0
            await until(lambda: not desk.server.sockets)
            await until(lambda: len(asyncio.all_tasks()) <= tasks)
            assert threading.active_count() == threads

    run(live_and_die())


def test_nobody_at_the_address_is_a_sentence_and_nothing_is_left_open():
    async def knock():
        tasks = len(asyncio.all_tasks())
        with pytest.raises(ExchangeUnreachable, match=r"no exchange answers at http://127.0.0.1:\d+: no connection"):
            await CcxtSession.open(SessionSettings("binanceusdm", url=f"http://127.0.0.1:{free_port()}"))
        assert len(asyncio.all_tasks()) == tasks

    run(knock())


def test_an_exchange_that_ccxt_lacks_is_said_so():
    async def knock():
        with pytest.raises(NotSupported, match="no exchange 'mtgox'"):
            await CcxtSession.open(SessionSettings("mtgox"))

    run(knock())


def test_a_session_belongs_to_the_loop_that_runs_it():
    other = asyncio.new_event_loop()

    async def knock():
        with pytest.raises(ValueError, match="on the loop that will use it"):
            await CcxtSession.open(SessionSettings("binanceusdm"), loop=other)

    run(knock())
    other.close()


# under the production names


def test_over_tls_the_production_names_lead_to_this_machine_and_nowhere_else(tmp_path):
    async def trade():
        async with open_desk(server={"tls": throwaway_tls(tmp_path)}) as desk:
            url, ca_file = f"https://127.0.0.1:{desk.ports[0]}", str(tmp_path / CA_FILE)
            async with open_session(desk_settings(desk, url=url, ca_file=ca_file)) as session:
                trading = CcxtTrading(session, PAIR)
                async with started(trading) as heard, started(CcxtMarket(session, PAIR, "1m")) as bars:
                    await until(lambda: heard.of(Connection) and bars.of(Connection))
                    assert isinstance(await trading.create_order(buy("tls")), Placed)
                assert "fapi.binance.com" in session.public.urls["api"]["fapiPrivate"]
                elsewhere = await ask(session.public.fetch, "https://api.telegram.org/")
                assert (elsewhere.status, elsewhere.data) == (0, None)
                assert "resolved" in elsewhere.problem or "connection" in elsewhere.problem

    run(trade())


def test_a_pinned_resolver_refuses_every_other_name():
    async def resolve():
        resolver = PinnedResolver(frozenset({"fapi.binance.com"}), 4711)
        (found,) = await resolver.resolve("fapi.binance.com", 443)
        assert (found["host"], found["port"]) == ("127.0.0.1", 4711)
        with pytest.raises(OSError, match="nothing is sent there"):
            await resolver.resolve("example.com", 443)
        await resolver.close()

    run(resolve())


def test_a_certificate_of_another_authority_ends_it(tmp_path):
    async def knock():
        async with open_desk(server={"tls": throwaway_tls(tmp_path / "one")}) as desk:
            throwaway_tls(tmp_path / "other")
            url, ca_file = f"https://127.0.0.1:{desk.ports[0]}", str(tmp_path / "other" / CA_FILE)
            with pytest.raises(ExchangeUnreachable, match="the TLS certificate was not accepted"):
                await CcxtSession.open(desk_settings(desk, url=url, ca_file=ca_file))

    run(knock())


def test_a_ca_file_that_is_none_is_a_sentence(tmp_path):
    async def knock():
        with pytest.raises(ValueError, match="cannot be read"):
            await CcxtSession.open(SessionSettings("binance", url="https://127.0.0.1:9", ca_file=str(tmp_path / "no")))

    run(knock())


# secrets


@every_kind
def test_neither_key_nor_secret_nor_signature_is_in_any_log_or_error(kind, caplog):
    async def fail_everywhere() -> list[str]:
        said = []
        async with desk_session(kind, settings={"credentials": CANARY}) as (_, session):
            trading, account = CcxtTrading(session, PAIR), CcxtAccount(session)
            for work in (
                trading.account(),
                trading.open_orders(),
                trading.fills(since_ms=0),
                account.key_permissions(),
            ):
                with pytest.raises(KeyRefused) as refused:
                    await work
                said += traceback.format_exception(refused.value)
            said += [repr(await trading.create_order(buy("x"))), repr(await trading.cancel_order("BTCUSDT", "x"))]
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
            said += [repr(heard), repr(session), repr(session.settings), str(session.public), repr(CANARY)]
        return said

    buffer = io.StringIO()
    handler = logging.StreamHandler(buffer)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG):
            everything = "\n".join([*run(fail_everywhere()), buffer.getvalue(), caplog.text])
    finally:
        root.removeHandler(handler)
    for secret in (CANARY.api_key, CANARY.secret, "signature=", "listenKey="):
        assert secret not in everything


def test_a_wrong_key_says_which_network_it_is_for():
    async def knock():
        async with desk_session(settings={"credentials": CANARY}) as (_, session):
            with pytest.raises(KeyRefused, match="it knows only the keys that it was started with"):
                await CcxtAccount(session).key_permissions()

    run(knock())


def test_every_error_of_the_bridge_is_one_of_its_own():
    assert issubclass(KeyRefused, ExchangeUnreachable) and issubclass(ExchangeUnreachable, BridgeError)
    assert repr(DESK_KEY) == "Credentials()"


def test_the_test_network_is_ccxts_own():
    async def build():
        for exchange_id, host in (("binanceusdm", "demo-fapi.binance.com"), ("binance", "demo-api.binance.com")):
            session = CcxtSession(SessionSettings(exchange_id, testnet=True), report_on(exchange_id))
            api = session.new_client().urls["api"]
            assert host in api["fapiPrivate" if exchange_id == "binanceusdm" else "private"]
            assert "binancefuture" in api["ws"]["linear"] and "demo" in api["ws"]["spot"]
            await session.close()

    run(build())


def test_idle_connections_are_kept_for_the_next_order(monkeypatch):
    monkeypatch.setattr(session_module, "PING_S", 0.05)

    async def wait():
        async with desk_session() as (_, session):
            trading = CcxtTrading(session, PAIR)
            async with started(trading) as heard:
                await until(lambda: heard.of(Connection))
                used = await used_weight(session)
                async with asyncio.timeout(10):
                    while await used_weight(session) < used + 12:
                        await asyncio.sleep(0.1)

    run(wait())


async def used_weight(session):
    return int((await ask(session.public.fapiPublicGetPing, {})).headers["X-MBX-USED-WEIGHT-1M"])


def test_an_exchange_that_speaks_the_other_dialect_says_so_before_anything_is_asked():
    async def main() -> None:
        async with open_desk(dialects={"binance": 0}) as desk:
            with pytest.raises(NotSupported, match="speaks binance, wanted binanceusdm"):
                await CcxtSession.open(SessionSettings("binanceusdm", url=desk.url))

    run(main())
