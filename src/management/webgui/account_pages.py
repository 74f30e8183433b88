"""Logging in and out: a form for the token, which opens a session in a cookie."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from management.webgui.access import SESSION_S, Access, Answer
from management.webgui.forms import form_fields, form_of
from management.webgui.gate import COOKIE, address_of
from management.webgui.rendering import page

PROBLEMS = {
    Answer.CLOSED: (401, "That is not the token."),
    Answer.TOO_MANY_TRIES: (429, "Too many wrong tokens: wait a minute."),
}
FORM = form_of(["token"], token={"type": "string"})


def add_account_pages(app: FastAPI, access: Access) -> None:
    @app.get("/login")
    def ask(request: Request) -> Response:
        """Asks for the token"""
        return page(request, "login.html", problem="")

    @app.post("/login", openapi_extra=FORM, status_code=303, responses={401: {}, 429: {}})
    async def log_in(request: Request) -> Response:
        """Opens a session, kept in a cookie"""
        token = form_fields(await request.body()).get("token", "").strip()
        answer = access.check_token(token, address_of(request), "form")
        if answer is not Answer.OPEN:
            status, problem = PROBLEMS[answer]
            return page(request, "login.html", status=status, problem=problem)
        entered = RedirectResponse("/", 303)
        entered.set_cookie(
            COOKIE,
            access.open_session(),
            max_age=int(SESSION_S),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return entered

    @app.post("/logout", status_code=303)
    async def log_out(request: Request) -> Response:
        """Ends the session"""
        access.end_session(request.cookies.get(COOKIE, ""))
        left = RedirectResponse("/login", 303)
        left.delete_cookie(COOKIE)
        return left
