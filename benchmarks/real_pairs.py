"""How long a config takes through the backtest, and with ``--bot`` through the bot in virtual time.

``python benchmarks/real_pairs.py [CONFIG] [--data DIR] [--bot] [--profile]``; ``--profile`` prints where the bot's two
threads spend their CPU time (and is slower by far). The bot writes into a temporary folder.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "src"))

from trading.backtesting.backtest import run_backtest  # noqa: E402
from trading.config.loader import load_config  # noqa: E402
from trading.live_trading_bot import LiveTradingBot  # noqa: E402
from trading.market_input import DataChoice, market_input  # noqa: E402
from trading.records import RunResult  # noqa: E402

PROFILE_ROWS = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", type=Path, default=PROJECT / "config" / "trading" / "real_pairs_1h.json")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--bot", action="store_true")
    parser.add_argument("--profile", action="store_true")
    wanted = parser.parse_args()
    path, choice = wanted.config.resolve(), DataChoice(wanted.data.resolve() if wanted.data else None)
    config = load_config(path, environ={})
    market = market_input(config, choice)
    tell("backtest", lambda: run_backtest(config, market).result)
    if wanted.bot or wanted.profile:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            run = LiveTradingBot(path, choice=choice).run
            tell("bot", profiled(run) if wanted.profile else run)


def tell(what: str, run: Callable[[], RunResult]) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    result = run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    thousands = result.bars / 1000
    print(
        f"{what}: {cpu:.2f} CPU s, {wall:.2f} s; {result.bars} steps, {len(result.trades)} trades; "
        f"per 1,000 steps {cpu / thousands:.3f} CPU s, {wall / thousands:.3f} s"
    )


def profiled(run: Callable[[], RunResult]) -> Callable[[], RunResult]:
    """``run`` with a profile of CPU time for its own thread and for each thread it starts, printed at the end."""

    def run_profiled() -> RunResult:
        profiles = {"main": cProfile.Profile(time.thread_time)}
        plain_run = threading.Thread.run

        def run_thread(thread: threading.Thread) -> None:
            profiles[thread.name] = cProfile.Profile(time.thread_time)
            profiles[thread.name].runcall(plain_run, thread)

        threading.Thread.run = run_thread  # type: ignore[method-assign]
        result = profiles["main"].runcall(run)
        threading.Thread.run = plain_run  # type: ignore[method-assign]
        for name, profile in profiles.items():
            print(f"thread {name}")
            pstats.Stats(profile).sort_stats("cumtime").print_stats(PROFILE_ROWS)
        return result

    return run_profiled


if __name__ == "__main__":
    main()
