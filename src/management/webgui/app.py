"""The panel: all bots of a state folder on pages, in a process of its own. ``python app.py`` or ``tandem panel``.

Reads journals, writes nothing but commands into the bots' queues; one that hangs or dies changes nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp

from management.bots.reading import Unreadable
from management.bots.watching import BotWatch, NoSuchBot
from management.masking import Masking
from management.webgui.access import TOKEN_FILE, Access, TokenUnusable, kept_token
from management.webgui.account_pages import add_account_pages
from management.webgui.binding import Binding, BindingRefused
from management.webgui.bot_pages import add_bot_pages
from management.webgui.command_pages import add_command_pages
from management.webgui.gate import Gate
from management.webgui.machine_pages import add_machine_pages
from management.webgui.options import panel_parser
from management.webgui.rendering import page
from trading.command_line import BAD_INPUT, FAILURE, OK, ended
from trading.config.credentials import known_secrets
from trading.config.environment import process_environment
from trading.control.command_queue import CommandsUnreadable
from trading.core_dumps import forbid_core_dumps
from trading.saying import say

MOST_CONNECTIONS = 64
END_PATIENCE_S = 5
TITLES = {400: "That was no good request", 404: "Not here", 405: "Not that way", 503: "Not now"}


def create_app(watch: BotWatch, access: Access) -> FastAPI:
    """The pages alone, without the gate that every request passes."""
    app = FastAPI(title="Tandem panel", docs_url=None, redoc_url=None, default_response_class=HTMLResponse)
    add_account_pages(app, access)
    add_bot_pages(app, watch)
    add_command_pages(app, watch)
    add_machine_pages(app, watch)
    app.mount("/static", StaticFiles(packages=[("management.webgui", "static")]), name="static")
    app.add_exception_handler(AnyHTTPException, _on_refused)
    for kind, code in ((NoSuchBot, 404), (Unreadable, 503), (CommandsUnreadable, 503)):
        app.add_exception_handler(kind, _problem(code))
    app.add_exception_handler(Exception, _on_defect)
    return app


def guarded(
    watch: BotWatch, token: str, *, hosts: frozenset[str] = frozenset(), clock: Callable[[], float] = time.monotonic
) -> ASGIApp:
    """The whole panel as it is served. ``hosts``: names beside this machine's own by which it may be called."""
    access = Access(token, clock)
    return Gate(create_app(watch, access), access=access, hosts=hosts)


def server(app: ASGIApp, binding: Binding) -> uvicorn.Server:
    """Headers of a proxy are not believed: anyone on this machine can write them."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            ssl_certfile=binding.certfile,
            ssl_keyfile=binding.keyfile,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_level="warning",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=END_PATIENCE_S,
        )
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl+C; 2 when it cannot be served so, 1 when the port is taken."""
    options = panel_parser().parse_args(arguments)
    binding = Binding(
        options.host, options.port, tuple(options.name), options.certfile, options.keyfile, options.i_understand
    )
    forbid_core_dumps()
    try:
        binding.check()
        token = kept_token(options.state)
    except (BindingRefused, TokenUnusable) as problem:
        return ended(str(problem), BAD_INPUT)
    mask = Masking((token, *known_secrets(process_environment())))
    panel = server(guarded(BotWatch(options.state, mask), token, hosts=binding.hosts), binding)
    try:
        door = binding.opened()
    except OSError as problem:
        return ended(f"the panel cannot listen on {binding.host}:{binding.port} ({problem.strerror})", FAILURE)
    with door:
        url = replace(binding, port=door.getsockname()[1]).url
        say(f"panel on {url}, token in {options.state / TOKEN_FILE}; Ctrl+C ends it, and touches no bot")
        panel.run(sockets=[door])
    return OK


# what goes wrong, without traces


async def _on_refused(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, AnyHTTPException)
    return _said(request, problem.status_code, str(problem.detail))


def _problem(code: int) -> Callable[[Request, Exception], Response]:
    def answered(request: Request, problem: Exception) -> Response:
        return _said(request, code, str(problem))

    return answered


async def _on_defect(request: Request, problem: Exception) -> Response:
    return _said(request, 500, "A defect of the panel; the terminal it runs in says more. No bot is touched by it.")


def _said(request: Request, code: int, sentence: str) -> Response:
    return page(request, "problem.html", status=code, title=TITLES.get(code, "A problem"), sentence=sentence)


if __name__ == "__main__":
    sys.exit(main())
