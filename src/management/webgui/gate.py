"""What every request must pass before a page sees it, and what every answer carries.

In this order: a host of ours (a foreign name that leads here is an attack), a method we serve, a body of a size we
take, an origin of ours, which a form must name, and a token or a session. Refusals are one line of text.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from management.webgui.access import Access, Answer

COOKIE = "tandem_panel"
MOST_BODY_BYTES = 16 * 1024
BODY_PATIENCE_S = 10.0
OWN_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
LOGIN_PATH, STATIC_PATH = "/login", "/static/"
METHODS = ("GET", "HEAD", "POST")
HOST_PATTERN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?")
CHALLENGE = {"WWW-Authenticate": "Bearer"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: a browser would then send "null" as the origin of our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Gate:
    """``hosts``: names by which this panel may be called, beside those of this machine itself."""

    def __init__(self, app: ASGIApp, *, access: Access, hosts: frozenset[str]) -> None:
        self._app, self._access, self._hosts = app, access, OWN_HOSTS | hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        is_head = scope["method"] == "HEAD"
        if is_head:
            scope = {**scope, "method": "GET"}
        request = Request(scope, receive)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_RAW_HEADERS]
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        refusal = self._refusal(request)
        if refusal is not None:
            await refusal(scope, receive, sending)
            return
        try:
            body = await asyncio.wait_for(_body(request), BODY_PATIENCE_S)
        except ClientDisconnect:  # nobody is left to be answered
            return
        except (_TooLarge, TimeoutError) as error:
            code = 413 if isinstance(error, _TooLarge) else 408
            await _said(code, "the request's body is too large or too slow")(scope, receive, sending)
            return
        await self._app(scope, _again(body, receive), sending)

    def _refusal(self, request: Request) -> Response | None:
        host = HOST_PATTERN.fullmatch(request.headers.get("host", ""))
        if host is None or host[1].lower() not in self._hosts:
            return _said(400, "this panel is not known by that host name")
        if request.method not in METHODS:
            return _said(405, "this panel serves GET, HEAD and POST", {"Allow": ", ".join(METHODS)})
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
            return _said(413, f"a body of at most {MOST_BODY_BYTES} bytes was wanted")
        if not _is_of_us(request):
            return _said(403, "only this panel's own pages, or a program with its token, may ask that")
        return None if _is_open_to_all(request.url.path) else self._closed_to(request)

    def _closed_to(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            answer = self._access.check_token(token.strip(), address_of(request), "header")
            return None if answer is Answer.OPEN else refusal_of(answer)
        if self._access.has_session(request.cookies.get(COOKIE, "")):
            return None
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(LOGIN_PATH, 303)
        return refusal_of(Answer.CLOSED)


def refusal_of(answer: Answer) -> Response:
    if answer is Answer.TOO_MANY_TRIES:
        return _said(429, "too many wrong tokens: wait a minute", {"Retry-After": "60"})
    return _said(401, "the panel's token is wanted", CHALLENGE)


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def _is_open_to_all(path: str) -> bool:
    return path == LOGIN_PATH or path.startswith(STATIC_PATH)


def _is_of_us(request: Request) -> bool:
    """By the origin that every browser sends with a form; who sends a form without must show a token, not a cookie."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.method == "GET" or request.headers.get("authorization", "").lower().startswith("bearer ")
    try:
        place = urlsplit(origin)
    except ValueError:
        return False
    return (place.scheme, place.netloc) == (request.url.scheme, request.headers["host"])


class _TooLarge(Exception):
    """More came than was announced."""


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise _TooLarge
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, for the page; then whatever the connection says."""
    waiting = [body]

    async def received() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return received


def _said(code: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{sentence}\n", code, headers)


_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
