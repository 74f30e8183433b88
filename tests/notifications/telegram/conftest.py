from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.notifications.telegram_server import TelegramServer


@pytest.fixture
def server() -> Iterator[TelegramServer]:
    with TelegramServer().serving() as server:
        yield server
