"""Set-up on machines of every kind, played with stand-ins for Python, uv and make."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CHOOSE = PROJECT / "tools" / "choose_python.sh"

# A stand-in for Python: {fits} and {complete} are the exit codes of the two questions that the chooser asks. It makes
# environments that hold a copy of itself, "installs" uv as a script, and writes down what it was asked to do.
PYTHON = """\
#!/bin/sh
case "$*" in
    *version_info*) exit {fits} ;;
    *ensurepip*) exit {complete} ;;
    --version) echo "Python 3.9.1" ;;
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo venv >> log ;;
    "-m pip install"*) printf '#!/bin/sh\\necho "uv $*" >> log\\nexit 0\\n' > .venv/bin/uv; chmod +x .venv/bin/uv ;;
    "-m pip config"*) exit 1 ;;
    "-m compileall"*) ;;
    *) echo "python $*" >> log ;;
esac
"""


def stand_in(folder: Path, name: str, *, fits: bool = True, complete: bool = True) -> Path:
    path = folder / name
    path.write_text(PYTHON.format(fits=int(not fits), complete=int(not complete)))
    path.chmod(0o755)
    return path


def choose(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(CHOOSE)], env={"PATH": str(folder), **environ}, capture_output=True, text=True, timeout=30
    )


def test_the_newest_python_that_fits_is_chosen(tmp_path: Path) -> None:
    stand_in(tmp_path, "python3.13", fits=False)  # a shim of a version that is not installed
    stand_in(tmp_path, "python3", fits=True)
    wanted = stand_in(tmp_path, "python3.12")
    assert choose(tmp_path).stdout.strip() == str(wanted)


def test_python_from_the_environment_is_taken_and_no_other(tmp_path: Path) -> None:
    stand_in(tmp_path, "python3.12")
    (tmp_path / "my pythons").mkdir()
    mine = stand_in(tmp_path / "my pythons", "python")
    assert choose(tmp_path, PYTHON=str(mine)).stdout.strip() == str(mine)
    old = stand_in(tmp_path / "my pythons", "old", fits=False)
    refused = choose(tmp_path, PYTHON=str(old))
    assert refused.returncode == 1 and refused.stdout == ""
    assert f"wanted Python 3.11, 3.12 or 3.13; PYTHON={old} is Python 3.9.1" in refused.stderr


def test_a_python_without_ensurepip_is_passed_over_or_explained(tmp_path: Path) -> None:
    stand_in(tmp_path, "python3.12", complete=False)
    refused = choose(tmp_path)
    assert refused.returncode == 1
    assert "python3.12 cannot make virtual environments" in refused.stderr and "python3-venv" in refused.stderr
    whole = stand_in(tmp_path, "python3")
    assert choose(tmp_path).stdout.strip() == str(whole)


def test_no_python_at_all_is_a_sentence(tmp_path: Path) -> None:
    refused = choose(tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("wanted Python 3.11, 3.12 or 3.13, found none")


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A fresh clone, as far as set-up looks at it, and a Python stand-in to make its environment with."""
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(PROJECT / name, tmp_path)
    for folder in ("constraints", "tools"):
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    stand_in(tmp_path, "python3.11")
    return tmp_path


def make(folder: Path, *arguments: str) -> list[str]:
    """Run make there; returns what the stand-ins were asked to do since the last call."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "UV_", "PIP_"))}
    environ = inherited | {"PYTHON": str(folder / "python3.11")}
    done = subprocess.run(["make", *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    log = folder / "log"
    lines = log.read_text().splitlines()
    log.unlink()
    return lines


def test_make_run_sets_up_once_and_runs_each_time(fresh: Path) -> None:
    made, installed, ran = make(fresh, "run")
    assert made == "venv" and ran.strip() == "python trading_bot.py 0001.json"
    assert "--compile-bytecode" in installed and "--constraints constraints/packages.txt" in installed
    assert make(fresh, "run", "CONFIG=my.json", "ARGS=--json out.json") == [
        "python trading_bot.py my.json --json out.json"
    ]


def test_make_test_adds_the_tools_once(fresh: Path) -> None:
    make(fresh, "run")
    installed, ran = make(fresh, "test")
    assert installed.endswith("--editable .[dev]") and ran.startswith("python -m pytest -n 3")
    assert len(make(fresh, "test")) == 1


def test_changed_locks_are_installed_in_the_environment_that_is_there(fresh: Path) -> None:
    make(fresh, "run")
    stamp = (fresh / ".venv" / ".installed").stat().st_mtime
    os.utime(fresh / "constraints" / "packages.txt", (stamp + 5, stamp + 5))
    asked = make(fresh, "run")
    assert [line.split()[0] for line in asked] == ["uv", "python"]


@pytest.mark.parametrize("code", [0, 2])
def test_ci_runs_make_test_and_fails_with_it(tmp_path: Path, code: int) -> None:
    maker = tmp_path / "make"
    maker.write_text(f'#!/bin/sh\necho "$PWD $*"\nexit {code}\n')
    maker.chmod(0o755)
    environ = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([PROJECT / ".ci" / "run"], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (code, f"{PROJECT} test")
