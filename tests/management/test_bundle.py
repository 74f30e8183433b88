"""A bundle holds what explains a bad day, and no secret."""

from __future__ import annotations

import html
import io
import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from management.bundle import Bundle, BundleUnsafe
from management.cli import main
from management.masking import Masking
from tests.management.lived_bot import lived_bot
from tests.trading.runs import write_config
from trading.config.loader import load_config
from trading.journal.reads import JournalReader
from trading.journal.writer import Journal
from trading.live_trading_bot import LiveTradingBot
from trading.records import RefusalRecord
from trading.venues.opening import state_paths

HOME = "/ho" + "me"
NOW = datetime(2024, 2, 1, tzinfo=UTC)
CANARIES = {
    "BINANCE_API_KEY": "canaryKey4f8aQ2",
    "BINANCE_API_SECRET": "canarySecret/9+x==",
    "TELEGRAM_BOT_TOKEN": "123456789:canary-token-AAAAAAAAAAAAAAAAAAAAAA",
    "SMTP_PASSWORD": "canary pass&word%1",
}
IN_DOTENV = {"TANDEM_PANEL_TOKEN": "canaryPanelDotenv77"}
PANEL_FILE_TOKEN = "canaryPanelFile-55_x"
EVERY = (*CANARIES.values(), *IN_DOTENV.values(), PANEL_FILE_TOKEN)

RULE = '''
from dataclasses import dataclass
from mixins.zscore import ZScoreEntryMixin

class Chatty(ZScoreEntryMixin):
    """Raises with everything it can find."""

    def decide(self):
        import os
        from pathlib import Path
        raise RuntimeError(" | ".join([*(os.environ[name] for name in NAMES), Path(".env").read_text()]))
'''


