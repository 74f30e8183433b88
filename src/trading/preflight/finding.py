"""What a preflight has to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Grade(Enum):
    OK = "ok"
    WARNING = "warning"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result. ``remedy``: what to do, empty when all is well."""

    check: str
    grade: Grade
    message: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"check": self.check, "grade": self.grade.value, "message": self.message, "remedy": self.remedy}


def ok(check: str, message: str) -> Finding:
    return Finding(check, Grade.OK, message)


def warning(check: str, message: str, remedy: str) -> Finding:
    return Finding(check, Grade.WARNING, message, remedy)


def fails(check: str, message: str, remedy: str) -> Finding:
    return Finding(check, Grade.FAILS, message, remedy)


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """All findings of one config, in the order of the checks."""

    config: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """True when there are warnings at most."""
        return not self.of(Grade.FAILS)

    def of(self, grade: Grade) -> Sequence[Finding]:
        return [finding for finding in self.findings if finding.grade is grade]

    def as_json(self) -> dict[str, Any]:
        return {
            "config": self.config,
            "passed": self.passed,
            "checks": [finding.as_json() for finding in self.findings],
        }

    def text(self) -> str:
        """A line a finding, its remedy below it, and the sum at the end."""
        lines = [line for finding in self.findings for line in _lines(finding)]
        return "\n".join([*lines, self.summary()])

    def summary(self) -> str:
        failed, warned = len(self.of(Grade.FAILS)), len(self.of(Grade.WARNING))
        state = f"not ready: {_count(failed, 'check')} failed" if failed else "ready"
        return f"{self.config} is {state}, {_count(warned, 'warning')}"


def _lines(finding: Finding) -> list[str]:
    line = f"{finding.grade.value:<8} {finding.check:<12} {finding.message}"
    return [line, f"{'':<22}to do: {finding.remedy}"] if finding.remedy else [line]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
