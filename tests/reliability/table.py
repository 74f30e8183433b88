"""The table of what was proven, at the end of a test run: one line a proof, over all the workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PROOF = "proof"
Numbers = Mapping[str, float]


def proof(name: str, **numbers: float) -> tuple[str, dict[str, object]]:
    """One test's part of a proof, as a property of its report. Of numbers named ``worst…`` the greatest is told."""
    return PROOF, {"name": name, "numbers": numbers}


def lines(parts: Iterable[tuple[str, Numbers]]) -> list[str]:
    """A line for each proof, its parts put together."""
    whole: dict[str, dict[str, float]] = {}
    for name, numbers in parts:
        known = whole.setdefault(name, {})
        for what, number in numbers.items():
            together = max if what.startswith("worst") else _sum
            known[what] = together(known[what], number) if what in known else number
    return [f"{name}: {', '.join(f'{_text(n)} {what}' for what, n in row.items())}" for name, row in whole.items()]


def pytest_terminal_summary(terminalreporter) -> None:
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, [])]
    parts = [
        (value["name"], value["numbers"])
        for report in reports
        for key, value in getattr(report, "user_properties", ())
        if key == PROOF
    ]
    if parts:
        terminalreporter.section("what was proven")
        for line in sorted(lines(parts)):
            terminalreporter.write_line(line)


def _sum(one: float, other: float) -> float:
    return one + other


def _text(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.1f}"
