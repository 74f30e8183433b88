"""Twenty times SIGKILL to the real command line, whatever it was doing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.killing import kill_again_and_again

KILLS = 20


@pytest.mark.timeout(1_200)
def test_a_bot_killed_twenty_times_has_sent_nothing_twice_and_lost_nothing(
    tmp_path: Path, tell: Callable[..., None]
) -> None:
    killed = kill_again_and_again(tmp_path, kills=KILLS)
    tell("SIGKILL", kills=killed.kills, mid_order=killed.mid_order, violations=len(killed.violations))
    assert not killed.violations, "\n".join(map(str, killed.violations))
    assert killed.mid_order >= KILLS // 2
    assert killed.orders > 2 * KILLS
