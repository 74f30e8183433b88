"""The way of every request, over HTTP or WebSocket: limits, key, signature, answer in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from brokers.desk.keys import KeyRing
from brokers.desk.limits import RateMeter
from brokers.desk.params import Params
from brokers.desk.refusals import no_such_path, status_unknown, told
from brokers.desk.routes import Routes
from ccxt_bt_bridge.errors import ExchangeUnreachable


class FrontDesk:
    """``backend_timeout_s``: after so long the answer is "status unknown" (-1007), while the work goes on."""

    def __init__(
        self,
        routes: Routes,
        keys: KeyRing,
        meter: RateMeter,
        now_ms: Callable[[], int],
        *,
        backend_timeout_s: float,
    ) -> None:
        self.routes, self._keys, self._meter, self._now_ms = routes, keys, meter, now_ms
        self._backend_timeout_s = backend_timeout_s
        self._at_work: set[asyncio.Task[Any]] = set()

    async def answer(self, method: str, path: str, params: Params, *, api_key: str | None, ip: str) -> Any:
        """What the endpoint answers. Raises ``Refusal`` or ``NoAnswer``."""
        route = self.routes.get((method, path))
        if route is None:
            raise no_such_path(path)
        self._meter.charge(weight=route.weight, orders=route.orders)
        if route.security != "open":
            params.key = self._keys.known(api_key, permission=route.permission, ip=ip)
        if route.security == "signed":
            self._keys.check_signature(params.key, params)
        return await self._in_time(route.answer(params))

    async def close(self) -> None:
        """Drop what is still at work."""
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    async def _in_time(self, work: Coroutine[Any, Any, Any]) -> Any:
        task = asyncio.get_running_loop().create_task(work)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        done, _ = await asyncio.wait((task,), timeout=self._backend_timeout_s)
        if not done:
            raise status_unknown()
        try:
            return task.result()
        except ExchangeUnreachable as error:
            raise told(str(error), self._now_ms()) from None
