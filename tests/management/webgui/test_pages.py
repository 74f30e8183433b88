"""What the pages say of bots, and that nothing in a journal or a log becomes more than text."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path

import httpx
import pytest

from management.webgui.bot_pages import LISTED_ROWS
from tests.management.sample_bots import PAIR, config_row, journal_of, status_row, write_bot
from tests.management.webgui.panels import Panel, panel_process, serving
from trading.control.command_queue import CommandQueue, CommandState, Verb
from trading.live.spreads import LIVE_KEY

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&{{7*7}}"
VIEWS = ("", "/trades", "/orders", "/decisions", "/log", "/config")
COMMANDS = "/bots/0001_mock/commands"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def panel(state: Path) -> Iterator[Panel]:
    with serving(state, secrets=("canary-secret-of-the-environment",)) as served:
        yield served


@pytest.fixture
def browser(panel: Panel) -> Iterator[httpx.Client]:
    with panel.browser() as client:
        yield client


def words(page: httpx.Response) -> str:
    """What a reader sees."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


# what is shown


def test_an_empty_folder_says_how_to_start_a_bot(browser: httpx.Client) -> None:
    assert "No bot has run here yet" in words(browser.get("/"))


def test_all_bots_are_found_and_their_mode_breaker_equity_and_pairs_shown(state: Path, browser: httpx.Client) -> None:
    write_bot(state, "0001")
    write_bot(state, "0002", "binance_paper")
    (state / "note.journal.txt").write_text("no bot")
    text = words(browser.get("/"))
    assert "0001 mock" in text and "0002 binance paper" in text
    assert text.count("○ not running") == 2 and text.count("✓ breaker closed") == 2
    assert text.count("10,000.00") == 2 and text.count("1 of 1") == 2


