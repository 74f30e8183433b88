"""Fifty days of the whole bot: strategy, Backtrader, bridge and engine, on an exchange with faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.bot_days import live_through

SEEDS = 50
SHARD = 5


@pytest.mark.parametrize("begin", range(0, SEEDS, SHARD))
def test_a_day_with_backtrader_ends_with_journal_and_exchange_equal(
    begin: int, tmp_path: Path, tell: Callable[..., None]
) -> None:
    days = [live_through(tmp_path / str(seed), seed) for seed in range(begin, begin + SHARD)]
    broken = [f"seed {day.seed}: {violation}" for day in days for violation in day.violations]
    tell(
        "seeded days with Backtrader",
        days=len(days),
        orders=sum(day.orders for day in days),
        trades=sum(day.trades for day in days),
        violations=len(broken),
    )
    assert not broken, "\n".join(broken)
    assert any(day.orders for day in days)


def test_the_same_seed_gives_the_same_day_with_backtrader(tmp_path: Path) -> None:
    first, again, other = (live_through(tmp_path / name, seed) for name, seed in (("a", 5), ("b", 5), ("c", 6)))
    assert first == again
    assert first.digest != other.digest
