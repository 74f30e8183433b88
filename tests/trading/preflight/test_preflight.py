"""A preflight finds everything, says what to do about it, and one failing check does not hide another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ccxt_bt_bridge.errors import ExchangeUnreachable, KeyRefused, NotSupported
from ccxt_bt_bridge.words import KeyPermissions
from tests.notifications.mail_server import PASSWORD, USER, mail_server
from tests.notifications.web_server import WebServer
from tests.trading.journal.journal_samples import an_intent
from tests.trading.preflight.sides import KEYS, SYMBOLS, FakeSide, FakeSides, market, write_config
from trading.config.loader import load_config
from trading.config.model import LoadedConfig
from trading.journal.errors import JournalRefused
from trading.journal.locks import WriterLock, lock_path
from trading.market_input import DataChoice
from trading.preflight.finding import Finding, Grade, PreflightReport
from trading.preflight.run import Preflight, Sides
from trading.venues.opening import open_journal, venue_plan


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def examine(
    path: Path, sides: Sides | None = None, *, environ: Mapping[str, str] = KEYS, **answers: Any
) -> PreflightReport:
    return asyncio.run(Preflight(sides or FakeSides(FakeSide(**answers)), environ).check(path))


def found(report: PreflightReport, check: str, grade: Grade) -> list[Finding]:
    return [finding for finding in report.of(grade) if finding.check == check]


def only(report: PreflightReport, check: str, grade: Grade) -> Finding:
    (finding,) = found(report, check, grade)
    assert finding.grade is Grade.OK or finding.remedy
    return finding


def test_a_healthy_setup_passes_every_check(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path))
    assert report.passed, report.text()
    assert {finding.check for finding in report.findings} == {
        "config", "money", "keys", "notifiers", "disk", "journal", "permissions", "account", "funds",
        "clock", "symbols", "history", "sizes", "abilities", "rate limit",
    }  # fmt: skip
    assert report.text().splitlines()[-1].startswith("live.json is ready")


def test_an_invalid_config_is_told_with_its_places_and_nothing_else_is_asked(tmp_path: Path) -> None:
    path = write_config(tmp_path, data={"interval": "1x", "lookback_bars": -1})
    report = examine(path, FakeSides(AssertionError("asked")))
    assert {finding.check for finding in report.findings} == {"config"} and not report.passed
    assert len(report.of(Grade.FAILS)) >= 2
    assert any("data.interval (line 1)" in finding.message for finding in report.findings)


def test_a_config_that_is_not_there_is_said_to_be_missing() -> None:
    assert "no file" in only(examine(Path("none.json")), "config", Grade.FAILS).message


# this machine


def test_missing_keys_are_named_but_the_market_is_checked_all_the_same(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path), environ={})
    finding = only(report, "keys", Grade.FAILS)
    assert "BINANCE_API_KEY and BINANCE_API_SECRET" in finding.message
    assert found(report, "symbols", Grade.OK)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s" * 20)
    file.chmod(0o644)
    environ = {"BINANCE_API_KEY": "k" * 20, "BINANCE_API_SECRET_FILE": str(file)}
    finding = only(examine(write_config(tmp_path), environ=environ), "keys", Grade.FAILS)
    assert "open to others" in finding.message + finding.remedy and "chmod 600" in finding.message + finding.remedy


def test_no_secret_is_ever_printed(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path))
    text = report.text() + str(report.as_json())
    assert not any(value in text for value in KEYS.values())


def test_real_money_is_pointed_out(tmp_path: Path) -> None:
    finding = only(examine(write_config(tmp_path, broker={"testnet": False})), "money", Grade.WARNING)
    assert "real money" in finding.message and "--live" in finding.remedy
    assert "test network" in only(examine(write_config(tmp_path)), "money", Grade.OK).message


def test_an_enabled_notifier_without_its_secrets_fails(tmp_path: Path) -> None:
    config = write_config(tmp_path, notifications={"enabled": True, "telegram": {"enabled": True}})
    finding = only(examine(config), "notifiers", Grade.FAILS)
    assert "TELEGRAM_BOT_TOKEN, TELEGRAM_CHAT_ID" in finding.message
    assert "disable notifications.telegram" in finding.remedy


def test_a_notifier_that_is_not_reached_is_a_warning(tmp_path: Path) -> None:
    telegram = {"enabled": True, "api_url": "http://127.0.0.1:1"}
    config = write_config(tmp_path, notifications={"enabled": True, "telegram": telegram})
    secrets = {"TELEGRAM_BOT_TOKEN": "1:canary-token", "TELEGRAM_CHAT_ID": "1"}
    finding = only(examine(config, environ=KEYS | secrets), "notifiers", Grade.WARNING)
    assert finding.message.startswith("telegram: ") and "canary" not in finding.message


@pytest.mark.parametrize(
    ("status", "grade", "said"), [(200, Grade.OK, "has heard it"), (500, Grade.WARNING, "status 500")]
)
def test_the_heartbeat_is_called_once(tmp_path: Path, status: int, grade: Grade, said: str) -> None:
    with WebServer().serving() as web:
        web.status = status
        report = examine(write_config(tmp_path), environ=KEYS | {"HEARTBEAT_URL": f"http://{web.address}/canary-beat"})
        assert len(web.asked) == 1
    (finding,) = [one for one in found(report, "notifiers", grade) if "heartbeat" in one.message]
    assert said in finding.message and "canary" not in report.text()


def test_a_mail_server_is_asked_for_its_login_and_sent_nothing(tmp_path: Path) -> None:
    with mail_server(tmp_path / "tls") as server:
        email = {"enabled": True, "host": "127.0.0.1", "port": server.port, "user": USER, "ca_file": server.ca_file}
        config = write_config(tmp_path, notifications={"enabled": True, "email": email})
        good = only(examine(config, environ=KEYS | {"SMTP_PASSWORD": PASSWORD}), "notifiers", Grade.OK)
        bad = only(examine(config, environ=KEYS | {"SMTP_PASSWORD": "canary-x"}), "notifiers", Grade.FAILS)
        assert server.mails == [] and server.connections == 2
    assert "email would take a message" in good.message
    assert "the login was refused" in bad.message and "notifications.email" in bad.remedy


def test_a_folder_that_cannot_be_written_to_fails(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    report = examine(write_config(tmp_path, state={"dir": "taken"}))
    finding = only(report, "disk", Grade.FAILS)
    assert "taken cannot be written to" in finding.message
    assert found(report, "disk", Grade.OK)


def test_a_running_bot_is_noticed(tmp_path: Path) -> None:
    lock = WriterLock(lock_path(Path("state/0001_binance.journal.sqlite")))
    try:
        finding = only(examine(write_config(tmp_path)), "journal", Grade.FAILS)
        assert "running bot" in finding.message
    finally:
        lock.release()
    assert only(examine(write_config(tmp_path)), "journal", Grade.OK)


def test_a_file_that_is_no_journal_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "0001_binance.journal.sqlite").write_text("not a database, though as long as one may be" * 9)
    assert only(examine(write_config(tmp_path)), "journal", Grade.FAILS)


def stamped(config: LoadedConfig, *, used: bool) -> None:
    """A journal as a run of this config leaves it; unused: as one that was refused before it began."""
    with open_journal(config, venue_plan(config, DataChoice(), KEYS)) as journal:
        if used:
            journal.write_intent(an_intent())


def test_a_journal_of_another_network_is_refused_alike_by_preflight_and_start(tmp_path: Path) -> None:
    stamped(load_config(write_config(tmp_path), environ={}), used=True)
    path = write_config(tmp_path, broker={"testnet": False, "exchange_url": "http://127.0.0.1:9"})
    finding = only(examine(path, environ={}), "journal", Grade.FAILS)
    assert "was written at binance usdm testnet, this run is at binance usdm desk: set the config" in finding.message
    config = load_config(path, environ={})
    with pytest.raises(JournalRefused) as refused:
        open_journal(config, venue_plan(config, DataChoice(), {}))
    assert str(refused.value) == finding.message


def test_a_journal_in_which_nothing_was_done_is_anybodys(tmp_path: Path) -> None:
    stamped(load_config(write_config(tmp_path), environ={}), used=False)
    path = write_config(tmp_path, broker={"testnet": False, "exchange_url": "http://127.0.0.1:9"})
    assert only(examine(path, environ={}), "journal", Grade.OK)
    stamped(load_config(path, environ={}), used=True)
    assert only(examine(path, environ={}), "journal", Grade.OK)
    assert only(examine(write_config(tmp_path)), "journal", Grade.FAILS)


def test_a_preflight_leaves_nothing_behind(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    examine(path)
    assert list(tmp_path.iterdir()) == [path]


# the key and the account


@pytest.mark.parametrize("power", ["may_withdraw", "may_transfer"])
def test_a_key_that_may_take_money_away_fails(tmp_path: Path, power: str) -> None:
    rights = {"may_trade": True, "may_withdraw": False, "may_transfer": False, "ip_restricted": True, power: True}
    finding = only(examine(write_config(tmp_path), permissions=KeyPermissions(**rights)), "permissions", Grade.FAILS)
    assert power.removeprefix("may_") in finding.message and "off" in finding.remedy


def test_a_key_that_may_not_trade_fails(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path), permissions=KeyPermissions(False, False, False, True))
    assert "may not trade" in only(report, "permissions", Grade.FAILS).message


def test_a_key_that_works_anywhere_is_warned_of(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path), permissions=KeyPermissions(True, False, False, False))
    assert report.passed and "any address" in only(report, "permissions", Grade.WARNING).message


def test_an_exchange_that_does_not_tell_a_keys_rights_is_warned_of(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path), permissions=KeyPermissions(None, None, None, None))
    assert report.passed and only(report, "permissions", Grade.WARNING)


def test_a_wrong_key_fails_and_the_market_is_checked_all_the_same(tmp_path: Path) -> None:
    sides = FakeSides(FakeSide(), KeyRefused("the exchange does not know this key"))
    report = examine(write_config(tmp_path), sides)
    finding = only(report, "key", Grade.FAILS)
    assert "does not know this key" in finding.message and "key is right" in finding.remedy
    assert found(report, "symbols", Grade.OK) and found(report, "sizes", Grade.OK)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"position_mode": "hedge"}, "the account: position mode is hedge, the config wants one_way"),
        (
            {"margin_mode": "isolated"},
            f"{', '.join(SYMBOLS)}: margin mode is isolated, the config wants cross",
        ),
        (
            {"leverage": Decimal(20)},
            f"{', '.join(SYMBOLS)}: leverage is 20, the config wants 2",
        ),
    ],
)
def test_an_account_that_is_not_as_the_config_says_fails(tmp_path: Path, answer: Any, words: str) -> None:
    failed = only(examine(write_config(tmp_path), **answer), "account", Grade.FAILS)
    assert failed.message.startswith(words) and "never changed for you" in failed.remedy


def test_an_empty_account_fails(tmp_path: Path) -> None:
    assert "no money" in only(examine(write_config(tmp_path), wallet=Decimal(0)), "funds", Grade.FAILS).message


def test_a_cap_above_what_there_is_is_warned_of(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path, broker={"capital": 20_000.0}))
    assert "20000" in only(report, "funds", Grade.WARNING).message


# the market


def test_a_symbol_that_is_not_listed_fails_with_near_misses(tmp_path: Path) -> None:
    side = FakeSide()
    del side.markets["BTCUSDT"]
    report = examine(write_config(tmp_path), FakeSides(side))
    assert "did you mean" in only(report, "symbols", Grade.FAILS).message
    assert "ETHUSDT" in only(report, "symbols", Grade.OK).message
    assert "ETH_BTC" in only(report, "sizes", Grade.FAILS).message


def test_a_symbol_that_does_not_trade_fails(tmp_path: Path) -> None:
    side = FakeSide()
    side.markets["BTCUSDT"] = market("BTCUSDT", is_open=False)
    report = examine(write_config(tmp_path), FakeSides(side))
    assert "does not trade" in only(report, "symbols", Grade.FAILS).message


def test_too_short_a_history_is_warned_of_with_the_time_at_which_it_will_do(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path), bars=321)
    finding = found(report, "history", Grade.WARNING)[0]
    assert report.passed
    assert "ETH_BTC has 321 of the 500 bars that data.lookback_bars wants, 179 are missing" in finding.message
    assert finding.message.endswith("it is ready at 1970-01-21 19:00 UTC")
    assert "lower data.lookback_bars to 321" in finding.remedy


def test_an_interval_that_the_exchange_lacks_fails(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path), bars=NotSupported("no 1h bars here"))
    assert "no 1h bars here" in only(report, "history", Grade.FAILS).message


def test_legs_under_the_minimum_fail_with_the_numbers(tmp_path: Path) -> None:
    failed = found(examine(write_config(tmp_path), wallet=Decimal(60)), "sizes", Grade.FAILS)
    assert "ETH_BTC at 6.00" in failed[0].message and "under the minimum 5" in failed[0].message
    assert "position_size" in failed[0].remedy


def test_a_cap_on_capital_counts_for_sizes(tmp_path: Path) -> None:
    dear = {symbol: market(symbol, min_notional=60) for symbol in SYMBOLS}
    assert examine(write_config(tmp_path), markets=dear).passed
    report = examine(write_config(tmp_path, broker={"capital": 1_000.0}), markets=dear)
    assert "ETH_BTC at 100.00" in found(report, "sizes", Grade.FAILS)[0].message


def test_a_clock_that_is_off_is_warned_of(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path), offset_ms=-4_200)
    assert report.passed and "4.2 s ahead" in only(report, "clock", Grade.WARNING).message


def test_what_the_exchange_lacks_is_told(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path), lacking=("no closed-candle stream: bars are polled",))
    assert "bars are polled" in only(report, "abilities", Grade.WARNING).message


def test_little_room_for_requests_is_warned_of(tmp_path: Path) -> None:
    assert (
        "2000 of 2400"
        in only(examine(write_config(tmp_path), weight=(2_000, 2_400)), "rate limit", Grade.WARNING).message
    )


def test_no_network_is_one_sentence_and_the_machine_is_checked_all_the_same(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path), FakeSides(ExchangeUnreachable("fapi.binance.com cannot be reached")))
    finding = only(report, "exchange", Grade.FAILS)
    assert "cannot be reached" in finding.message and "check the network" in finding.remedy
    assert found(report, "disk", Grade.OK) and found(report, "keys", Grade.OK)


def test_one_read_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path), offset_ms=ExchangeUnreachable("no answer to /time"))
    assert "no answer to /time" in only(report, "clock", Grade.FAILS).message
    assert found(report, "symbols", Grade.OK) and found(report, "history", Grade.OK)


def test_a_defect_in_a_check_is_told_and_does_not_stop_the_others(tmp_path: Path) -> None:
    report = examine(write_config(tmp_path), offset_ms=ZeroDivisionError("oops"))
    assert "ZeroDivisionError" in only(report, "clock", Grade.FAILS).message
    assert found(report, "symbols", Grade.OK)
