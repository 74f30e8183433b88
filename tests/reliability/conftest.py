"""What the proofs share."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.reliability.table import proof
from tests.trading.execution.engine_rig import empty_journal, fast_files

MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder to work in, and an empty journal to begin with."""

    folder: Path
    template: Path


@pytest.fixture(scope="session")
def _desk() -> Iterator[Desk]:
    folder = Path(tempfile.mkdtemp(prefix="proofs", dir=MEMORY if MEMORY.is_dir() else None))
    with fast_files():
        template = empty_journal(folder / "template.sqlite")
    yield Desk(folder, template)
    shutil.rmtree(folder)


@pytest.fixture
def desk(_desk: Desk) -> Iterator[Desk]:
    """Files that cost little, for the length of one test: thousands of journals come and go, and nobody reads what
    thousands of lives log."""
    logging.disable(logging.ERROR)
    with fast_files():
        yield _desk
    logging.disable(logging.NOTSET)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``tell("crash matrix", cells=300)``: a part of the table at the end."""
    return lambda name, **numbers: request.node.user_properties.append(proof(name, **numbers))
