"""A thousand days, each drawn from its seed; the same seed gives the same day, to the last event."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.reliability.conftest import Desk
from tests.reliability.days import Lived, live_through

SEEDS = 1_000
SHARD = 20
FAILED = Path(__file__).with_name("failed_seeds.txt")


def failed_days() -> list[dict[str, int]]:
    """Each as it was when it failed."""
    lines = FAILED.read_text(encoding="utf-8").splitlines()
    days = [line.partition("#")[0].split() for line in lines if line and not line.startswith("#")]
    return [dict(zip(("seed", "density", "latency_ms"), map(int, day), strict=True)) for day in days]


def assert_whole(days: Iterable[Lived], tell: Callable[..., None]) -> None:
    days = list(days)
    broken = [f"seed {day.seed}: {violation}" for day in days for violation in day.violations]
    tell(
        "seeded days of the engine",
        days=len(days),
        orders=sum(day.orders for day in days),
        crashes=sum(day.crashes for day in days),
        violations=len(broken),
        worst_unhedged_s=max(day.worst_unhedged_s for day in days),
    )
    assert not broken, "keep these seeds in failed_seeds.txt:\n" + "\n".join(broken[:20])


@pytest.mark.parametrize("begin", range(0, SEEDS, SHARD))
def test_a_day_of_faults_and_crashes_breaks_nothing(begin: int, desk: Desk, tell: Callable[..., None]) -> None:
    seeds = range(begin, begin + SHARD)
    assert_whole((live_through(desk.folder, desk.template, seed) for seed in seeds), tell)


def test_days_that_once_broke_something_are_whole(desk: Desk, tell: Callable[..., None]) -> None:
    assert_whole((live_through(desk.folder, desk.template, **day) for day in failed_days()), tell)


@pytest.mark.parametrize("seed", range(7_000, 7_004))
def test_the_same_seed_gives_the_same_day(seed: int, desk: Desk) -> None:
    first, again = (live_through(desk.folder, desk.template, seed) for _ in range(2))
    assert first == again
    assert live_through(desk.folder, desk.template, seed + 1_000).digest != first.digest