def test_a_bot_that_holds_its_journal_is_running(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    with journal_of(state):
        assert "● running" in words(browser.get("/bots/0001_mock"))
    assert "○ not running" in words(browser.get("/bots/0001_mock"))


def test_a_bots_page_shows_its_pair_its_limits_its_health_and_its_charts(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    page = browser.get("/bots/0001_mock")
    text = words(page)
    for wanted in ("▼ short since 2024-01-01 00:00", "z at entry +2.07", "max exposure 0.5 1", "50 %", "○ not running"):
        assert wanted in text
    assert "● exchange agrees with the ledger" in text
    labels = re.findall(r'role="img"[^>]*aria-label="([^"]*)"', page.text)
    assert [label.split()[0] for label in labels] == ["Equity", "Drawdown:", "z", "Spread"]
    assert "entry +2" in page.text and "stop -4" in page.text and "mark-short" in page.text


def test_a_difference_between_exchange_and_ledger_is_shown(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    with journal_of(state) as journal:
        journal.save_risk_state("status", status_row() | {"exchange": {"ETHUSDT": 0.0}})
    assert "■ exchange and ledger differ" in words(browser.get("/bots/0001_mock"))


def test_trades_orders_decisions_and_config_are_listed(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    assert "2024-01-01 05:00 ETH_BTC ▲ long" in words(browser.get("/bots/0001_mock/trades"))
    assert words(browser.get("/bots/0001_mock/orders")).count("0001-abcdef-") == 3
    assert "plain, max_exposure" in words(browser.get("/bots/0001_mock/decisions"))
    assert '"bot_id": "0001"' in words(browser.get("/bots/0001_mock/config"))


def test_a_long_run_shows_its_newest_rows_only(state: Path, browser: httpx.Client) -> None:
    write_bot(state, bars=3 * LISTED_ROWS)
    page = browser.get("/bots/0001_mock/decisions")
    assert page.text.count("<tr>") < LISTED_ROWS + 10
    assert "2024-01-13 11:00" in page.text


def test_the_log_is_shown_without_secrets_and_its_alarms_on_the_bots_page(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    lines = [
        "2024-01-01T00:00:00.000Z INFO trading.live.run key=canary-secret-of-the-environment",
        "2024-01-01T00:00:01.000Z ERROR trading.live.run alarm the ledger differs password=hunter22",
    ]
    (state / "sample.log").write_text("\n".join(lines) + "\n")
    (state / "errors.log").write_text("2024-01-01T00:00:02.000Z ERROR x run_failed\nTraceback: token=abcdefgh\n")
    log, bot = words(browser.get("/bots/0001_mock/log")), words(browser.get("/bots/0001_mock"))
    assert "canary-secret" not in log and "hunter22" not in log and log.count("***") == 3
    assert "alarm the ledger differs" in bot and "key=" not in bot
    assert "Errors" in log and "run_failed Traceback: token=***" in log
    assert "1 alarms" in words(browser.get("/"))


def test_an_alarm_that_the_log_has_outgrown_is_found_in_the_log_of_errors(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    alarm = "2024-01-01T00:00:02.000Z ERROR trading.live.run alarm not trading: the ledger differs"
    later = [f"2024-01-02T00:00:00.{n:03d}Z WARNING trading.live.run step missed {n:060d}" for n in range(900)]
    (state / "sample.log").write_text("\n".join([alarm, *later]) + "\n")
    (state / "errors.log").write_text(f"{alarm}\nTraceback of it\n2024-01-02T00:00:00.899Z ERROR x of another bot\n")
    bot = words(browser.get("/bots/0001_mock"))
    assert "1 alarms" in words(browser.get("/")) and "1 alarms in the logs" in bot
    assert bot.index("the ledger differs") < bot.index("step missed") and "of another bot" not in bot
    assert "its log since 2024-01-02 00:00; the log of errors goes back to 2024-01-01 00:00" in bot


def test_how_far_back_was_looked_is_said_where_nothing_was_found(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    (state / "sample.log").write_text("2024-01-01T00:00:00.000Z INFO trading.live.run run_started\n")
    assert "Nothing worrying in its log since 2024-01-01 00:00; there is no log of errors" in words(
        browser.get("/bots/0001_mock")
    )


@pytest.mark.parametrize("table, column", [("pair_positions", "payload"), ("risk_state", "value")])
def test_a_damaged_row_makes_its_own_bot_unreadable_and_no_other(
    state: Path, browser: httpx.Client, table: str, column: str
) -> None:
    write_bot(state, "0001")
    write_bot(state, "0002")
    with closing(sqlite3.connect(state / "0002_mock.journal.sqlite")) as journal:
        journal.execute(f"UPDATE {table} SET {column} = '{{bad'")
        journal.commit()
    page = browser.get("/")
    assert page.status_code == 200 and words(page).count("■ unreadable") == 1 and "a damaged row" in words(page)
    assert browser.get("/bots/0001_mock").status_code == 200
    assert browser.get("/bots/0002_mock").status_code == 503
    metrics = browser.get("/metrics").text
    assert 'journal_readable{bot_key="0001_mock"} 1.0' in metrics
    assert 'journal_readable{bot_key="0002_mock"} 0.0' in metrics


def test_a_damaged_trade_is_told_on_the_page_that_lists_it(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    with closing(sqlite3.connect(state / "0001_mock.journal.sqlite")) as journal:
        journal.execute("UPDATE trades SET legs = '{bad'")
        journal.commit()
    page = browser.get("/bots/0001_mock/trades")
    assert page.status_code == 503 and "a damaged row" in words(page)


def test_a_journal_of_a_newer_program_asks_for_an_update(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    with closing(sqlite3.connect(state / "0001_mock.journal.sqlite")) as journal:
        journal.execute("UPDATE meta SET schema_version = 99")
        journal.commit()
    assert "of a newer program" in words(browser.get("/")) and "update the program" in words(browser.get("/"))


def test_z_between_bars_stands_beside_that_of_the_last_bar(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    live = {"time": "2024-01-03T01:30:05+00:00", "z": 3.21, "spread": 0.0123}
    with journal_of(state) as journal:
        journal.save_risk_state(LIVE_KEY, {PAIR: live})
        text = words(browser.get("/bots/0001_mock"))
        assert "z now +3.21 at 01:30:05 Spread now +0.01230 at 01:30:05 z -2.40 at the last bar" in text
        journal.save_risk_state(LIVE_KEY, {PAIR: live | {"time": "2024-01-03T01:00:00+00:00"}})
        assert "z now" not in words(browser.get("/bots/0001_mock")), "the bar is as new"
        journal.save_risk_state(LIVE_KEY, {PAIR: live})
    assert "z now" not in words(browser.get("/bots/0001_mock")), "the bot does not run"


def test_a_stopped_bots_feeds_are_not_running(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    stopped = words(browser.get("/bots/0001_mock"))
    assert "ETHUSDT ○ not running –" in stopped and "market data connected" not in stopped
    with journal_of(state):
        running = words(browser.get("/bots/0001_mock"))
    assert "ETHUSDT ● live 0 s" in running and "market data connected" in running


def test_secrets_of_the_environment_appear_on_no_page(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, with everything that a defect might have let into log, config and queue."""
    canaries = {name: f"canary-{name.lower()}-0123456789" for name in ("BINANCE_API_KEY", "BINANCE_API_SECRET")}
    canaries |= {name: f"canary-{name.lower()}-0123456789" for name in ("TELEGRAM_BOT_TOKEN", "SMTP_PASSWORD")}
    for name, secret in canaries.items():
        monkeypatch.setenv(name, secret)
    monkeypatch.chdir(tmp_path)
    write_bot(state)
    all_of_them = " ".join(canaries.values())
    with journal_of(state) as journal:
        journal.save_risk_state("config", config_row(state, text=all_of_them))
    (state / "sample.log").write_text(f"2024-01-01T00:00:00.000Z ERROR x alarm {all_of_them}\n{all_of_them}\n")
    with CommandQueue(state / "0001_mock.commands.sqlite") as queue:
        number = queue.give(Verb.HALT, reason=all_of_them, by="test")
        queue.end(queue.command(number), CommandState.FAILED, all_of_them)
    with panel_process(tmp_path) as (process, url, token):
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            paths = ["/", "/metrics", f"{COMMANDS}/1", *(f"/bots/0001_mock{view}" for view in VIEWS)]
            pages = [client.get(path) for path in paths]
        shown = "".join(page.text for page in pages) + Path(f"/proc/{process.pid}/cmdline").read_text()
    assert [page.status_code for page in pages] == [200] * len(pages)
    assert "canary" not in shown + (tmp_path / "panel.txt").read_text() and token not in shown


def test_a_journal_that_cannot_be_read_is_shown_as_that_and_the_others_go_on(
    state: Path, browser: httpx.Client
) -> None:
    write_bot(state, "0001")
    (state / "0002_mock.journal.sqlite").write_bytes(b"no database at all" * 100)
    with closing(sqlite3.connect(state / "0001_mock.journal.sqlite")) as source:
        with closing(sqlite3.connect(state / "0003_mock.journal.sqlite")) as older:
            source.backup(older)
            older.execute("UPDATE meta SET schema_version = 1")
            older.commit()
    text = words(browser.get("/"))
    assert text.count("■ unreadable") == 2 and "0001 mock" in text and "start the bot with this version" in text
    assert browser.get("/bots/0002_mock").status_code == 503


def test_an_update_sends_only_what_changes_and_nothing_when_nothing_has(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    part = browser.get("/bots/0001_mock?part=live")
    assert part.text.lstrip().startswith("<p id=") and "<html" not in part.text and "Flatten" not in part.text
    again = browser.get("/bots/0001_mock?part=live", headers={"If-None-Match": part.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    with journal_of(state) as journal:
        journal.save_risk_state("guard", {"breaker": "halted", "breaker_reason": "a test", "breaker_since": "2024"})
    changed = browser.get("/bots/0001_mock?part=live", headers={"If-None-Match": part.headers["etag"]})
    assert changed.status_code == 200 and "breaker halted" in changed.text


def test_texts_of_a_journal_and_a_log_stay_texts(state: Path, browser: httpx.Client) -> None:
    write_bot(state, pair_id=EVIL, text=EVIL)
    (state / "sample.log").write_text(f"2024-01-01T00:00:00.000Z ERROR x alarm {EVIL}\n{EVIL}\n")
    with CommandQueue(state / "0001_mock.commands.sqlite") as queue:
        number = queue.give(Verb.CLOSE, reason=EVIL, by=EVIL, pair_id=EVIL)
        queue.end(queue.command(number), CommandState.FAILED, EVIL)
    pages = [browser.get(f"/bots/0001_mock{view}") for view in VIEWS]
    pages += [browser.get(COMMANDS, params={"verb": "close", "pair": EVIL[:80]}), browser.get(f"{COMMANDS}/1")]
    pages += [browser.get("/"), browser.get(COMMANDS, params={"verb": "close", "pair": EVIL})]
    for page in pages:
        assert "<script>alert" not in page.text and "<img" not in page.text and "&{49" not in page.text, page.url
    assert all("&lt;script&gt;" in page.text for page in pages[:6])


def test_a_bot_that_is_not_there_is_a_page_that_says_so(browser: httpx.Client) -> None:
    answer = browser.get("/bots/none_mock")
    assert answer.status_code == 404 and "there is no bot none_mock" in words(answer)


# commands


def test_a_command_asks_back_and_its_answer_is_shown(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    asked = browser.get(COMMANDS, params={"verb": "close", "pair": PAIR})
    assert "Close ETH_BTC?" in words(asked) and "not running" in words(asked)
    given = browser.post(COMMANDS, data={"verb": "close", "pair": PAIR, "reason": "enough"})
    assert given.status_code == 303
    assert "waits for its next start" in words(browser.get(given.headers["location"]))
    with CommandQueue(state / "0001_mock.commands.sqlite") as queue:
        (command,) = queue.waiting()
        assert (command.verb, command.pair_id, command.reason, command.given_by) == (
            Verb.CLOSE,
            PAIR,
            "enough",
            "panel",
        )
        queue.end(command, CommandState.DONE, "closed")
    answer = words(browser.get(given.headers["location"]))
    assert "✓ done closed" in answer
    assert "close ETH_BTC panel enough done closed" in words(browser.get("/bots/0001_mock"))


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"verb": "flatten", "reason": "x"}, 400, "type 0001 to flatten it"),
        ({"verb": "flatten", "reason": "x", "name": "0002"}, 400, "type 0001 to flatten it"),
        ({"verb": "halt", "reason": " \n "}, 400, "Say why"),
        ({"verb": "halt", "reason": "x" * 201}, 400, "Say it in 200 letters"),
        ({"verb": "buy", "reason": "x"}, 400, "verb is one of"),
        ({"reason": "x"}, 400, "verb is one of"),
        ({"verb": "close", "pair": "NO_PAIR", "reason": "x"}, 400, "there is no pair NO_PAIR; 0001 trades ETH_BTC"),
        ({f"f{number}": "" for number in range(20)}, 400, "a form was wanted"),
    ],
)
def test_a_command_that_is_none_is_refused_with_what_is_wrong(
    state: Path, browser: httpx.Client, fields: dict[str, str], code: int, said: str
) -> None:
    write_bot(state)
    answer = browser.post(COMMANDS, data=fields)
    assert (answer.status_code, said in words(answer)) == (code, True), words(answer)
    assert not (state / "0001_mock.commands.sqlite").exists()


def test_flatten_goes_when_the_bots_name_is_typed(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    answer = browser.post(COMMANDS, data={"verb": "flatten", "reason": "x", "name": " 0001 "})
    assert answer.status_code == 303


def test_no_command_is_given_to_a_bot_that_is_not_there(state: Path, browser: httpx.Client) -> None:
    answer = browser.post("/bots/none_mock/commands", data={"verb": "halt", "reason": "x"})
    assert answer.status_code == 404
    assert browser.get("/bots/none_mock/commands/1").status_code == 404
    assert list(state.iterdir()) == []


def test_a_queue_that_cannot_be_written_is_told(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    (state / "0001_mock.commands.sqlite").write_bytes(b"no database at all" * 100)
    answer = browser.post(COMMANDS, data={"verb": "halt", "reason": "x"})
    assert answer.status_code == 503 and "move it away" in words(answer)


def test_the_config_a_bot_kept_is_shown_as_json(state: Path, browser: httpx.Client) -> None:
    write_bot(state)
    shown = re.search(r"<pre>(.*)</pre>", browser.get("/bots/0001_mock/config").text, re.DOTALL)
    assert shown is not None
    assert json.loads(unescape(shown[1])) == config_row(state)["config"]
