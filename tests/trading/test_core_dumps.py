"""A crash writes no memory to disk."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from trading.core_dumps import forbid_core_dumps
from trading.trading_bot import main


@pytest.fixture(autouse=True)
def _dumps_allowed() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


def test_nothing_is_dumped_from_now_on() -> None:
    forbid_core_dumps()
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0


def test_a_bot_forbids_it_before_it_reads_a_key() -> None:
    assert main(["no-such-config.json"]) == 2
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
