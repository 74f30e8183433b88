"""The soak says what it found in one line, and says the same again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.reliability import soak
from tests.reliability.places import Violation


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, on a matrix of one operation."""
    monkeypatch.setattr(soak, "OPERATIONS", ["enter"])
    monkeypatch.setitem(soak.ONCE, "enter", [("ok", "timeout_after")])
    monkeypatch.setattr(soak, "TWICE", {})
    monkeypatch.setattr(soak, "ProcessPoolExecutor", OnePool)
    monkeypatch.setattr(soak, "model", lambda part: [(part[0], ())])


class OnePool:
    def __init__(self, jobs: int, **terms: object) -> None: ...

    def __enter__(self) -> OnePool:
        return self

    def __exit__(self, *error: object) -> None: ...

    def map(self, work, parts):
        return map(work, parts)


def last_line(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_same_arguments_give_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for _ in range(2):
        assert soak.main(["--seeds", "2", "--kills", "0"]) == 0
        lines.append(last_line(capsys))
    first, again = lines
    assert first == again
    assert first["seeds"] == 2 and first["violations"] == 0 and first["by_invariant"] == {}
    assert first["scenarios"] > 10 and first["kills"] == 0 and len(first["hash"]) == 64
    assert 0.0 < first["worst_unhedged_s"] < 300.0


def test_a_soak_that_was_cut_short_goes_on_from_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep = ["--kills", "0", "--keep", str(tmp_path)]
    assert soak.main(["--seeds", "2", *keep]) == 0
    whole = last_line(capsys)
    monkeypatch.setattr(soak, "live_through", None)  # nothing is played again
    assert soak.main(["--seeds", "2", *keep]) == 0
    assert last_line(capsys) == whole


def test_a_violation_is_told_by_its_invariant_and_by_the_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ("one cell", (Violation("I1", "sent twice"), Violation("I3", "differs")), "", 0.0)
    monkeypatch.setattr(soak, "matrix_part", lambda part: [broken])
    assert soak.main(["--seeds", "0", "--kills", "0"]) == 1
    line = last_line(capsys)
    assert line["violations"] == 2 and line["by_invariant"] == {"I1": 1, "I3": 1}
