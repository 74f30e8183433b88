"""What the documents say is so: commands run, names exist, links lead somewhere, the example config is shipped."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from brokers.mock_market import MockMarket, MockPair
from mixins.registry import ENTRY_RULES, EXIT_RULES
from tools.rules_page import page
from trading.config_validator import ConfigValidator

PROJECT = Path(__file__).resolve().parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
README = (PROJECT / "README.md").read_text(encoding="utf-8")
WORDS_OF_OTHERS = {"BackBroker", "Backtrader"}


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return [line for block in fenced("bash") for line in block.splitlines() if line]


def quoted(text: str) -> set[str]:
    """What stands in backticks, outside fenced blocks."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)))


def source_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "src").rglob("*.py"))


# commands


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a user's own hourly bars: what the shipped replay config asks for."""
    folder = tmp_path_factory.mktemp("bars")
    loaded = ConfigValidator().examine_file(PROJECT / "config" / "trading" / "real_pairs_1h.json").loaded
    assert loaded is not None
    market = MockMarket(7, 900, "1h", pairs=[MockPair.of(pair) for pair in loaded.pairs])
    for symbol, series in market.series().items():
        with (folder / f"{symbol}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("timestamp", "open", "high", "low", "close", "volume"))
            opens = (series.time_ms - series.interval_ms).tolist()
            times = [f"{datetime.fromtimestamp(one / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}" for one in opens]
            writer.writerows(zip(times, *series.columns[1:], strict=True))
    return folder


@pytest.fixture
def working_folder(tmp_path: Path, bars: Path) -> Path:
    """A working directory that looks like the project's."""
    for name in ("src", "config", "trading_bot.py", "backtest.py", "run_scanner.py", "test_live_bot_config.py"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / "bars").symlink_to(bars)
    return tmp_path


@pytest.mark.parametrize("command", [one for one in commands() if not one.startswith("make")])
def test_a_command_of_the_readme_works(working_folder: Path, command: str) -> None:
    program, *arguments = shlex.split(command)
    programs = {"python": [sys.executable], "tandem": [sys.executable, "-m", "management.cli"]}
    done = subprocess.run(
        [*programs[program], *arguments],
        cwd=working_folder,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src"), "TANDEM__MOCK__BARS": "700"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    for option in ("--json", "--csv", "--trades-csv", "--plot"):
        if option in arguments:
            assert (working_folder / arguments[arguments.index(option) + 1]).stat().st_size > 0


@pytest.mark.parametrize("command", [one for one in commands() if one.startswith("make")])
def test_a_make_command_of_the_readme_has_its_target(command: str) -> None:
    done = subprocess.run([*shlex.split(command), "-n"], cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_readme_shows_every_script_and_every_verb() -> None:
    shown = " ".join(commands())
    for wanted in ("make run", "make test", "trading_bot.py", "backtest.py", "config_validator.py", "run_scanner.py"):
        assert wanted in shown
    for verb in ("run", "backtest", "validate", "scan"):
        assert f"tandem {verb}" in shown


def test_the_example_runs(working_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROJECT / "examples" / "run_multi_pair.py")],
        cwd=working_folder,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src"), "TANDEM__MOCK__BARS": "700"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("equity")


def test_the_example_of_an_engine_alone_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(PROJECT / "examples" / "execution_engine.py")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "success rate 100 %" in done.stdout and "closed: end_of_the_example" in done.stdout
    assert not list(tmp_path.iterdir()), "an exchange in memory leaves nothing behind"


# what is written


def test_the_annotated_config_is_the_shipped_one() -> None:
    (annotated,) = fenced("jsonc")
    plain = "\n".join(re.sub(r"\s+//.*$", "", line) for line in annotated.splitlines())
    shipped = (PROJECT / "config" / "trading" / "0001.json").read_text(encoding="utf-8")
    assert json.loads(plain) == json.loads(shipped)


def test_the_page_of_rules_is_current() -> None:
    assert (PROJECT / "docs" / "rules.md").read_text(encoding="utf-8") == page(), "run: make docs"


def test_every_rule_is_in_the_documents_and_every_rule_there_exists() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
    named = set(re.findall(r"\b\w+(?:Entry|Exit)Mixin\b", text)) - {"MyEntryMixin", "EntryMixin", "ExitMixin"}
    assert named == {*ENTRY_RULES, *EXIT_RULES}


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    lost = [target for target in targets if not _exists(document, target)]
    assert lost == []


def _exists(document: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = document.parent / name if name else document
    if not anchor:
        return file.exists()
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_files_and_classes_named_in_the_documents_exist(document: Path) -> None:
    if document.name == "coverage.md":
        words = {word for _, now in _coverage() for word in quoted(now)}
    else:
        words = quoted(document.read_text(encoding="utf-8"))
    files = {word for word in words if re.match(r"(src|docs|tests|config|examples|tools|constraints)/[\w./]+$", word)}
    classes = {word.split(".")[0] for word in words if re.match(r"([A-Z]+[a-z]+){2,}\w*(\.\w+)?$", word)}
    source = source_text()
    assert [name for name in sorted(files) if not (PROJECT / name).exists()] == []
    known = {name for name in classes if re.search(rf"\b{name}\b", source)}
    assert classes - known - WORDS_OF_OTHERS - {"MyEntryMixin"} == set()


def _coverage() -> list[tuple[str, str]]:
    """The rows of the page's tables: the former name, and what stands for it now."""
    lines = (PROJECT / "docs" / "coverage.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("|").split(" | ", 1) for line in lines if line.startswith("| ")]
    return [(row[0].strip(), row[1].strip()) for row in rows]


def test_successors_are_where_the_coverage_page_says() -> None:
    lost = []
    for _, now in _coverage():
        for name, file in re.findall(r"`(\w+)` in `([\w/.]+)`", now):
            if not re.search(rf"\b(?:class|def) {name}\b", (PROJECT / file).read_text(encoding="utf-8")):
                lost.append(f"{name} in {file}")
    assert lost == []


def test_every_decision_is_listed() -> None:
    folder = PROJECT / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    notes = sorted(path.name for path in folder.glob("0*.md"))
    assert [note for note in notes if f"({note})" not in listed] == []
    assert [int(note[:4]) for note in notes] == list(range(1, len(notes) + 1))


@pytest.mark.parametrize("name", ["backtest.png", "scan.png", "report.png"])
def test_the_picture_is_one(name: str) -> None:
    assert (PROJECT / "docs" / "images" / name).read_bytes().startswith(b"\x89PNG\r\n")
