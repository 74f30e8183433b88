"""One virtual day of the whole bot, Backtrader and strategy included, on the mock exchange with faults from a seed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ccxt_bt_bridge.errors import BridgeError
from tests.reliability.draws import fault_draws
from tests.reliability.files import differences, rows
from tests.reliability.places import Violation
from tests.trading.runs import CONFIGS, write_config
from trading.events import Event
from trading.live_trading_bot import LiveTradingBot
from trading.records import RunResult

LOOKBACK, TRADED = 150, 24
MOST_STARTS = 20
BY_CHANCE = re.compile("day-[0-9a-z]{6}-")  # in an order id: an id is never used again, whatever the seed
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@dataclass(frozen=True, slots=True)
class BotDay:
    """``digest``: of every event, in their order."""

    seed: int
    digest: str
    orders: int
    trades: int
    violations: tuple[Violation, ...]


def live_through(folder: Path, seed: int) -> BotDay:
    """In a folder of its own, which stays."""
    folder.mkdir()
    digest = hashlib.sha256()

    def hear(event: Event) -> None:
        digest.update(re.sub(BY_CHANCE, "day-", repr(event)).encode())

    with inside(folder):
        path, journal = config(folder, seed), folder / "state" / "day_mock.journal.sqlite"
        result = run(path, hear)
    exchange = folder / "state" / "day_mock.exchange.sqlite"
    return BotDay(
        seed=seed,
        digest=digest.hexdigest(),
        orders=rows(exchange, "SELECT count(*) FROM orders")[0][0],
        trades=len(result.trades),
        violations=tuple(differences(journal, exchange)),
    )


def run(path: Path, hear: Callable[[Event], None]) -> RunResult:
    """A bot that cannot ask the exchange at its start ends with an error, and is started again."""
    for _ in range(MOST_STARTS):
        bot = LiveTradingBot(path, environ={})
        bot.add_listener(hear)
        with suppress(BridgeError):
            return bot.run()
    raise AssertionError(f"{path} could not be started {MOST_STARTS} times")


def config(folder: Path, seed: int) -> Path:
    """Fast entries and exits, with latency and with whatever the seed has drawn."""
    rng = np.random.default_rng([seed, 13])
    pairs = json.loads((CONFIGS / "0001.json").read_text(encoding="utf-8"))["pairs"]
    return write_config(
        folder,
        name="day.json",
        bot_id="day",
        broker={"latency_ms": 200, "faults": list(fault_draws(rng, SYMBOLS))},
        mock={"bars": LOOKBACK + TRADED, "seed": seed},
        data={"lookback_bars": LOOKBACK},
        pairs=[pair | {"z_score_threshold": 0.7} for pair in pairs],
        strategy={"entry_logic": {"params": {"e_entry_z": 0.7, "e_min_edge": 0.0}},
                  "exit_logic": {"params": {"x_cooldown_bars": 0}}},
        risk_management={"max_daily_trades": None, "max_daily_loss": None},
    )  # fmt: skip


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
