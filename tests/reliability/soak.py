"""More of every proof than a test run has time for: ``make soak SEEDS=n KILLS=m [KEEP=folder]``.

With a folder to keep what is done in, a soak that was cut short goes on from there with the same code. Prints how far
it is, and ends with one line of JSON; the exit code is 1 when an invariant was broken. The same arguments give the same
``hash``: what depends on the wall clock (the kills) is not in it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.reliability import bot_days, machines
from tests.reliability.cells import OPERATIONS, cells, cells_twice
from tests.reliability.conftest import MEMORY
from tests.reliability.days import live_through
from tests.reliability.killing import kill_again_and_again
from tests.reliability.machines import MACHINES, run
from tests.reliability.places import Violation
from tests.reliability.test_crash_matrix import ONCE, TWICE
from tests.trading.execution.engine_rig import empty_journal, fast_files

PROJECT = Path(__file__).resolve().parents[2]
CHUNK = 25
DENSITIES = 3  # of three days one has twice and one three times the faults and deaths of a day in the tests
BOT_SHARE = 20  # one day with Backtrader for so many of the engine alone


@dataclass
class Tally:
    """What has been found so far."""

    scenarios: int = 0
    seeds: int = 0
    kills: int = 0
    worst_unhedged_s: float = 0.0
    violations: list[str] = field(default_factory=list)
    by_invariant: Counter[str] = field(default_factory=Counter)
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, name: str, found: Iterable[Violation], *, digest: str = "", worst_s: float = 0.0) -> None:
        self.scenarios += 1
        self.worst_unhedged_s = max(self.worst_unhedged_s, worst_s)
        self.digest.update(f"{name} {digest}".encode())
        for violation in found:
            self.by_invariant[violation.invariant] += 1
            self.violations.append(f"{name}: {violation}")

    def line(self) -> str:
        return json.dumps(
            {
                "scenarios": self.scenarios,
                "seeds": self.seeds,
                "kills": self.kills,
                "violations": len(self.violations),
                "by_invariant": dict(sorted(self.by_invariant.items())),
                "worst_unhedged_s": round(self.worst_unhedged_s, 3),
                "hash": self.digest.hexdigest(),
            }
        )


def soak(*, seeds: int, kills: int, examples: int, jobs: int, keep: Path | None = None) -> Tally:
    tally = Tally()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:

        def done(what: str, work: Callable[[Any], list[Any]], parts: Iterable[Any]) -> Iterator[list[Any]]:
            return _told(what, pool.map(partial(_kept, keep, work), list(parts)))

        for rows in done("crash matrix", matrix_part, _matrix_parts()):
            for name, found, digest, worst_s in rows:
                tally.add(name, found, digest=digest, worst_s=worst_s)
        for rows in done("days", days, _chunks(seeds)):
            for day in rows:
                tally.seeds += 1
                tally.add(f"day {day.seed}", day.violations, digest=day.digest, worst_s=day.worst_unhedged_s)
        for rows in done("days with Backtrader", days_of_the_bot, _chunks(-(-seeds // BOT_SHARE))):
            for day in rows:
                tally.add(f"bot day {day.seed}", day.violations, digest=day.digest)
        for rows in done("stateful models", model, [(one.__name__, examples) for one in MACHINES]):
            for name, found in rows:
                tally.add(name, found)
    if kills:
        with tempfile.TemporaryDirectory() as folder:
            killed = kill_again_and_again(Path(folder), kills=kills)
        tally.kills = killed.kills
        tally.add("kills", killed.violations)
        print(f"kills: {killed.kills}, {killed.mid_order} of them with an order under way", flush=True)
    return tally


def matrix_part(part: tuple[str, tuple[str, str], bool]) -> list[tuple[str, tuple[Violation, ...], str, float]]:
    """The last of ``part``: the process dies a second time, in its recovery."""
    operation, outcomes, twice = part
    play = cells_twice if twice else cells
    with _desk() as (folder, template):
        return [
            (str(cell), played.violations, str(played.points), played.worst_unhedged_s)
            for cell, played in play(folder, template, operation, outcomes)
        ]


def days(seeds: range) -> list[Any]:
    with _desk() as (folder, template):
        return [live_through(folder, template, seed, density=1 + seed % DENSITIES) for seed in seeds]


def model(part: tuple[str, int]) -> list[tuple[str, tuple[Violation, ...]]]:
    name, examples = part
    try:
        run(getattr(machines, name), examples=examples)
    except AssertionError as error:
        return [(name, (Violation("I3", f"the model found {error!r}"),))]
    return [(f"{name} {examples}", ())]


def days_of_the_bot(seeds: range) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        return [bot_days.live_through(Path(folder) / str(seed), seed) for seed in seeds]


@contextmanager
def _desk() -> Iterator[tuple[Path, Path]]:
    """A folder with an empty journal, and files that cost little."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name, fast_files():
        folder = Path(name)
        yield folder, empty_journal(folder / "template.sqlite")


def _kept(folder: Path | None, work: Callable[[Any], list[Any]], part: Any) -> list[Any]:
    """What ``work`` makes of ``part``, from the folder if an earlier process has made it."""
    if folder is None:
        return work(part)
    file = folder / hashlib.sha256(f"{work.__name__} {part}".encode()).hexdigest()
    if not file.exists():
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(pickle.dumps(work(part)))
        unfinished.replace(file)
    return pickle.loads(file.read_bytes())  # type: ignore[no-any-return]


def _folder_of_this_code(folder: Path) -> Path:
    """Where parts are kept that this very code has made."""
    digest = hashlib.sha256()
    for file in sorted(path for room in ("src", "tests") for path in (PROJECT / room).rglob("*.py")):
        digest.update(file.read_bytes())
    place = folder / digest.hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    return place


def _matrix_parts() -> Iterator[tuple[str, tuple[str, str], bool]]:
    for twice, table in enumerate((ONCE, TWICE)):
        yield from ((operation, one, bool(twice)) for operation in OPERATIONS for one in table.get(operation, ()))


def _chunks(count: int) -> list[range]:
    return [range(begin, min(begin + CHUNK, count)) for begin in range(0, count, CHUNK)]


def _told(what: str, parts: Iterable[list[Any]]) -> Iterator[list[Any]]:
    done = 0
    for rows in parts:
        done += len(rows)
        print(f"{what}: {done}", flush=True)
        yield rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10_000, help="days of the engine (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=200, help="times SIGKILL (default: %(default)s)")
    parser.add_argument("--examples", type=int, default=1_000, help="of each stateful model (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="go on from what an earlier call has done there")
    given = parser.parse_args(arguments)
    keep = given.keep and _folder_of_this_code(given.keep)
    tally = soak(seeds=given.seeds, kills=given.kills, examples=given.examples, jobs=given.jobs, keep=keep)
    for violation in tally.violations:
        print(violation)
    print(tally.line())
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
