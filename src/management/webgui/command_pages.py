"""Pages that command a bot: each asks back, puts the command into the bot's queue, and shows what the bot answered."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from management.bots.finding import BotFiles
from management.bots.views import BotView, PairView
from management.bots.watching import BotWatch
from management.control_command import DOES
from management.webgui.forms import form_fields, form_of
from management.webgui.rendering import page
from trading.control.command_queue import CommandQueue, CommandState, Verb

GIVEN_BY = "panel"
MOST_LETTERS = 200
FORM = form_of(
    ["verb", "reason"],
    verb={"type": "string", "enum": [verb.value for verb in Verb]},
    reason={"type": "string", "minLength": 1, "maxLength": MOST_LETTERS},
    pair={"type": "string", "description": "the pair that close means"},
    name={"type": "string", "description": "the bot's id, which flatten wants typed"},
)
Number = Annotated[int, Path(ge=1, le=2**53)]


class NotGiven(Exception):
    """The command was not given; the message says why."""


def add_command_pages(app: FastAPI, watch: BotWatch) -> None:
    @app.get("/bots/{key}/commands")
    def ask(request: Request, key: str, verb: Verb, pair: Annotated[str, Query(max_length=80)] = "") -> Response:
        """Asks back before a command is given"""
        with watch.looking(watch.files(key)) as (_, view):
            return _asking(request, view, verb, _pair_of(view, verb, pair))

    @app.post("/bots/{key}/commands", openapi_extra=FORM, status_code=303, responses={400: {}, 404: {}})
    async def give(request: Request, key: str) -> Response:
        """Puts a command into the bot's queue; leads to its answer"""
        fields = form_fields(await request.body())
        return await run_in_threadpool(_give, watch, request, key, fields)

    @app.get("/bots/{key}/commands/{number}")
    def answer(request: Request, key: str, number: Number) -> Response:
        """What the bot has answered so far"""
        with watch.looking(watch.files(key)) as (reader, view):
            row = reader.command(number)
            if row is None:
                raise HTTPException(404, f"{view.bot_id} was never given a command {number}")
            is_over = CommandState(row["state"]).is_over
            return page(request, "command.html", view=view, row=watch.told(row), is_over=is_over)


def _give(watch: BotWatch, request: Request, key: str, fields: dict[str, str]) -> Response:
    files = watch.files(key)
    with watch.looking(files) as (_, view):
        try:
            verb = Verb(fields.get("verb", ""))
        except ValueError:
            raise HTTPException(400, f"verb is one of {', '.join(one.value for one in Verb)}") from None
        pair = _pair_of(view, verb, fields.get("pair", ""))
        try:
            reason = _reason(fields)
            _refuse_unnamed(view, verb, fields)
        except NotGiven as problem:
            return _asking(request, view, verb, pair, problem=str(problem), reason=fields.get("reason", ""))
    return RedirectResponse(f"/bots/{key}/commands/{_given(files, verb, reason, pair)}", 303)


def _given(files: BotFiles, verb: Verb, reason: str, pair: PairView | None) -> int:
    with CommandQueue(files.commands) as queue:
        return queue.give(verb, reason=reason, by=GIVEN_BY, pair_id=pair.pair_id if pair else None)


def _asking(
    request: Request, view: BotView, verb: Verb, pair: PairView | None, *, problem: str = "", reason: str = ""
) -> Response:
    suggested = "" if verb is Verb.RESUME else f"{verb.value} from the panel"
    return page(
        request,
        "confirm.html",
        status=400 if problem else 200,
        view=view,
        verb=verb,
        pair=pair,
        does=DOES[verb],
        problem=problem,
        reason=reason or suggested,
        asks_name=verb is Verb.FLATTEN,
    )


def _pair_of(view: BotView, verb: Verb, pair_id: str) -> PairView | None:
    if verb is not Verb.CLOSE:
        return None
    pair = view.pair(pair_id)
    if pair is None:
        raise HTTPException(400, f"there is no pair {pair_id[:80]}; {view.bot_id} trades {_named(view)}")
    return pair


def _named(view: BotView) -> str:
    return ", ".join(pair.pair_id for pair in view.pairs) or "none"


def _reason(fields: dict[str, str]) -> str:
    reason = " ".join(fields.get("reason", "").split())
    if not reason:
        raise NotGiven("Say why: it is kept with the command.")
    if len(reason) > MOST_LETTERS:
        raise NotGiven(f"Say it in {MOST_LETTERS} letters.")
    return reason


def _refuse_unnamed(view: BotView, verb: Verb, fields: dict[str, str]) -> None:
    """What closes everything asks for the bot's name, so that no hasty click does it."""
    if verb is Verb.FLATTEN and fields.get("name", "").strip() != view.bot_id:
        raise NotGiven(f"Nothing was done: type {view.bot_id} to flatten it.")
