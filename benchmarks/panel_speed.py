"""How fast the panel is with twenty bots and a year of hourly bars: the first page, an update, and what it costs.

Run: python benchmarks/panel_speed.py [--bots N] [--bars N] [--seconds S]. A journal with a year of decisions, equity,
trades, orders and fills is made by the real writer and copied for every bot; the panel is a process of its own, whom a
reader asks as a browser does, every two seconds; before each look every bot has marked another bar. A miss ends with 1.
"""

from __future__ import annotations

import argparse
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx

from ccxt_bt_bridge.words import Fill, Side
from trading.journal.words import Intent, IntentState
from trading.journal.writer import Journal
from trading.kept_config import CONFIG_KEY
from trading.records import Decision, LegRecord, TradeRecord
from trading.risk.state import GUARD_KEY, RiskState
from trading.status import STATUS_KEY
from trading.utc_text import utc_text

START = datetime(2025, 1, 1, tzinfo=UTC)
PAIRS = ("ETH_BTC", "LTC_BCH", "ADA_XRP")
EVERY_S = 2.0
ROUNDS = 20
LOG_LINE = "2025-01-01T00:00:00.000Z INFO trading.live.run order_finished id=0000-abc-1 status=closed\n"
ALARM_LINE = "2025-01-01T00:00:00.000Z ERROR trading.live.run alarm a line of the log\n"
BARS_OF_A_TRADE = 24  # of each pair by turns: some 365 trades in a year, of four orders each
FIRST_MS, UPDATE_MS, CORE_PCT = 1_000.0, 200.0, 5.0


@dataclass(frozen=True, slots=True)
class Measured:
    """``most``: wanted; None where nothing is."""

    what: str
    value: float
    unit: str
    most: float | None = None

    @property
    def is_missed(self) -> bool:
        return self.most is not None and self.value > self.most

    def __str__(self) -> str:
        wanted = "" if self.most is None else f"{self.most:,.0f} {self.unit}"
        return f"| {self.what} | {self.value:,.1f} {self.unit} | {wanted} |"


def write_bot(state: Path, bot_id: str, bars: int) -> None:
    """A year of decisions of three pairs and of equity, trades with their orders and fills, a status and a log."""
    path = state / f"{bot_id}_mock.journal.sqlite"
    with Journal.open(path, bot_id=bot_id, mode="mock", account="benchmark") as journal:
        journal.start_run(started=START, config_sha256="0" * 64, code_version="0.1.0")
        with journal.transaction():
            for bar in range(bars):
                write_bar(journal, bar)
        write_states(journal, state, bot_id, bars)


