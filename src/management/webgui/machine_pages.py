"""What programs ask for, and a page of all addresses. Behind the token as everything else."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute

from management.bots.watching import BotWatch
from management.metrics.exposition import CONTENT_TYPE, Metrics
from management.webgui.rendering import page


def machine_pages(watch: BotWatch) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse)
    told = Metrics(watch)

    @router.get("/metrics")
    def metrics() -> Response:
        """Prometheus metrics of all bots, as text"""
        return Response(told.text(), media_type=CONTENT_TYPE)

    @router.get("/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        routes = [
            (", ".join(sorted(route.methods or ())), route.path, route.description)
            for route in request.app.routes
            if isinstance(route, APIRoute) and route.include_in_schema
        ]
        return page(request, "docs.html", routes=routes)

    return router
