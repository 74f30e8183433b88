"""What every test may use."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.reliability.table import pytest_terminal_summary as pytest_terminal_summary

PROJECT = Path(__file__).resolve().parents[1]
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30
LONGEST = ("test_killing.py", "test_shipped_config.py", "test_kill.py")

settings.register_profile("soak", max_examples=1_000, deadline=None)  # pytest --hypothesis-profile soak


def pytest_configure() -> None:
    """Thousands of commits in these tests wait for a disk: their folders lie in memory where there is room."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes, most of them waiting, begins first: the run does not end with one process at work."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Hypothesis draws from the constants of all our modules that are loaded: one that is loaded in the midst of a test
    changes what it draws, and it calls that flaky."""
    for module in pkgutil.walk_packages([str(PROJECT / "src")]):
        importlib.import_module(module.name)


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """``shared_data("futures_1h")``: a folder of real market data beside the project.

    Without it the test is skipped; in CI (``CI=true``) a missing folder is a failure.
    """

    def folder(name: str) -> Path:
        path = PROJECT.parent / "shared" / "data" / name
        if not path.is_dir():
            message = f"no real market data at ../shared/data/{name}"
            if os.environ.get("CI") == "true":
                pytest.fail(message)
            pytest.skip(message)
        return path

    return folder
