"""Every address of the panel against every kind of attacker, and the table of what each was answered."""

from __future__ import annotations

import asyncio
import http.client
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Message

from management.bots.watching import BotWatch
from management.masking import Masking
from management.webgui.access import Access
from management.webgui.app import create_app
from management.webgui.gate import COOKIE, MOST_BODY_BYTES, Gate
from tests.conftest import PROJECT
from tests.management.sample_bots import write_bot
from tests.management.webgui.panels import TOKEN, Panel, serving
from trading.control.command_queue import CommandQueue, Verb

PLACES = {"{key}": "0001_mock", "{number}": "1", "{verb}": "halt"}
PUBLIC = {("GET", "/login"), ("POST", "/login"), ("GET", "/static")}
ATTACKS = ("no token", "wrong token", "foreign Host", "foreign Origin", "no Origin, cookie", "large body")
FORM = {"verb": "halt", "reason": "test"}


def routes(state: Path) -> list[tuple[str, str]]:
    """Method and path of everything that the app answers, its documentation and its files too."""
    app = create_app(BotWatch(state, Masking(())), Access(TOKEN, lambda: 0.0))
    found = []
    for route in app.routes:
        methods = (getattr(route, "methods", None) or {"GET"}) - {"HEAD"}
        found += [(method, route.path) for method in sorted(methods)]
    return found


def address(path: str) -> str:
    for name, value in PLACES.items():
        path = path.replace(name, value)
    if path == "/static":
        return "/static/panel.css"
    return f"{path}?verb=halt" if path.endswith("/commands") else path


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    write_bot(folder)
    with CommandQueue(folder / "0001_mock.commands.sqlite") as queue:
        queue.give(Verb.HALT, reason="before", by="test")
    return folder


@pytest.fixture(scope="module")
def panel(state: Path) -> Iterator[Panel]:
    with serving(state) as served:
        yield served


@pytest.fixture
def fresh(state: Path) -> Iterator[Panel]:
    """One that nobody has been wrong with yet."""
    with serving(state) as served:
        yield served


def given(state: Path) -> int:
    with CommandQueue(state / "0001_mock.commands.sqlite") as queue:
        return len(queue.waiting())


# the table


def attack(panel: Panel, session: str, name: str, method: str, path: str) -> int:
    """What an attacker of this kind is answered."""
    own = {"Origin": panel.url}
    ways: dict[str, Callable[[], httpx.Client]] = {
        "no token": lambda: panel.client(token=None, **own),
        "wrong token": lambda: panel.client(token="wrong" * 10, **own),
        "foreign Host": lambda: panel.client(Host="panel.example:5000"),
        "foreign Origin": lambda: panel.client(Origin="http://evil.example"),
        "no Origin, cookie": lambda: panel.client(token=None, Cookie=session),
        "large body": lambda: panel.client(**own),
    }
    body = {"content": b"x" * (MOST_BODY_BYTES + 1)} if name == "large body" else {}
    if method == "POST" and not body:
        body = {"data": {"token": "wrong" * 10} if path == "/login" else FORM}
    with ways[name]() as client:
        return client.request(method, address(path), **body).status_code


def wanted(name: str, method: str, path: str) -> set[int]:
    is_public = (method, path) in PUBLIC
    if name in ("no token", "wrong token"):
        return {200, 401} if is_public else {401}
    if name == "foreign Host":
        return {400}
    if name == "large body":
        return {413}
    if name == "foreign Origin" or method == "POST":
        return {403}
    return {200}  # a link that was clicked: nothing is changed by it


def table_of(rows: dict[tuple[str, str], list[int]]) -> str:
    lines = [f"| address | {' | '.join(ATTACKS)} |", "|---|" + "---|" * len(ATTACKS)]
    lines += [f"| `{method} {path}` | {' | '.join(map(str, codes))} |" for (method, path), codes in rows.items()]
    return "\n".join(lines)


def test_every_route_withstands_every_attack_and_the_page_shows_it(state: Path) -> None:
    rows: dict[tuple[str, str], list[int]] = {}
    seconds = count(0, 10)  # so slow an attacker is never wrong too often
    with serving(state, clock=lambda: float(next(seconds))) as panel:
        for method, path in routes(state):
            with panel.browser() as browser:
                session = f"{COOKIE}={browser.cookies[COOKIE]}"
            rows[method, path] = [attack(panel, session, name, method, path) for name in ATTACKS]
    odd = [
        (method, path, name, code)
        for (method, path), codes in rows.items()
        for name, code in zip(ATTACKS, codes, strict=True)
        if code not in wanted(name, method, path)
    ]
    print(f"\n{table_of(rows)}")
    assert odd == []
    assert given(state) == 1
    assert table_of(rows) in (PROJECT / "docs" / "panel.md").read_text(encoding="utf-8"), "docs/panel.md: print it anew"


def test_no_get_changes_anything(state: Path) -> None:
    app = create_app(BotWatch(state, Masking(())), Access(TOKEN, lambda: 0.0))
    before = {path.name: path.read_bytes() for path in state.iterdir() if path.suffix in (".sqlite", ".token")}
    with serving(state) as panel, panel.browser() as browser:
        for method, path in routes(state):
            if method == "GET":
                assert browser.get(address(path)).status_code == 200, path
    after = {path.name: path.read_bytes() for path in state.iterdir() if path.suffix in (".sqlite", ".token")}
    assert after == before
    assert {
        route.path for route in app.routes if isinstance(route, APIRoute) and route.methods and "POST" in route.methods
    } == {"/login", "/logout", "/bots/{key}/commands"}


# one by one


