"""``tandem metrics`` as a person or a service calls it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from management import cli
from tests.conftest import PROJECT
from tests.management.sample_bots import write_bot

PATIENCE_S = 60.0


def test_metrics_are_printed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bot(tmp_path)
    assert cli.main(["metrics", "--state", str(tmp_path)]) == 0
    assert 'tandem_up{bot="0001",mode="mock"} 0.0' in capsys.readouterr().out


def test_a_folder_without_bots_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["metrics", "--state", str(tmp_path)]) == 0
    assert "tandem_up{" not in capsys.readouterr().out


def test_a_file_is_written_again_and_again_and_is_always_whole(tmp_path: Path) -> None:
    write_bot(tmp_path)
    file = tmp_path / "out" / "tandem.prom"
    command = [sys.executable, "-m", "management.cli", "metrics", "--state", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--file", str(file), "--every", "0.1"], env=os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    )
    try:
        begun, stamps = time.monotonic(), set()
        while len(stamps) < 3:
            assert time.monotonic() - begun < PATIENCE_S
            if file.exists():
                stamps.add(file.stat().st_mtime_ns)
                assert file.read_text().endswith("\n") and "tandem_slippage_ratio_count" in file.read_text()
    finally:
        process.kill()
        process.wait(PATIENCE_S)


@pytest.mark.parametrize("every", ["0", "-1", "x", "nan", "1e9"])
def test_seconds_that_are_none_are_refused(tmp_path: Path, every: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["metrics", "--state", str(tmp_path), "--every", every])
    assert stopped.value.code == 2
    assert "wanted seconds" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["metrics", "--state", str(tmp_path), "--file", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["metrics", "--state", str(tmp_path / "none")]) == 2
    assert "there is no folder" in capsys.readouterr().err
