"""HTTP requests: from the wire to the front desk and back, with the faults in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from brokers.desk.front import FrontDesk
from brokers.desk.limits import RateMeter
from brokers.desk.params import Params
from brokers.desk.refusals import NoAnswer, Refusal
from brokers.desk.routes import Route
from brokers.desk.wire_plan import WirePlan
from brokers.desk.wire_replies import WireReplies, raw_reply

DECLARATION_PATH = "/desk"


class RestDoor:
    """``declare``: what ``GET /desk`` answers, which no exchange but this one does."""

    def __init__(
        self,
        front: FrontDesk,
        meter: RateMeter,
        plan: WirePlan,
        replies: WireReplies,
        *,
        now_ms: Callable[[], int],
        declare: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._front, self._meter, self._plan, self._replies = front, meter, plan, replies
        self._now_ms, self._declare = now_ms, declare

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.path == DECLARATION_PATH:
            return web.json_response(self._declare())
        params = Params.parse(request.rel_url.raw_query_string, await request.text())
        route = self._front.routes.get((request.method, request.path))
        operation, symbol = route.operation if route else "", params.get("symbol") or None
        fault = self._plan.strike(operation, symbol, self._now_ms())
        if fault is None:
            return await self._respond(request, route, params)
        return await self._replies.reply(fault, request, lambda: self._respond(request, route, params))

    async def _respond(self, request: web.Request, route: Route | None, params: Params) -> web.Response:
        api_key, ip = request.headers.get("X-MBX-APIKEY"), request.remote or ""
        counts, orders = {}, route.orders if route else 0
        try:
            body = await self._front.answer(request.method, request.path, params, api_key=api_key, ip=ip)
            status = 200
        except Refusal as refusal:
            body, status, counts = refusal.body, refusal.status, refusal.headers
        except NoAnswer:
            return raw_reply(request, b"")
        return web.json_response(body, status=status, headers=self._meter.headers(orders=orders) | counts)
