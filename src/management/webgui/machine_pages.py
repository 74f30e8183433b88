"""What programs ask for, and a page of all addresses. Behind the token as everything else."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from management.bots.watching import BotWatch
from management.metrics.exposition import CONTENT_TYPE, Metrics
from management.webgui.rendering import page


def add_machine_pages(app: FastAPI, watch: BotWatch) -> None:
    told = Metrics(watch)

    @app.get("/metrics")
    def metrics() -> Response:
        """Prometheus metrics of all bots, as text"""
        return Response(told.text(), media_type=CONTENT_TYPE)

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        routes = [
            (", ".join(sorted(route.methods or ())), route.path, route.description)
            for route in request.app.routes
            if isinstance(route, APIRoute) and route.include_in_schema
        ]
        return page(request, "docs.html", routes=routes)
