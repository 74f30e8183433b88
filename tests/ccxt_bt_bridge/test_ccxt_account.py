"""A key's permissions and an account's settings over the wire, and what is said about them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from brokers.desk.keys import DeskKey
from ccxt_bt_bridge.account_checks import check_account, check_key
from ccxt_bt_bridge.ccxt_account import CcxtAccount
from ccxt_bt_bridge.errors import NotSupported
from ccxt_bt_bridge.words import AccountSettings, KeyPermissions, SymbolSettings
from tests.ccxt_bt_bridge.sessions import PAIR, desk_session, run

GOOD = KeyPermissions(may_trade=True, may_withdraw=False, may_transfer=False, ip_restricted=True)
every_kind = pytest.mark.parametrize("kind", ["usdm", "spot"])


def key(*permissions: str, ips: tuple[str, ...] = ("127.0.0.1",)) -> dict:
    return {"server": {"keys": [DeskKey("desk-key", "desk-secret", frozenset(permissions), ips)]}}


@every_kind
@pytest.mark.parametrize(
    ("permissions", "ips", "expected"),
    [
        (("read", "futures", "spot"), ("127.0.0.1",), GOOD),
        (("read", "futures", "spot", "withdraw", "transfer"), (), KeyPermissions(True, True, True, False)),
        (("read",), ("127.0.0.1",), KeyPermissions(False, False, False, True)),
    ],
)
def test_a_keys_permissions_are_read(kind, permissions, ips, expected):
    async def read():
        async with desk_session(kind, **key(*permissions, ips=ips)) as (_, session):
            assert await CcxtAccount(session).key_permissions() == expected

    run(read())


def test_the_accounts_settings_are_read_and_none_is_changed():
    async def read():
        async with desk_session() as (_, session):
            account = CcxtAccount(session)
            first = await account.settings(PAIR)
            assert first == await account.settings(PAIR)
            assert first.position_mode == "one_way"
            assert [symbol.symbol for symbol in first.symbols] == list(PAIR)
            assert all(symbol.margin_mode in ("cross", "isolated") for symbol in first.symbols)
            assert check_account(first, position_mode="hedge")[0].refuses

    run(read())


def test_a_spot_account_has_no_such_settings():
    async def read():
        async with desk_session("spot") as (_, session):
            assert await CcxtAccount(session).settings(PAIR) == AccountSettings("one_way", ())

    run(read())


def test_without_a_key_there_is_nothing_to_read():
    async def read():
        async with desk_session(settings={"credentials": None}) as (_, session):
            with pytest.raises(NotSupported, match="need an API key"):
                CcxtAccount(session)

    run(read())


@pytest.mark.parametrize(
    ("permissions", "said", "refuses"),
    [
        (KeyPermissions(False, False, False, True), "may not trade. Switch trading on", True),
        (KeyPermissions(True, True, False, True), "may withdraw. Switch withdrawals off", True),
        (KeyPermissions(True, False, True, True), "may transfer. Switch transfers off", True),
        (KeyPermissions(True, False, False, False), "works from any address. Restrict it", False),
    ],
)
def test_what_a_key_may_do_too_much_or_too_little_has_a_remedy(permissions, said, refuses):
    (finding,) = check_key(permissions)
    assert said in str(finding)
    assert finding.refuses is refuses


def test_a_good_key_and_one_of_which_nothing_is_known_raise_no_objection():
    assert check_key(GOOD) == check_key(KeyPermissions(None, None, None, None)) == []


SETTINGS = AccountSettings("one_way", (SymbolSettings("BTCUSDT", "cross", Decimal(20)),))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"position_mode": "hedge"}, "the account: position mode is one_way, the config wants hedge"),
        ({"margin_mode": "isolated"}, "BTCUSDT: margin mode is cross, the config wants isolated"),
        ({"leverage": {"BTCUSDT": Decimal(2)}}, "BTCUSDT: leverage is 20, the config wants 2"),
    ],
)
def test_a_setting_that_differs_is_named_with_both_values(wanted, said):
    (finding,) = check_account(SETTINGS, **wanted)
    assert str(finding).startswith(said)
    assert "never changed for you" in str(finding)


def test_what_is_as_wanted_or_not_asked_for_raises_no_objection():
    assert check_account(SETTINGS) == []
    as_it_is = {"position_mode": "one_way", "margin_mode": "cross", "leverage": {"BTCUSDT": Decimal(20)}}
    assert check_account(SETTINGS, **as_it_is) == []


def test_symbols_that_differ_alike_are_told_in_one_line():
    symbols = [SymbolSettings(f"S{number}", "cross", Decimal(20)) for number in range(8)]
    account = AccountSettings("one_way", (*symbols, SymbolSettings("OTHER", "cross", Decimal(3))))
    wanted = dict.fromkeys([*(symbol.symbol for symbol in symbols), "OTHER"], Decimal(2))
    assert [finding.problem for finding in check_account(account, leverage=wanted)] == [
        "S0, S1, S2, S3, S4, S5 and 2 more: leverage is 20, the config wants 2",
        "OTHER: leverage is 3, the config wants 2",
    ]
