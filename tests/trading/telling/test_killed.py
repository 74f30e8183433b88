"""SIGKILL of a bot that tells: what was told is not told again, and what was not told is told by the next process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.conftest import PROJECT
from tests.notifications.channels import wait_until
from tests.notifications.web_server import WebServer
from tests.trading.runs import write_config

PATIENCE_S = 120.0


def start(config: Path, address: str) -> subprocess.Popen[bytes]:
    environ = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "NOTIFY_WEBHOOK_URLS": f"json://{address}/told"}
    command = [sys.executable, str(PROJECT / "trading_bot.py"), str(config)]
    with (config.parent / "out.txt").open("ab") as out:
        return subprocess.Popen(command, cwd=config.parent, env=environ, stdout=out, stderr=out)


def test_a_bot_that_was_killed_tells_everything_once(tmp_path: Path) -> None:
    """Only what was on its way when the kill came is told twice: nobody knows whether it had arrived."""
    notify_on = ["trade_entry", "trade_exit", "daily_summary"]
    section = {"enabled": True, "virtual_time": "full", "webhook": {"enabled": True, "notify_on": notify_on}}
    config = write_config(tmp_path, mock={"bars": 290, "seed": 7}, data={"lookback_bars": 200}, notifications=section)
    with WebServer().serving() as server:
        first = start(config, server.address)
        wait_until(lambda: len(server.asked) >= 2)
        server.release.clear()
        begun = len(server.asked)
        wait_until(lambda: len(server.asked) > begun)  # one is on its way now
        first.send_signal(signal.SIGKILL)
        first.wait(PATIENCE_S)
        (_, _, unanswered) = server.asked[-1]
        server.release.set()
        second = start(config, server.address)
        assert second.wait(PATIENCE_S) == 0, (tmp_path / "out.txt").read_text()
    told = Counter(body["title"] for _, _, body in server.asked)
    again = {title for title, times in told.items() if times > 1}
    assert again <= {unanswered["title"]} and told[unanswered["title"]] == 2
    assert any("opened" in title for title in told) and any("closed" in title for title in told)
