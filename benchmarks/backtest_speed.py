"""The backtest of one pair against a plain Backtrader script of the same strategy: time, memory, and the same fills.

``python benchmarks/backtest_speed.py [--bars 50000] [--rounds 5]`` writes one seeded pair to a temporary folder and
runs the programs on it in turn, each run in an interpreter of its own. Prints the table that RESULTS.md keeps; exit
code 1 when a fill differs, the final values differ by 1e-9 of theirs, or a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from pair_case import write_case

HERE = Path(__file__).resolve().parent
PLAIN, BARE, OURS = "plain script", "plain script, stdstats=False", "this project"
PROGRAMS = {
    PLAIN: ["plain_backtrader.py"],
    BARE: ["plain_backtrader.py", "--no-observers"],
    OURS: ["tandem_backtest.py"],
}
LEAST_SPEED, MOST_MEMORY, TOLERANCE = 2.0, 1.2, 1e-9

Runs = dict[str, list[dict[str, Any]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write_case(Path(name), bars=wanted.bars, seed=wanted.seed)
        runs = alternate(Path(name), wanted.rounds)
    print_table(runs, wanted.bars)
    problems = list(complaints(runs))
    print("\n".join(problems) or "same fills, same value, goals met")
    return 1 if problems else 0


def alternate(folder: Path, rounds: int) -> Runs:
    runs: Runs = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, (program, *options) in PROGRAMS.items():
            command = [sys.executable, str(HERE / program), str(folder), *options]
            runs[name].append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return runs


def print_table(runs: Runs, bars: int) -> None:
    print("| program | run, CPU s | µs a step | times as fast | whole process, CPU s | times as fast | peak RSS, MB |")
    print("|---|---|---|---|---|---|---|")
    run_s, total_s = middle(runs[PLAIN], "run_s"), middle(runs[PLAIN], "total_s")
    for name, those in runs.items():
        run, total, peak = (middle(those, key) for key in ("run_s", "total_s", "peak_kb"))
        cells = (name, f"{run:.2f}", f"{run / bars * 1e6:.1f}", f"{run_s / run:.2f}", f"{total:.2f}")
        print("| " + " | ".join((*cells, f"{total_s / total:.2f}", f"{peak / 1024:.0f}")) + " |")
    plain, ours = runs[PLAIN][0], runs[OURS][0]
    print(f"\n{len(plain['fills'])} fills and {len(ours['fills'])} fills; {memory_ratio(runs):.2f} times the memory;")
    print(f"final value {plain['value']:.9f} and {ours['value']:.9f}, {ours['value'] - plain['value']:+.1e} apart")


def complaints(runs: Runs) -> list[str]:
    """What a run may be refused for."""
    plain, every = runs[PLAIN][0], [run for those in runs.values() for run in those]
    speed = middle(runs[PLAIN], "run_s") / middle(runs[OURS], "run_s")
    tests = (
        (any(run["fills"] != plain["fills"] for run in every), "the fills differ"),
        (any(abs(run["value"] / plain["value"] - 1.0) > TOLERANCE for run in every), "the final values differ"),
        (speed < LEAST_SPEED, f"{speed:.2f} times as fast, wanted {LEAST_SPEED}"),
        (memory_ratio(runs) > MOST_MEMORY, f"{memory_ratio(runs):.2f} times the memory, wanted at most {MOST_MEMORY}"),
    )
    return [complaint for failed, complaint in tests if failed]


def memory_ratio(runs: Runs) -> float:
    return middle(runs[OURS], "peak_kb") / middle(runs[PLAIN], "peak_kb")


def middle(runs: list[dict[str, Any]], key: str) -> float:
    return median(run[key] for run in runs)


if __name__ == "__main__":
    sys.exit(main())
