"""A session with the test network: bars, orders and what the account tells, under that network's host names."""

from __future__ import annotations

import pytest

from brokers.desk.tls import throwaway_tls
from ccxt_bt_bridge.ccxt_account import CcxtAccount
from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.errors import KeyRefused
from ccxt_bt_bridge.session import Credentials, SessionSettings
from ccxt_bt_bridge.words import Account, Bar, Connection, Fill, Found, Placed
from tests.brokers.desk.desks import minutes, open_desk, until
from tests.ccxt_bt_bridge.sessions import DESK_KEY, PAIR, buy, open_session, run, started
from tests.test_network import HOSTS, lead_to_desk

every_network = pytest.mark.parametrize("exchange_id", sorted(HOSTS))


@every_network
def test_the_test_network_is_traded_on_under_its_own_names(exchange_id, tmp_path, monkeypatch):
    async def trade():
        terms = {"dialects": {exchange_id: 0}, "server": {"tls": throwaway_tls(tmp_path)}}
        async with open_desk(minutes(80), speed=1_200.0, **terms) as desk:
            lead_to_desk(monkeypatch, exchange_id, port=desk.ports[0], ca_folder=tmp_path)
            async with open_session(SessionSettings(exchange_id, DESK_KEY, testnet=True)) as session:
                market, trading = CcxtMarket(session, PAIR, "1m"), CcxtTrading(session, PAIR)
                assert len(await market.history("BTCUSDT", limit=20)) == 20
                async with started(market) as bars, started(trading) as heard:
                    await until(lambda: bars.of(Connection) and heard.of(Connection))
                    desk.walk()
                    assert isinstance(await trading.create_order(buy("one")), Placed)
                    await until(lambda: heard.of(Fill) and len(bars.of(Bar)) >= 10)
                    await until(lambda: heard.of(Account)[-1].amount("BTCUSDT") > 0)
                assert isinstance(await trading.fetch_order("BTCUSDT", "one"), Found)
                permissions = await CcxtAccount(session).key_permissions()
                assert (permissions.may_trade, permissions.may_withdraw) == (True, None)

    run(trade())


@every_network
def test_a_key_of_the_other_network_is_told_so(exchange_id, tmp_path, monkeypatch):
    async def ask():
        terms = {"dialects": {exchange_id: 0}, "server": {"tls": throwaway_tls(tmp_path)}}
        async with open_desk(**terms) as desk:
            lead_to_desk(monkeypatch, exchange_id, port=desk.ports[0], ca_folder=tmp_path)
            live = Credentials("A1" * 32, "B2" * 32)
            async with open_session(SessionSettings(exchange_id, live, testnet=True)) as session:
                with pytest.raises(KeyRefused, match="a key of the live exchange does not work here"):
                    await CcxtAccount(session).key_permissions()

    run(ask())
