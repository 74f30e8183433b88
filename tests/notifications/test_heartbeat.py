from __future__ import annotations

import asyncio
import logging

import pytest

from notifications.heartbeat import MANY_UNHEARD, Heartbeat, call, refuse_unsafe
from tests.notifications.channels import wait_until
from tests.notifications.web_server import WebServer

PATH = "/canary-heartbeat"


@pytest.fixture
def server():
    with WebServer().serving() as one:
        yield one


@pytest.fixture
def beating(server):
    """Starts heartbeats on the server, and stops them."""
    known: list[Heartbeat] = []

    def start(is_well=lambda: True, every_s: float = 0.01) -> Heartbeat:
        known.append(Heartbeat(f"http://{server.address}{PATH}", every_s=every_s, is_well=is_well))
        known[-1].start()
        return known[-1]

    yield start
    for one in known:
        one.stop()


def test_it_calls_again_and_again_while_all_is_well(server, beating):
    beating()
    wait_until(lambda: len(server.asked) >= 3)
    assert set(server.asked) == {("GET", PATH, None)}


def test_it_is_silent_while_the_bot_is_not_well_and_when_that_cannot_be_told(server, beating):
    answers = iter([False, RuntimeError("the loop hangs"), False])
    asked = []

    def is_well() -> bool:
        asked.append(True)
        answer = next(answers, True)
        if isinstance(answer, Exception):
            raise answer
        if answer:
            return True
        assert server.asked == []
        return False

    beating(is_well)
    wait_until(lambda: bool(server.asked))
    assert len(asked) >= 4


def test_after_a_stop_it_calls_no_more(server, beating):
    beat = beating()
    wait_until(lambda: bool(server.asked))
    beat.stop()
    count = len(server.asked)
    assert not beat._thread.is_alive() and len(server.asked) == count


def test_what_is_not_heard_is_logged_once_without_the_address_and_tried_again(server, beating, caplog):
    caplog.set_level(logging.DEBUG)
    server.status = 500
    beating()
    wait_until(lambda: len(server.asked) >= 3)
    server.status = 200
    wait_until(lambda: "heartbeat_heard" in caplog.text)
    assert caplog.text.count("heartbeat_not_heard reason=status 500") == 1
    assert PATH not in caplog.text and server.address not in caplog.text


def test_it_follows_nobody_elsewhere(server, beating):
    server.status, server.location = 302, "http://127.0.0.1:1/elsewhere"
    beating()
    wait_until(lambda: len(server.asked) >= 2)
    assert {path for _, path, _ in server.asked} == {PATH}


def test_nobody_there_is_no_error(caplog):
    with WebServer().serving() as server:
        address = server.address
    beat = Heartbeat(f"http://{address}{PATH}", every_s=0.01, is_well=lambda: True)
    beat.start()
    wait_until(lambda: "heartbeat_not_heard" in caplog.text)
    beat.stop()
    assert PATH not in caplog.text


def test_many_calls_that_come_to_nothing_are_told_once_until_one_is_heard(server, caplog):
    told: list[str] = []
    server.status = 503
    url = f"http://{server.address}{PATH}"
    beat = Heartbeat(url, every_s=0.001, is_well=lambda: True, on_unheard=told.append)
    beat.start()
    wait_until(lambda: len(server.asked) > MANY_UNHEARD + 3)
    assert told == ["status 503"]
    server.status = 200
    count = len(server.asked)
    wait_until(lambda: len(server.asked) > count + 2)
    server.status = 503
    wait_until(lambda: len(told) == 2)
    beat.stop()


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "\ud800", "exa mple"])
def test_a_host_that_is_none_is_a_reason_and_no_end(host):
    reason = asyncio.run(call(f"https://{host}.invalid/canary"))
    assert reason and "canary" not in reason and host not in reason


def test_an_address_that_cannot_be_read_is_refused_without_it():
    with pytest.raises(ValueError, match="is none") as caught:
        refuse_unsafe("https://[canary")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://127.0.0.1/x", "nonsense"])
def test_an_address_elsewhere_is_https(url):
    with pytest.raises(ValueError, match="not https"):
        Heartbeat(url, every_s=60.0, is_well=lambda: True)
