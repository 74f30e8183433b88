"""An explanation as text for a terminal, a log or a message; as JSON values for machines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC
from itertools import groupby
from typing import Any

from trading.reports.rows import trade_row
from trading.reports.why import Explanation, Step
from trading.utc_text import utc_text

UNCHANGED = 4  # bars on which a rule said the same; more than that are told in one line


def why_text(why: Explanation, *, width: int = 110) -> str:
    """Each step with its time in UTC; long stretches of a rule that changed nothing in one line."""
    head = f"{why.pair_id}, run {why.run}, decided {why.time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    title = head if why.number is None else f"trade {why.number}: {head}"
    lines = [title, textwrap.fill(why.verdict, width, initial_indent="  ", subsequent_indent="  "), ""]
    for step in _folded(why.steps):
        label = f"{step.time.astimezone(UTC):%m-%d %H:%M:%S}  {step.kind:<7} "
        lines.append(textwrap.fill(step.text, width, initial_indent=label, subsequent_indent=" " * len(label)))
    return "\n".join(lines)


def why_json(why: Explanation) -> dict[str, Any]:
    """Every step, nothing folded."""
    return {
        "pair_id": why.pair_id,
        "run": why.run,
        "time": utc_text(why.time),
        "number": why.number,
        "verdict": why.verdict,
        "steps": [{"time": utc_text(step.time), "kind": step.kind, "text": step.text} for step in why.steps],
        "trade": None if why.trade is None else trade_row(why.trade),
    }


def _folded(steps: Sequence[Step]) -> Iterator[Step]:
    """A bar and its rule's answer as one; bars with the same kind of answer in a row as first, count and last."""
    for is_bar, group in groupby(_joined(steps), key=lambda step: step.kind == "bar"):
        rows = list(group)
        if not is_bar or len(rows) <= UNCHANGED:
            yield from rows
        else:
            yield from (rows[0], Step(rows[1].time, "…", f"{len(rows) - 2} bars more like these"), rows[-1])


def _joined(steps: Sequence[Step]) -> Iterator[Step]:
    """A bar's figures with what a rule said of them; what changes something stays a step of its own."""
    bar: Step | None = None
    for step in steps:
        if bar is not None and step.kind == "rule" and step.time == bar.time:
            kind = "bar" if _changes_nothing(step.text) else "rule"
            yield Step(step.time, kind, f"{bar.text}: {step.text}")
            bar = None
            continue
        if bar is not None:
            yield bar
        bar = step if step.kind == "bar" else None
        if bar is None:
            yield step
    if bar is not None:
        yield bar


def _changes_nothing(text: str) -> bool:
    answer = text.partition(": ")[2].partition(",")[0]
    return answer in ("no", "hold", "wait")
