"""What makes a bot well enough for its heartbeat."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from tests.ccxt_bt_bridge.test_hub import started
from trading.risk_guard import Breaker
from trading.telling.health import Wellness


def path(
    loop, *, breaker: Breaker = Breaker.CLOSED, is_up: bool = True, stale: tuple[str, ...] = ()
) -> SimpleNamespace:
    progress = SimpleNamespace(is_market_up=is_up)
    return SimpleNamespace(
        loop=loop,
        session=SimpleNamespace(progress=progress, stale_pairs=stale),
        floor=SimpleNamespace(guard=SimpleNamespace(breaker=breaker)),
    )


@pytest.mark.parametrize(
    ("terms", "is_well"),
    [
        ({}, True),
        ({"breaker": Breaker.REDUCE_ONLY}, True),
        ({"breaker": Breaker.HALTED}, False),
        ({"is_up": False}, False),
        ({"stale": ("A_B",)}, False),
    ],
)
def test_a_halt_a_lost_market_and_stale_pairs_are_not_well(terms, is_well):
    with started(1.0) as loop:
        assert Wellness(path(loop, **terms))() is is_well


def test_a_loop_that_does_not_answer_is_not_well(monkeypatch):
    monkeypatch.setattr("trading.telling.health.PATIENCE_S", 0.05)
    with started(1.0) as loop:
        release = threading.Event()
        loop.loop.call_soon_threadsafe(release.wait, 20.0)
        with pytest.raises(TimeoutError):
            Wellness(path(loop))()
        release.set()
