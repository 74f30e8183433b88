"""A server that speaks the Bot API, for tests: what Telegram checks it checks, what Telegram forgets it forgets.

It runs on a thread of its own. Texts are parsed as Telegram's HTML; what it would refuse is refused here.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from aiohttp import web

PATIENCE_S = 30.0
TOKEN = "123456789:AAHkf-canary_canary_canary_canary_01"
BOT_NAME = "tandem_test_bot"
TAGS = {"b", "i", "code", "pre"}
MESSAGE_UNITS, CAPTION_UNITS = 4096, 1024


@dataclass(frozen=True, slots=True)
class Message:
    """What a person sees of a message. ``text``: without markup; ``raw``: as it was sent."""

    message_id: int
    chat_id: int
    text: str
    raw: str
    is_silent: bool = False
    is_plain: bool = False
    buttons: tuple[tuple[str, str], ...] = ()
    picture: bytes = b""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is answered in place of the truth. ``status`` 0: the connection is cut; ``body``: as it is, not JSON."""

    status: int = 0
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    body: str | None = None


FLOOD = Fault(429, "Too Many Requests: retry after 35", {"retry_after": 35})
CUT = Fault()


class BadHtml(ValueError):
    pass


class _Shown(HTMLParser):
    """The text that is shown. Raises ``BadHtml`` for what Telegram would not parse."""

    def __init__(self, raw: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self._open = "", []
        self.feed(raw)
        self.close()
        if self._open:
            raise BadHtml(f"unclosed {self._open}")

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in TAGS or attrs:
            raise BadHtml(f'unsupported start tag "{tag}"')
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            raise BadHtml(f'unmatched end tag "{tag}"')

    def handle_data(self, data: str) -> None:
        self.text += data


class Refusal(Exception):
    def __init__(self, status: int, description: str, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__(description)
        self.status, self.parameters = status, parameters or {}


class TelegramServer:
    """One bot's world: who wrote to it, what it said. Every method may be called from any thread."""

    def __init__(self) -> None:
        self.token = TOKEN
        self.chats = {1001}
        self.sent: list[Message] = []
        self.edited: dict[int, str] = {}
        self.toasts: list[tuple[str, str]] = []
        self.menu: list[str] = []
        self.calls: list[str] = []
        self.url = ""
        self._faults: dict[str, deque[Fault]] = {}
        self._always: dict[str, Fault] = {}
        self._updates: list[dict[str, Any]] = []
        self._next_update, self._next_message = 500, 1
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._news = asyncio.Event()
        self._stop = asyncio.Event()

    # what people do

    def write(self, text: str, *, user: int = 1001, chat: int | None = None, age_s: float = 0.0) -> int:
        """A message of a person to the bot. Its update id."""
        return self.update(message=self.message(text, user=user, chat=chat, age_s=age_s))

    def press(self, data: str, *, user: int = 1001, chat: int | None = None, message_id: int = 1, **more: Any) -> int:
        message = self.message("", user=user, chat=chat) | {"message_id": message_id}
        query = {"id": f"press-{self._next_update}", "from": _person(user), "chat_instance": "1", "data": data}
        query |= {"message": message} | more
        return self.update(callback_query={name: value for name, value in query.items() if value is not None})

    def update(self, *, update_id: int | None = None, **content: Any) -> int:
        with self._changed:
            number = self._next_update if update_id is None else update_id
            self._next_update = max(self._next_update, number) + 1
            self._updates.append({"update_id": number, **content})
        self._loop.call_soon_threadsafe(self._news.set)
        return number

    def message(self, text: str, *, user: int = 1001, chat: int | None = None, age_s: float = 0.0) -> dict[str, Any]:
        """``chat`` is by default the person's private one with the bot; a negative one is a group."""
        place = user if chat is None else chat
        kind = "private" if place > 0 else "supergroup"
        return {
            "message_id": 10_000 + self._next_update,
            "date": int(time.time() - age_s),
            "chat": {"id": place, "type": kind, "title": "a group"},
            "from": _person(user),
            "text": text,
        }

    # what goes wrong

    def answer_next(self, method: str, *faults: Fault) -> None:
        self._faults.setdefault(method, deque()).extend(faults)

    def answer_always(self, method: str, fault: Fault | None) -> None:
        """Until it is None. The method ``*`` is every one."""
        if fault is None:
            self._always.pop(method, None)
        else:
            self._always[method] = fault

    # what the tests see

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.sent]

    def waiting(self) -> int:
        """Updates that the bot has not confirmed."""
        return len(self._updates)

    def wait_until(self, condition: Callable[[], Any], limit_s: float = PATIENCE_S) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, limit_s), self.texts

    def wait_for_text(self, part: str) -> Message:
        self.wait_until(lambda: any(part in text for text in self.texts))
        return next(message for message in self.sent if part in message.text)

    # the server

    async def _serve(self, ready: threading.Event) -> None:
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_post("/bot{token}/{method}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.0, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        ready.set()
        await self._stop.wait()
        self._news.set()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        form = dict(await request.post())
        fault = self._fault(method)
        try:
            if fault is not None:
                return await self._failed(request, fault)
            if request.match_info["token"] != self.token:
                raise Refusal(401, "Unauthorized")
            result = await getattr(self, f"_on_{method}")(form)
            return web.json_response({"ok": True, "result": result})
        except Refusal as refusal:
            return _refused(refusal)
        finally:
            with self._changed:
                self.calls.append(method)
                self._changed.notify_all()

    def _fault(self, method: str) -> Fault | None:
        if self._faults.get(method):
            return self._faults[method].popleft()
        return self._always.get(method) or self._always.get("*")

    async def _failed(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if not fault.status:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault.body is not None:
            return web.Response(status=fault.status, text=fault.body)
        raise Refusal(fault.status, fault.description, fault.parameters)

    async def _on_getMe(self, form: Mapping[str, Any]) -> Any:
        return {"id": 42, "is_bot": True, "first_name": "Tandem", "username": BOT_NAME}

    async def _on_getChat(self, form: Mapping[str, Any]) -> Any:
        chat_id = self._known_chat(form)
        return {"id": chat_id, "type": "private", "first_name": "Anna", "accent_color_id": 1, "max_reaction_count": 1}

    async def _on_getUpdates(self, form: Mapping[str, Any]) -> Any:
        offset = int(form.get("offset", 0))
        with self._changed:
            self._updates = [update for update in self._updates if update["update_id"] >= offset]
        if not self._updates and not self._stop.is_set():
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), float(form.get("timeout", 0)))
            except TimeoutError:
                pass
        return self._updates[:100]

    async def _on_sendMessage(self, form: Mapping[str, Any]) -> Any:
        return self._keep(form, form["text"], MESSAGE_UNITS)

    async def _on_sendPhoto(self, form: Mapping[str, Any]) -> Any:
        picture = form["photo"].file.read() if hasattr(form["photo"], "file") else form["photo"]
        return self._keep(form, form.get("caption", ""), CAPTION_UNITS, picture=bytes(picture))

    async def _on_editMessageText(self, form: Mapping[str, Any]) -> Any:
        with self._changed:
            self.edited[int(form["message_id"])] = _Shown(form["text"]).text
        return _message_json(int(form["message_id"]), int(form["chat_id"]))

    async def _on_answerCallbackQuery(self, form: Mapping[str, Any]) -> Any:
        with self._changed:
            self.toasts.append((form["callback_query_id"], form.get("text", "")))
        return True

    async def _on_setMyCommands(self, form: Mapping[str, Any]) -> Any:
        with self._changed:
            self.menu = [entry["command"] for entry in json.loads(form["commands"])]
        return True

    def _known_chat(self, form: Mapping[str, Any]) -> int:
        chat_id = int(form["chat_id"])
        if chat_id not in self.chats:
            raise Refusal(400, "Bad Request: chat not found")
        return chat_id

    def _keep(self, form: Mapping[str, Any], raw: str, limit: int, picture: bytes = b"") -> Any:
        chat_id = self._known_chat(form)
        is_plain = "parse_mode" not in form
        try:
            text = raw if is_plain else _Shown(raw).text
        except BadHtml as error:
            raise Refusal(400, f"Bad Request: can't parse entities: {error}") from None
        if len(text.encode("utf-16-le")) // 2 > limit:
            raise Refusal(400, "Bad Request: message is too long")
        if not text and not picture:
            raise Refusal(400, "Bad Request: message text is empty")
        rows = json.loads(form.get("reply_markup", "{}")).get("inline_keyboard", [])
        buttons = tuple((button["text"], button["callback_data"]) for row in rows for button in row)
        assert all(len(data.encode()) <= 64 for _, data in buttons)
        with self._changed:
            number, self._next_message = self._next_message, self._next_message + 1
            is_silent = form.get("disable_notification") == "true"
            self.sent.append(Message(number, chat_id, text, raw, is_silent, is_plain, buttons, picture))
        return _message_json(number, chat_id)

    @contextmanager
    def serving(self) -> Iterator[TelegramServer]:
        ready = threading.Event()
        thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(ready),), name="telegram")
        thread.start()
        assert ready.wait(PATIENCE_S)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._loop.call_soon_threadsafe(self._news.set)
            thread.join(PATIENCE_S)
            self._loop.close()


def _person(user: int) -> dict[str, Any]:
    return {"id": user, "is_bot": False, "first_name": "Anna"}


def _message_json(number: int, chat_id: int) -> dict[str, Any]:
    return {"message_id": number, "date": int(time.time()), "chat": {"id": chat_id, "type": "private"}, "text": "x"}


def _refused(refusal: Refusal) -> web.Response:
    content: dict[str, Any] = {"ok": False, "error_code": refusal.status, "description": str(refusal)}
    if refusal.parameters:
        content["parameters"] = dict(refusal.parameters)
    return web.json_response(content, status=refusal.status)