def write_bar(journal: Journal, bar: int) -> None:
    when = START + timedelta(hours=bar)
    journal.record_equity(when, 10_000.0 + bar % 97)
    for place, pair_id in enumerate(PAIRS):
        zscore = (bar * (place + 3) % 80) / 10.0 - 4.0
        journal.record_decision(Decision(when, pair_id, zscore / 100, zscore, 0.9, "rule", "no", "inside"))
    if bar % BARS_OF_A_TRADE == BARS_OF_A_TRADE - 1:
        write_trade(journal, PAIRS[bar // BARS_OF_A_TRADE % len(PAIRS)], when)


def write_trade(journal: Journal, pair_id: str, left: datetime) -> None:
    """Four orders, each filled, and the trade that they make."""
    entered, ref, one = left - timedelta(hours=5), f"{pair_id}{left:%j%H}", Decimal("0.1")
    for action, when, sides in (("enter", entered, (Side.BUY, Side.SELL)), ("exit", left, (Side.SELL, Side.BUY))):
        for leg, (symbol, side) in enumerate(zip(symbols_of(pair_id), sides, strict=True)):
            order_id, time_ms = f"{ref}-{action}-{leg}", int(when.timestamp() * 1000)
            journal.write_intent(
                Intent(
                    client_order_id=order_id,
                    pair_id=pair_id,
                    ref=ref,
                    action=action,
                    leg=leg,
                    symbol=symbol,
                    side=side,
                    amount=one,
                    created_ms=time_ms,
                    reference_price=100.0,
                )
            )
            journal.record_fill(
                Fill(order_id, order_id, order_id, symbol, side, one, Decimal(100), Decimal("0.01"), time_ms + 300),
                pair_id,
                ref,
            )
            journal.update_intent(order_id, state=IntentState.DONE, filled=one, average=Decimal(100))
    legs = tuple(
        LegRecord(symbol, quantity, Decimal(100), Decimal(101), quantity, Decimal("-0.02"), Decimal(0), Decimal(0))
        for symbol, quantity in zip(symbols_of(pair_id), (one, -one), strict=True)
    )
    journal.save_trade(TradeRecord(pair_id, "long", entered, left, -2.1, -0.4, "reversion", False, legs, Decimal(0)))


def symbols_of(pair_id: str) -> list[str]:
    return [f"{name}USDT" for name in pair_id.split("_")]


SYMBOLS = [symbol for pair_id in PAIRS for symbol in symbols_of(pair_id)]


def write_states(journal: Journal, state: Path, bot_id: str, bars: int) -> None:
    log = state / f"{bot_id}.log"
    log.write_text((LOG_LINE * 19 + ALARM_LINE) * 100)
    (state / "errors.log").write_text(ALARM_LINE * 2_000)
    levels = {pair_id: {"entry": 2.0, "exit": 0.5, "stop": 4.0} for pair_id in PAIRS}
    names = {pair_id: symbols_of(pair_id) for pair_id in PAIRS}
    record = {"bar_hours": 1.0, "symbols": SYMBOLS, "pairs": names, "levels": levels, "log_file": str(log)}
    record |= {"error_file": str(state / "errors.log")}
    journal.save_risk_state(CONFIG_KEY, record | {"name": "year.json", "sha256": "0" * 64, "config": {}})
    journal.save_risk_state(GUARD_KEY, RiskState(peak_equity=10_096.0, equity=10_000.0).snapshot())
    mark(journal, bars)


def copy_bot(state: Path, source_id: str, bot_id: str) -> None:
    """The same year under another name."""
    source, target = (state / f"{one}_mock.journal.sqlite" for one in (source_id, bot_id))
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)
        written.execute("UPDATE meta SET bot_id = ?", (bot_id,))
        written.execute("UPDATE risk_state SET value = replace(value, ?, ?)", (f"{source_id}.log", f"{bot_id}.log"))
        written.commit()
    (state / f"{bot_id}.log").write_bytes((state / f"{source_id}.log").read_bytes())


def mark(journal: Journal, bars: int) -> None:
    """What a bar leaves: a page that nothing has happened to would not be sent again."""
    when = utc_text(START + timedelta(hours=bars))
    limits = [{"name": f"limit_{number}", "used": 0.1 * number, "limit": 1.0} for number in range(10)]
    status = {"time": when, "equity": 10_000.0, "limits": limits, "last_bars": dict.fromkeys(SYMBOLS, when)}
    journal.save_risk_state(STATUS_KEY, status | {"is_market_up": True, "longest_unhedged_s": bars / 1000})


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(ask: Callable[[], httpx.Response]) -> float:
    """Milliseconds of an answer that was one."""
    begun = time.perf_counter()
    assert ask().status_code == 200
    return 1000.0 * (time.perf_counter() - begun)


class Markers:
    """Bots that live on: another bar of each, and a line in its log, before each look."""

    def __init__(self, state: Path, bots: int, bars: int) -> None:
        self._bars = bars
        self._logs = [state / f"{number:04d}.log" for number in range(bots)]
        self._open = ExitStack()
        self._journals = [self._opened(state, f"{number:04d}") for number in range(bots)]

    def _opened(self, state: Path, bot_id: str) -> Journal:
        path = state / f"{bot_id}_mock.journal.sqlite"
        journal = self._open.enter_context(Journal.open(path, bot_id=bot_id, mode="mock", account="benchmark"))
        journal.resume_run()
        return journal

    def next_bar(self) -> None:
        self._bars += 1
        for journal in self._journals:
            journal.record_equity(START + timedelta(hours=self._bars), 10_000.0 + self._bars % 97)
            mark(journal, self._bars)
        for log in self._logs:
            with log.open("a") as file:
                file.write(LOG_LINE)

    def close(self) -> None:
        self._open.close()


def load_of(client: httpx.Client, markers: Markers, pid: int, path: str, seconds: float) -> float:
    """Per cent of one core while one page is open."""
    before, begun = cpu_s(pid), time.perf_counter()
    while time.perf_counter() - begun < seconds:
        markers.next_bar()
        client.get(path)
        time.sleep(EVERY_S)
    return 100.0 * (cpu_s(pid) - before) / (time.perf_counter() - begun)


def measure(state: Path, bots: int, bars: int, seconds: float) -> list[Measured]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "management.webgui.app", "--state", str(state), "--port", str(port)]
    panel = subprocess.Popen(command, stdout=subprocess.PIPE)
    markers = Markers(state, bots, bars)
    try:
        assert panel.stdout is not None
        panel.stdout.readline()
        token = (state / "panel.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=60) as client:
            _until_it_listens(client)
            return _rows(client, markers, panel.pid, seconds)
    finally:
        panel.kill()
        panel.wait()
        panel.stdout and panel.stdout.close()
        markers.close()


def _until_it_listens(client: httpx.Client) -> None:
    while True:
        try:
            client.get("/login")
            return
        except httpx.TransportError:
            time.sleep(0.05)


def _rows(client: httpx.Client, markers: Markers, pid: int, seconds: float) -> list[Measured]:
    rows = []
    first = {path: timed(lambda path=path: client.get(path)) for path in ("/", "/bots/0000_mock", "/metrics")}
    rows += [Measured(f"first answer of {path}", ms, "ms", FIRST_MS) for path, ms in first.items()]
    for path in ("/?part=live", "/bots/0000_mock?part=live", "/metrics"):
        times = []
        for _ in range(ROUNDS):
            markers.next_bar()
            times.append(timed(lambda path=path: client.get(path)))
        rows.append(Measured(f"update of {path}, median", statistics.median(times), "ms", UPDATE_MS))
        rows.append(Measured(f"update of {path}, worst of {ROUNDS}", max(times), "ms"))
    for path in ("/?part=live", "/bots/0000_mock?part=live"):
        share = load_of(client, markers, pid, path, seconds)
        rows.append(Measured(f"one core, while {path} is open", share, "%", CORE_PCT))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bots", type=int, default=20)
    parser.add_argument("--bars", type=int, default=8_760)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long a page is left open")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        write_bot(state, "0000", options.bars)
        for number in range(1, options.bots):
            copy_bot(state, "0000", f"{number:04d}")
        size = sum(path.stat().st_size for path in state.glob("*.sqlite")) / 1e6
        print(f"{options.bots} bots, {options.bars:,} bars each, journals of {size:.0f} MB\n")
        print("| what | measured | wanted |\n|---|---|---|")
        rows = measure(state, options.bots, options.bars, options.seconds)
    print("\n".join(map(str, rows)))
    return 1 if any(row.is_missed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
