"""Real SIGKILL of the real command line, in the middle of trades, until the market has ended."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.trading.runs import write_config
from trading.journal.locks import is_held, lock_path

D = Decimal
BUSY = ("entering", "hedging", "exiting", "unwinding")
RECOVERY = "recovery"
TARGETS = ("entering", RECOVERY, "hedging", "exiting", "hedging", RECOVERY, "exiting", "entering", "unwinding")
PATIENCE_S = 60.0


class Bot:
    """One bot's files, and its process while it lives."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder = folder
        self.config = config
        self.journal = folder / "state" / "kill_mock.journal.sqlite"
        self.exchange = folder / "state" / "kill_mock.exchange.sqlite"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [sys.executable, str(PROJECT / "trading_bot.py"), str(self.config), "--json", "result.json"]
        with open(self.folder / "out.txt", "ab") as out:
            self._process = subprocess.Popen(command, cwd=self.folder, stdout=out, stderr=out)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self) -> int:
        return self._process.wait(PATIENCE_S)

    def rows(self, path: Path, query: str) -> list[tuple]:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()

    def states(self) -> set[str]:
        try:
            return {state for (state,) in self.rows(self.journal, "SELECT state FROM pair_positions")}
        except sqlite3.OperationalError:  # no journal yet
            return set()

    def unresolved(self) -> int:
        """Orders of which the journal does not know the end."""
        query = "SELECT count(*) FROM intents WHERE state NOT IN ('DONE', 'NOT_PLACED')"
        return self.rows(self.journal, query)[0][0]

    def freeze_mid_order(self) -> bool:
        """Stop the process while an order of its own is under way; False when it ended before there was one."""
        begun = time.monotonic()
        while not self.has_ended:
            if self.unresolved():
                self._process.send_signal(signal.SIGSTOP)
                if self.unresolved():
                    return True
                self._process.send_signal(signal.SIGCONT)
            self._check(begun)
        return False

    def reach(self, target: str) -> bool:
        """Wait until a pair is in this state, newly (or the bot has just begun to recover); False when it ended."""
        begun = time.monotonic()
        while not is_held(lock_path(self.journal)):
            self._check(begun)
        if target == RECOVERY:
            return True
        while self.states() & set(BUSY):
            if self.has_ended:
                return False
            self._check(begun)
        while target not in self.states():
            if self.has_ended:
                return False
            self._check(begun)
        return True

    def _check(self, begun: float) -> None:
        if time.monotonic() - begun > PATIENCE_S:
            pytest.fail(f"the bot came to nothing:\n{(self.folder / 'out.txt').read_text()[-3000:]}")

    def net(self) -> dict[str, Decimal]:
        """Signed quantity by symbol in the journal."""
        held: Counter[str] = Counter()
        for symbol, side, amount in self.rows(self.journal, "SELECT symbol, side, amount FROM fills"):
            held[symbol] += D(amount) * (1 if side == "buy" else -1)
        return {symbol: amount for symbol, amount in held.items() if amount}


@pytest.fixture
def bot(tmp_path: Path) -> Bot:
    """Fast entries and exits on a short market, with latency and faults so that trades take their time."""
    config = write_config(
        tmp_path,
        name="kill.json",
        bot_id="kill",
        broker={
            "latency_ms": 400,
            "faults": [
                {"kind": "timeout_after_execution", "rate": 0.05, "times": 1000},
                {"kind": "partial_fill", "rate": 0.08, "times": 1000, "fill_ratio": 0.3},
            ],
        },
        mock={"bars": 900, "seed": 11},
        data={"lookback_bars": 150},
        strategy={"entry_logic": {"params": {"e_entry_z": 1.2, "e_min_edge": 0.0}},
                  "exit_logic": {"params": {"x_cooldown_bars": 0}}},
        risk_management={"max_daily_trades": None, "max_daily_loss": None},
    )  # fmt: skip
    return Bot(tmp_path, config)


def test_a_bot_killed_again_and_again_in_the_middle_of_trades_ends_with_all_of_them(bot):
    kills: list[str] = []
    uncertain = 0
    for target in TARGETS:
        bot.start()
        if not bot.reach(target) or (target != RECOVERY and not bot.freeze_mid_order()):
            break
        uncertain += target != RECOVERY
        bot.kill()
        kills.append(target)
    else:
        bot.start()
    assert bot.wait() == 0, (bot.folder / "out.txt").read_text()[-3000:]
    print(f"killed {len(kills)} times: {', '.join(kills)} ({uncertain} with an order under way)")
    assert len(kills) >= 8 and uncertain >= 6

    orders = [one for (one,) in bot.rows(bot.exchange, "SELECT client_order_id FROM orders")]
    intents = dict(bot.rows(bot.journal, "SELECT client_order_id, state FROM intents"))
    assert len(orders) == len(set(orders)), "an intent was sent twice"
    assert set(orders) <= set(intents)
    assert set(intents.values()) <= {"DONE", "NOT_PLACED"}

    fills = bot.rows(bot.journal, "SELECT trade_id, symbol, amount, price, fee FROM fills")
    known = bot.rows(bot.exchange, "SELECT trade_id, symbol, amount, price, fee FROM fills")
    exact = {(int(number), symbol, *map(D, money)) for number, symbol, *money in fills}
    assert exact == {(int(number), symbol, *map(D, money)) for number, symbol, *money in known}
    assert len(fills) == len(known), "a fill was booked twice"
    held = {symbol: D(amount) for symbol, amount in bot.rows(bot.exchange, "SELECT symbol, amount FROM positions")}
    assert bot.net() == held

    log = (bot.folder / "logs" / "live" / "trading_bot_0001.log").read_text(encoding="utf-8")
    assert log.count("run_started") >= 1 + len(kills) - kills.count(RECOVERY)
    assert "not trading" not in log and "ledger_mismatch" not in log and "engine_failed" not in log
    result = json.loads((bot.folder / "result.json").read_text(encoding="utf-8"))
    trades = bot.rows(bot.journal, "SELECT pair_id, entry_time, exit_time FROM trades")
    assert len(trades) == len(set(trades)) == len(result["trades"]) >= len(kills)
    assert bot.rows(bot.journal, "SELECT count(*) FROM runs") == [(1,)], "it was one run all along"
    assert_money_adds_up(bot, result)


def assert_money_adds_up(bot: Bot, result: dict) -> None:
    """The exchange's account, from its own file, holds what the trades say."""
    (initial, realised, fees, funding) = map(
        D, bot.rows(bot.exchange, "SELECT initial, realised, fees, funding FROM account")[0]
    )
    if not result["open"]:
        assert result["equity_end"] == pytest.approx(float(initial + realised - fees + funding), abs=1e-6)
    gained = sum(trade["pnl"] for trade in result["trades"]) + sum(one["unrealised"] for one in result["open"])
    assert result["equity_end"] - result["equity_start"] == pytest.approx(
        gained, abs=0.01 * (1 + len(result["trades"]))
    )
