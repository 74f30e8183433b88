"""What the brokers' tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from brokers.simulated.store import ExchangeStore

pytest.register_assert_rewrite("tests.brokers.contract")


@pytest.fixture(autouse=True)
def exchange_files_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let go of every exchange file a test opened: from Python 3.13 on, SQLite warns of one that is forgotten."""
    opened: list[ExchangeStore] = []
    construct = ExchangeStore.__init__

    def opening(store: ExchangeStore, *args: Any, **kwargs: Any) -> None:
        construct(store, *args, **kwargs)
        opened.append(store)

    monkeypatch.setattr(ExchangeStore, "__init__", opening)
    yield
    for store in opened:
        store.close()
