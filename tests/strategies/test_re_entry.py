"""When a pair may be entered again."""

from __future__ import annotations

import pytest

from strategies.re_entry import FREE_EXITS, ReEntryGate

LATCHED, COOLDOWN, OPEN = "latched", "cooldown", None


def refusals(cooldown_bars: int, *events: object) -> list[str | None]:
    """What the gate says after every event: a text is an exit's reason, True a calm bar, False another one."""
    gate = ReEntryGate(cooldown_bars)
    said = []
    for event in events:
        gate.on_exit(event) if isinstance(event, str) else gate.on_bar(bool(event))
        said.append(gate.refusal)
    return said


TABLE = [
    ("nothing happened", 5, [False, True, False], [OPEN, OPEN, OPEN]),
    ("a reversion is free", 5, ["reversion", False, True], [OPEN, OPEN, OPEN]),
    ("a stop latches until a calm bar", 0, ["stop", False, False, True], [LATCHED, LATCHED, LATCHED, OPEN]),
    ("then the cool-down", 2, ["stop", True, False, False], [LATCHED, COOLDOWN, COOLDOWN, OPEN]),
    ("calm bars do not shorten it", 2, ["stop", True, True, True], [LATCHED, COOLDOWN, COOLDOWN, OPEN]),
    ("a calm bar before the exit does not count", 1, [True, "stop", False], [OPEN, LATCHED, LATCHED]),
    (
        "an exit in the cool-down begins anew",
        2,
        ["stop", True, "stop", False, True, False, False],
        [LATCHED, COOLDOWN, LATCHED, LATCHED, COOLDOWN, COOLDOWN, OPEN],
    ),
    ("a reversion does not open a latch", 1, ["stop", "reversion", False], [LATCHED, LATCHED, LATCHED]),
    ("nor does it end a cool-down", 2, ["stop", True, "reversion", False], [LATCHED, COOLDOWN, COOLDOWN, COOLDOWN]),
    ("once open it stays open", 1, ["stop", True, False, False, True], [LATCHED, COOLDOWN, OPEN, OPEN, OPEN]),
]  # fmt: skip


@pytest.mark.parametrize(("cooldown_bars", "events", "said"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_gates_decisions(cooldown_bars, events, said):
    assert refusals(cooldown_bars, *events) == said


@pytest.mark.parametrize("reason", ["stop", "half_life_timeout", "stop_loss", "take_profit", "trailing_stop", "time"])
def test_every_exit_but_reversion_latches(reason):
    assert refusals(0, reason) == [LATCHED]
    assert FREE_EXITS == {"reversion"}
