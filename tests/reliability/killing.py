"""The real command line, killed by SIGKILL again and again, on an exchange in a process of its own."""

from __future__ import annotations

import json
import os
import random
import select
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import PROJECT
from tests.reliability.files import differences, rows
from tests.reliability.places import Violation
from tests.trading.runs import CONFIGS, write_config
from trading.journal.locks import is_held, lock_path

PATIENCE_S = 120.0
LOOK_S = 0.005
SPEED = 2_400  # an hour's bar takes one and a half seconds
PAIRS = "ETHUSDT/BTCUSDT,LTCUSDT/BCHUSDT,ADAUSDT/XRPUSDT"
FAULTS = [
    {"kind": "timeout_after_execution", "on": "create_order", "rate": 0.1},
    {"kind": "partial_fill", "on": "create_order", "rate": 0.15, "fill_ratio": 0.3},
    {"kind": "reject", "on": "create_order", "rate": 0.05},
]
LONGEST_DELAY_S = {"order": 0.5, "moment": 6.0}
MOMENTS = ("order", "order", "moment", "recovery")  # how the kills take turns
UNRESOLVED = "SELECT count(*) FROM intents WHERE state NOT IN ('DONE', 'NOT_PLACED')"
BARS = "SELECT count(*) FROM equity"
STOPPED = (0, 130)
INTENTS = "SELECT count(*) FROM intents"
BUSY = "SELECT count(*) FROM pair_positions WHERE state NOT IN ('open', 'flat')"


@dataclass(frozen=True, slots=True)
class Killed:
    """``mid_order``: how many of the kills left an order whose end the journal did not know."""

    kills: int
    mid_order: int
    orders: int
    violations: tuple[Violation, ...]


@contextmanager
def exchange(folder: Path, *, bars: int) -> Iterator[tuple[str, Path]]:
    """Its address, and the file it keeps its account in."""
    faults, state = folder / "faults.json", folder / "exchange.sqlite"
    faults.write_text(json.dumps(FAULTS))
    command = [sys.executable, "-m", "management.cli", "exchange", "--pairs", PAIRS, "--interval", "1h"]
    command += ["--speed", str(SPEED), "--latency-ms", "150", "--history", "200", "--bars", str(bars)]
    command += ["--state", str(state), "--faults", str(faults)]
    with (
        open(folder / "exchange.txt", "wb") as err,
        subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=err) as process,
    ):
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
            assert ready, f"the exchange does not start: {(folder / 'exchange.txt').read_text()[-2000:]}"
            yield json.loads(process.stdout.readline())["rest"], state
        finally:
            process.kill()


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT / "src"), "HOME": os.environ.get("HOME", "/")}


class Bot:
    """One bot's files, and its process while it lives."""

    def __init__(self, folder: Path, url: str) -> None:
        pairs = json.loads((CONFIGS / "0001.json").read_text(encoding="utf-8"))["pairs"]
        self.folder = folder
        self.config = write_config(
            folder,
            name="kill.json",
            bot_id="kill",
            broker={"type": "binance", "exchange_url": url},
            data={"data_source": "binance", "lookback_bars": 150},
            pairs=[pair | {"z_score_threshold": 0.7} for pair in pairs],
            strategy={"entry_logic": {"params": {"e_entry_z": 0.7, "e_min_edge": 0.0}},
                      "exit_logic": {"params": {"x_cooldown_bars": 0}}},
            risk_management={"max_daily_trades": None, "max_daily_loss": None},
        )  # fmt: skip
        self._process: subprocess.Popen | None = None

    @property
    def journal(self) -> Path:
        return next(iter(self.folder.glob("state/*.journal.sqlite")), self.folder / "none")

    def start(self) -> None:
        command = [sys.executable, str(PROJECT / "trading_bot.py"), str(self.config)]
        with open(self.folder / "bot.txt", "ab") as out:
            self._process = subprocess.Popen(command, cwd=self.folder, env=environment(), stdout=out, stderr=out)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def count(self, query: str) -> int:
        try:
            return rows(self.journal, query)[0][0]
        except sqlite3.OperationalError:  # no journal yet, or not its tables
            return 0

    def is_recovering(self) -> bool:
        return is_held(lock_path(self.journal))

    def until(self, condition: Callable[[], bool]) -> None:
        """A bot that cannot ask the exchange at its start ends with an error, and is started again."""
        begun = time.monotonic()
        while not condition():
            assert self._process is not None
            if time.monotonic() - begun > PATIENCE_S:
                last = (self.folder / "bot.txt").read_text(errors="replace")[-3000:]
                raise AssertionError(f"the bot came to nothing:\n{last}")
            if self._process.poll() is not None:
                self.start()
            time.sleep(LOOK_S)


def kill_again_and_again(folder: Path, *, kills: int, seed: int = 0) -> Killed:
    """Every kill at another moment; after the last the bot lives on until it is at rest, and is stopped."""
    chance, mid_order = random.Random(seed), 0
    with exchange(folder, bars=20 * kills + 400) as (url, state):
        bot = Bot(folder, url)
        for number in range(kills):
            bot.start()
            _wait_for(bot, MOMENTS[number % len(MOMENTS)], chance)
            mid_order += bot.count(UNRESOLVED) > 0
            bot.kill()
        bot.start()
        bars_before = bot.count(BARS)
        bot.until(lambda: bot.count(BARS) > bars_before and not bot.count(UNRESOLVED) and not bot.count(BUSY))
        code = bot.terminate()
        found = differences(bot.journal, state)
        if code not in STOPPED:
            found.append(Violation("I11", f"the bot was stopped at rest and ended with {code}"))
        return Killed(kills, mid_order, len(rows(state, "SELECT order_id FROM orders")), tuple(found))


def _wait_for(bot: Bot, moment: str, chance: random.Random) -> None:
    """A new order and a little more, any moment of a life, or the very beginning of its recovery."""
    known = bot.count(INTENTS)
    bot.until(bot.is_recovering if moment != "order" else lambda: bot.count(INTENTS) > known)
    if moment != "recovery":
        time.sleep(chance.uniform(0.0, LONGEST_DELAY_S[moment]))
