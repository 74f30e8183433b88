"""How fast the panel is with twenty bots and a year of hourly bars: the first page, an update, and what it costs.

Run: python benchmarks/panel_speed.py [--bots N] [--bars N] [--seconds S]. The journals are made by the real writer, the
panel is a process of its own, and two readers ask as a browser does, every two seconds.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from trading.journal.writer import Journal
from trading.kept_config import CONFIG_KEY
from trading.records import Decision
from trading.risk.state import GUARD_KEY, RiskState
from trading.status import STATUS_KEY
from trading.utc_text import utc_text

START = datetime(2025, 1, 1, tzinfo=UTC)
PAIRS = ("ETH_BTC", "LTC_BCH", "ADA_XRP")
EVERY_S = 2.0
ROUNDS = 20


def write_bot(state: Path, number: int, bars: int) -> None:
    """A year of decisions of three pairs and of equity, a status and a log."""
    bot_id = f"{number:04d}"
    path = state / f"{bot_id}_mock.journal.sqlite"
    with Journal.open(path, bot_id=bot_id, mode="mock", account="benchmark") as journal:
        journal.start_run(started=START, config_sha256="0" * 64, code_version="0.1.0")
        with journal.transaction():
            for bar in range(bars):
                when = START + timedelta(hours=bar)
                journal.record_equity(when, 10_000.0 + bar % 97)
                for place, pair_id in enumerate(PAIRS):
                    zscore = (bar * (place + 3) % 80) / 10.0 - 4.0
                    journal.record_decision(Decision(when, pair_id, zscore / 100, zscore, 0.9, "rule", "no", "inside"))
        log = state / f"{bot_id}.log"
        log.write_text("2025-01-01T00:00:00.000Z WARNING trading.live_run alarm a line of the log\n" * 2_000)
        symbols = [f"{name}USDT" for pair_id in PAIRS for name in pair_id.split("_")]
        names = {pair_id: [f"{name}USDT" for name in pair_id.split("_")] for pair_id in PAIRS}
        levels = {pair_id: {"entry": 2.0, "exit": 0.5, "stop": 4.0} for pair_id in PAIRS}
        record = {"bar_hours": 1.0, "symbols": symbols, "pairs": names, "levels": levels, "log_file": str(log)}
        journal.save_risk_state(CONFIG_KEY, record | {"name": "year.json", "sha256": "0" * 64, "config": {}})
        journal.save_risk_state(GUARD_KEY, RiskState(peak_equity=10_096.0, equity=10_000.0).snapshot())
        mark(journal, symbols, bars)


def mark(journal: Journal, symbols: list[str], bars: int) -> None:
    """What a bar leaves: a page that nothing has happened to would not be sent again."""
    when = utc_text(START + timedelta(hours=bars))
    limits = [{"name": f"limit_{number}", "used": 0.1 * number, "limit": 1.0} for number in range(10)]
    status = {"time": when, "equity": 10_000.0, "limits": limits, "last_bars": dict.fromkeys(symbols, when)}
    journal.save_risk_state(STATUS_KEY, status | {"is_market_up": True, "longest_unhedged_s": bars / 1000})


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(ask: Callable[[], httpx.Response]) -> float:
    """Milliseconds of an answer that was one."""
    begun = time.perf_counter()
    assert ask().status_code == 200
    return 1000.0 * (time.perf_counter() - begun)


class Marker:
    """A bot that lives on: another bar before each look."""

    def __init__(self, state: Path, bars: int) -> None:
        self._state, self._bars = state, bars
        self._journal = Journal.open(
            state / "0000_mock.journal.sqlite", bot_id="0000", mode="mock", account="benchmark"
        )
        self._journal.resume_run()

    def next_bar(self) -> None:
        self._bars += 1
        self._journal.record_equity(START + timedelta(hours=self._bars), 10_000.0 + self._bars % 97)
        mark(self._journal, ["ETHUSDT", "BTCUSDT"], self._bars)

    def close(self) -> None:
        self._journal.close()


def load_of(client: httpx.Client, marker: Marker, pid: int, path: str, seconds: float) -> float:
    """Per cent of one core while one page is open."""
    before, begun = cpu_s(pid), time.perf_counter()
    while time.perf_counter() - begun < seconds:
        marker.next_bar()
        client.get(path)
        time.sleep(EVERY_S)
    return 100.0 * (cpu_s(pid) - before) / (time.perf_counter() - begun)


def measure(state: Path, bars: int, seconds: float) -> list[tuple[str, str, str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "management.webgui.app", "--state", str(state), "--port", str(port)]
    panel = subprocess.Popen(command, stdout=subprocess.PIPE)
    marker = Marker(state, bars)
    try:
        assert panel.stdout is not None
        panel.stdout.readline()
        token = (state / "panel.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=60) as client:
            _until_it_listens(client)
            return _rows(client, marker, panel.pid, seconds)
    finally:
        panel.kill()
        panel.wait()
        panel.stdout and panel.stdout.close()
        marker.close()


def _until_it_listens(client: httpx.Client) -> None:
    while True:
        try:
            client.get("/login")
            return
        except httpx.TransportError:
            time.sleep(0.05)


def _rows(client: httpx.Client, marker: Marker, pid: int, seconds: float) -> list[tuple[str, str, str]]:
    rows = []
    first = {path: timed(lambda path=path: client.get(path)) for path in ("/", "/bots/0000_mock", "/metrics")}
    rows += [(f"first answer of {path}", f"{ms:.0f} ms", "1,000 ms") for path, ms in first.items()]
    for path in ("/?part=live", "/bots/0000_mock?part=live", "/metrics"):
        times = []
        for _ in range(ROUNDS):
            marker.next_bar()
            times.append(timed(lambda path=path: client.get(path)))
        rows.append((f"update of {path}, median", f"{statistics.median(times):.1f} ms", "200 ms"))
        rows.append((f"update of {path}, worst of {ROUNDS}", f"{max(times):.1f} ms", "200 ms"))
    for path in ("/?part=live", "/bots/0000_mock?part=live"):
        rows.append((f"one core, while {path} is open", f"{load_of(client, marker, pid, path, seconds):.1f} %", "5 %"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bots", type=int, default=20)
    parser.add_argument("--bars", type=int, default=8_760)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long a page is left open")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        for number in range(options.bots):
            write_bot(state, number, options.bars)
        size = sum(path.stat().st_size for path in state.glob("*.sqlite")) / 1e6
        print(f"{options.bots} bots, {options.bars:,} bars each, journals of {size:.0f} MB\n")
        print("| what | measured | wanted |\n|---|---|---|")
        for row in measure(state, options.bars, options.seconds):
            print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