def answered(panel: Panel, method: str, path: str, headers: dict[str, str]) -> int:
    """By a client that sends what it is told to, good or not."""
    with closing(http.client.HTTPConnection("127.0.0.1", panel.port, timeout=30)) as connection:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        with connection.getresponse() as answer:
            return answer.status


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::1", "a b"]
)
def test_a_host_that_is_not_this_panels_is_refused(panel: Panel, host: str) -> None:
    assert answered(panel, "GET", "/login", {"Host": host}) == 400


@pytest.mark.parametrize(
    "origin", ["null", "http://localhost", "https://127.0.0.1", "http://127.0.0.1:1", "x", "http://["]
)
def test_only_an_origin_of_exactly_this_panel_may_change_something(panel: Panel, state: Path, origin: str) -> None:
    before = given(state)
    with panel.browser() as browser:
        answer = browser.post("/bots/0001_mock/commands", data=FORM, headers={"Origin": origin})
    assert answer.status_code == 403
    assert given(state) == before


def test_a_bearer_without_an_origin_may_command_as_a_program_does(panel: Panel, state: Path) -> None:
    before = given(state)
    with panel.client() as program:
        answer = program.post("/bots/0001_mock/commands", data=FORM)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/bots/0001_mock/commands/{before + 1}"
    assert given(state) == before + 1


def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(panel: Panel) -> None:
    with panel.client(token=None, Origin=panel.url) as client:
        cookie = client.post("/login", data={"token": TOKEN}).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
    assert TOKEN not in cookie


def test_a_session_ends_with_its_logout(panel: Panel) -> None:
    with panel.browser() as browser:
        held = browser.cookies[COOKIE]
        assert browser.get("/").status_code == 200
        assert browser.post("/logout").status_code == 303
        again = browser.get("/", headers={"Cookie": f"{COOKIE}={held}", "Accept": "*/*"})
    assert again.status_code == 401


def test_a_browser_without_a_session_is_led_to_the_login(panel: Panel) -> None:
    with panel.client(token=None, Accept="text/html") as client:
        answer = client.get("/bots/0001_mock")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_who_is_wrong_too_often_waits_while_sessions_go_on(fresh: Panel) -> None:
    with fresh.browser() as browser, fresh.client(token="wrong" * 10) as wrong, fresh.client() as right:
        codes = [wrong.get("/").status_code for _ in range(12)]
        assert codes == [401] * 10 + [429] * 2
        assert right.get("/").status_code == 429
        assert browser.get("/").status_code == 200
        with fresh.browser() as late:  # whoever shows an old token to /metrics does not lock the form
            assert late.get("/").status_code == 200


def test_a_wrong_token_in_the_form_is_told_and_counted(fresh: Panel) -> None:
    with fresh.client(token=None, Origin=fresh.url) as client:
        answers = [client.post("/login", data={"token": "wrong"}) for _ in range(11)]
    assert [one.status_code for one in answers] == [401] * 10 + [429]
    assert "That is not the token" in answers[0].text


def test_every_answer_forbids_what_a_page_of_ours_never_does(panel: Panel) -> None:
    with panel.client() as client, panel.client(token=None) as stranger:
        answers = [client.get("/"), client.get("/nowhere"), client.get("/static/panel.js"), stranger.get("/")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


def test_pages_hold_no_script_and_no_style_of_their_own(panel: Panel, state: Path) -> None:
    with panel.browser() as browser:
        for method, path in routes(state):
            if method == "GET" and not path.startswith(("/static", "/metrics", "/openapi")):
                text = browser.get(address(path)).text
                assert not re.search(r"<script(?! src=\"/static/)|<style|\sstyle=|\son\w+=|javascript:|https?://", text)


def test_a_defect_sends_no_trace(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a secret of the inside")

    monkeypatch.setattr("management.webgui.charts.equity_chart", broken)
    with panel.client() as client:
        answer = client.get("/bots/0001_mock")
    assert answer.status_code == 500
    assert "a secret" not in answer.text and "Traceback" not in answer.text and "File " not in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_not_served(panel: Panel, method: str) -> None:
    with panel.client() as client:
        assert client.request(method, "/").status_code == 405


def test_a_head_is_a_get_without_its_body(panel: Panel) -> None:
    with panel.client() as client, panel.client(token=None) as stranger:
        got, asked = client.get("/"), client.head("/")
        assert (asked.status_code, asked.content) == (200, b"") and got.content
        assert asked.headers["content-length"] == str(len(got.content))
        assert stranger.head("/").status_code == 401 and client.head("/bots/none_mock").status_code == 404


def test_who_hangs_up_in_the_middle_of_a_body_is_not_answered_and_breaks_nothing() -> None:
    said: list[Message] = []

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def answered_with(message: Message) -> None:
        said.append(message)

    gate = Gate(FastAPI(), access=Access(TOKEN, lambda: 0.0), hosts=frozenset())
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {TOKEN}".encode()), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": "/logout", "headers": headers, "query_string": b""}
    asyncio.run(gate(scope, gone, answered_with))
    assert said == []


@pytest.mark.parametrize(
    "path", ["/bots/..%2f..%2fetc", "/bots/%2e%2e", "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"]
)
def test_no_address_leads_out_of_the_folders(panel: Panel, path: str) -> None:
    assert answered(panel, "GET", path, {"Authorization": f"Bearer {TOKEN}"}) == 404


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999", "x"])
def test_a_body_of_a_length_we_do_not_take_is_not_read(panel: Panel, length: str) -> None:
    assert answered(panel, "POST", "/login", {"Content-Length": length}) in (400, 413)


def test_a_body_that_grows_beyond_its_bound_is_not_kept(panel: Panel) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * 1024

    with panel.client() as client:
        assert client.post("/login", content=endless()).status_code == 413
