"""What both dialects tell anyone in the same words."""

from __future__ import annotations

from typing import Any

from brokers.desk.core import Core
from brokers.desk.limits import Limits
from brokers.desk.params import Params


class PublicEndpoints:
    def __init__(self, core: Core, limits: Limits) -> None:
        self._core, self._limits = core, limits

    async def ping(self, _: Params) -> dict[str, Any]:
        return {}

    async def time(self, _: Params) -> dict[str, Any]:
        return {"serverTime": await self._core.exchange.server_time_ms()}