@pytest.fixture
def lived_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a bot that has lived, to be changed."""
    shutil.copytree(lived_bot().folder, tmp_path / "bot")
    monkeypatch.chdir(tmp_path / "bot")
    return tmp_path / "bot"


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def bundle_of(folder: Path, *secrets: str, log_bytes: int = 10**6) -> dict[str, bytes]:
    config = load_config(folder / "bot.json", environ={})
    return members(Bundle(config, Masking(secrets), now=NOW, log_bytes=log_bytes).archive())


def test_a_bundle_holds_config_journal_logs_status_and_versions(lived_folder: Path) -> None:
    found = bundle_of(lived_folder)
    logs = {"logs/trading_bot_0001.log", "logs/trades.json", "logs/orders.json", "logs/equity_0001.csv"}
    assert {"config.json", "versions.json", "status.json", "journal.sqlite", "contents.json", *logs} <= set(found)
    contents = json.loads(found["contents.json"])
    assert contents["remarks"] == ["journal: ok"]
    assert contents["files"]["journal.sqlite"] == len(found["journal.sqlite"])
    assert json.loads(found["config.json"])["config"]["risk_management"]["max_daily_trades"] == 2
    assert any(line.startswith("backtrader==") for line in json.loads(found["versions.json"])["distributions"])
    assert json.loads(found["status.json"])["bot_id"] == "0001"


def test_the_journal_in_it_is_whole_and_says_the_same(lived_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(bundle_of(lived_folder)["journal.sqlite"])
    with JournalReader.open(copy) as theirs, lived_bot().journal() as ours:
        assert theirs.trades() == ours.trades() and theirs.decisions() == ours.decisions()
        assert theirs.fills_of_run(1) == ours.fills_of_run(1)


def test_a_running_bot_is_not_disturbed(lived_folder: Path) -> None:
    path, _ = state_paths(lived_bot().config)
    with Journal.open(path, bot_id="0001", mode="mock", account="simulated") as journal:
        with journal.transaction():
            journal.next_sequence()
            found = bundle_of(lived_folder)
        journal.next_sequence()
    assert json.loads(found["contents.json"])["remarks"] == ["journal: ok"]


def test_secrets_in_journal_and_logs_are_masked(lived_folder: Path, tmp_path: Path) -> None:
    secret = "s3cret-value-xyz"
    path, _ = state_paths(lived_bot().config)
    with Journal.open(path, bot_id="0001", mode="mock", account="simulated") as journal:
        journal.record_refusal(RefusalRecord(NOW, "ETH_BTC", (f"the key {secret} was refused",)))
        journal.save_risk_state("note", {"text": f"signature={secret}"})
    with (lived_folder / "logs" / "errors.log").open("a") as file:
        file.write(f"boom {secret} at {HOME}/alice/bot.py, proxy http://alice:pw@proxy:1\n")
    found = bundle_of(lived_folder, secret)
    assert all(secret.encode() not in content for content in found.values())
    errors = found["logs/errors.log"].decode()
    assert f"boom *** at {HOME}/***/bot.py" in errors and "http://***@proxy:1" in errors
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(found["journal.sqlite"])
    with closing(sqlite3.connect(copy)) as connection:
        assert "the key *** was refused" in connection.execute("SELECT reasons FROM refusals").fetchall()[-1][0]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_secret_that_slips_through_stops_the_bundle(lived_folder: Path) -> None:
    class Blind(Masking):
        def __call__(self, text: str) -> str:
            return text

    secret = "ETHUSDT"  # stands in every log
    with pytest.raises(BundleUnsafe, match="journal.sqlite.*nothing was written"):
        Bundle(lived_bot().config, Blind([secret]), now=NOW, log_bytes=10**6).archive()


def test_only_the_newest_of_a_log_is_taken(lived_folder: Path) -> None:
    found = bundle_of(lived_folder, log_bytes=2_000)
    whole = (lived_folder / "logs" / "live" / "trading_bot_0001.log").read_text()
    tail = found["logs/trading_bot_0001.log"].decode()
    assert len(tail) <= 2_000 and whole.endswith(tail) and tail[:4] == "2026" or tail.startswith("20")
    assert any("the newest 2,000" in remark for remark in json.loads(found["contents.json"])["remarks"])


def test_a_bot_that_has_not_run_or_has_a_damaged_journal_has_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path, name="bot.json")
    assert "journal.sqlite" not in bundle_of(tmp_path)
    journal, _ = state_paths(load_config(config, environ={}))
    journal.parent.mkdir()
    journal.write_bytes(b"garbage" * 1_000)
    remarks = json.loads(bundle_of(tmp_path)["contents.json"])["remarks"]
    assert any(remark.startswith("no journal: it cannot be copied") for remark in remarks)


def test_the_command_writes_it_and_says_where(lived_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "bot.json", "--log-mb", "1"]) == 0
    assert "wrote 0001_mock_bundle.zip" in capsys.readouterr().out
    assert "journal.sqlite" in members((lived_folder / "0001_mock_bundle.zip").read_bytes())
    assert (lived_folder / "0001_mock_bundle.zip").stat().st_mode & 0o777 == 0o600
    assert main(["bundle", "nowhere.json"]) == 2
    assert main(["bundle", "bot.json", "-o", "."]) == 2


def test_no_canary_is_in_any_file_of_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule that raises with every secret it can read, at DEBUG."""
    monkeypatch.chdir(tmp_path)
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in IN_DOTENV.items()))
    (tmp_path / "chatty_rule.py").write_text(RULE.replace("NAMES", repr(tuple(CANARIES))))
    monkeypatch.syspath_prepend(str(tmp_path))
    strategy = {"entry_logic": {"name": "chatty_rule:Chatty"}}
    path = write_config(
        tmp_path,
        mock={"bars": 320, "seed": 7},
        data={"lookback_bars": 200},
        strategy=strategy,
        logging={"level": "DEBUG"},
    )
    LiveTradingBot(path).run()  # goes on without its strategy
    (tmp_path / "state" / "panel.token").write_text(f"{PANEL_FILE_TOKEN}\n")
    with (tmp_path / "logs" / "errors.log").open("a") as file:
        file.write(f"Traceback: {PANEL_FILE_TOKEN}\n")
    assert main(["bundle", "test.json", "-o", "b.zip"]) == 0
    assert main(["report", "test.json", "--html", "r.html"]) == 0
    found = members((tmp_path / "b.zip").read_bytes()) | {"report": (tmp_path / "r.html").read_bytes()}
    assert b"RuntimeError: ***" in found["logs/errors.log"]
    said = capsys.readouterr()
    for secret in EVERY:
        assert [name for name, content in found.items() if secret.encode() in content] == []
        assert secret not in said.out + said.err


@pytest.mark.parametrize("written", [json.dumps, html.escape, quote])
def test_the_last_look_finds_a_secret_in_any_form(written: Callable[[str], str]) -> None:
    assert Masking(["wörter & <mehr>"]).shows(f"x {written('wörter & <mehr>')} y".encode())
    assert not Masking(["wörter & <mehr>"]).shows(b"x worter y")
