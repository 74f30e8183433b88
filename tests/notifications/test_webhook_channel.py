from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from notifications.webhook_channel import MOST_HANGING, WebhookChannel, WebhookUnknown
from notifications.words import Delivered, Delivery, Refused, TryLater, Undeliverable
from tests.notifications.channels import notice
from tests.notifications.web_server import WebServer

TOKEN = "canary-webhook-token"


@pytest.fixture
def server():
    with WebServer().serving() as one:
        yield one


def send(channel: WebhookChannel, repeats: int = 1, **more) -> Delivery:
    return asyncio.run(channel.send(notice("a", **more), repeats=repeats, is_silent=False))


def test_a_notice_arrives_with_its_rows(server):
    channel = WebhookChannel(f"json://{server.address}/{TOKEN}")
    assert send(channel, rows=(("z", "-2.1"),), repeats=3, is_critical=True) == Delivered()
    ((method, path, body),) = server.asked
    assert (method, path) == ("POST", f"/{TOKEN}")
    assert body["title"] == "CRITICAL: notice a (3 times)" and body["type"] == "failure"
    assert "z: -2.1" in body["message"] and "3 times" in body["message"]


def test_what_is_not_taken_is_tried_again_and_the_address_is_in_no_text(server, caplog):
    caplog.set_level(logging.DEBUG)
    server.status = 500
    channel = WebhookChannel(f"json://{server.address}/{TOKEN}")
    answer = send(channel)
    assert isinstance(answer, TryLater) and server.asked
    assert TOKEN not in answer.reason + caplog.text + repr(channel)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Undeliverable), (403, Undeliverable), (404, Undeliverable), (410, Undeliverable), (400, Refused),
     (413, Refused), (429, TryLater), (500, TryLater)],
)  # fmt: skip
def test_the_status_says_whether_address_or_message_is_refused_or_another_attempt_may_help(server, status, kind):
    server.status = status
    answer = send(WebhookChannel(f"json://{server.address}/{TOKEN}"))
    assert isinstance(answer, kind) and f"(status {status})" in answer.reason
    assert len(server.asked) == (2 if kind is Refused else 1)


def test_a_message_that_is_refused_goes_in_short(server):
    server.status = 413
    send(WebhookChannel(f"json://{server.address}/"), rows=(("z", "-2.1"),))
    whole, short = (body["message"] for _, _, body in server.asked)
    assert "z: -2.1" in whole and "z: -2.1" not in short and "notice a" in short


def test_a_server_that_drips_is_given_up_and_not_asked_for_ever():
    with dripping() as address:
        channel = WebhookChannel(f"json://{address}/{TOKEN}", timeout_s=0.05)
        answers = [send(channel).reason for _ in range(MOST_HANGING + 1)]
    assert ["no answer within" in answer for answer in answers] == [True] * MOST_HANGING + [False]
    assert "4 calls have had no end" in answers[-1]


TELLS_A_DRIPPING_SERVER = """
import sys, time
from datetime import UTC, datetime
from notifications.dispatcher import Dispatcher, Route
from notifications.lane import Sound
from notifications.outbox import Outbox
from notifications.webhook_channel import WebhookChannel
from notifications.words import Kind, Notice

channel = WebhookChannel(f"json://{sys.argv[1]}/")
dispatcher = Dispatcher([Route(channel, {Kind.ERROR: Sound.ON})], Outbox(None))
dispatcher.offer(Notice("a", Kind.ERROR, datetime.now(UTC), "a"))
dispatcher.start()
while not channel._calls:
    time.sleep(0.01)
dispatcher.stop(0.1)
print("stopped", flush=True)
"""


def test_a_server_that_drips_keeps_no_process_from_ending():
    with dripping() as address:
        told = [sys.executable, "-c", TELLS_A_DRIPPING_SERVER, address]
        ended = subprocess.run(told, capture_output=True, text=True, timeout=60.0, check=True)
    assert ended.stdout == "stopped\n"


@contextmanager
def dripping() -> Iterator[str]:
    """A server that answers a letter at a time, and never to an end."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not over.wait(0.5):
                connection.sendall(b"a")

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=drip, args=(connection,)))
                threads[-1].start()

    listener, threads = socket.create_server(("127.0.0.1", 0)), []
    serving = threading.Thread(target=serve)
    serving.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (serving, *threads):
            thread.join(10.0)


def test_nobody_there_is_tried_again(caplog):
    caplog.set_level(logging.DEBUG)
    with WebServer().serving() as server:
        address = server.address
    assert isinstance(send(WebhookChannel(f"json://{address}/{TOKEN}")), TryLater)
    assert TOKEN not in caplog.text


def test_an_address_that_nobody_understands_is_said_without_it():
    with pytest.raises(WebhookUnknown, match="the address of webhook is none that apprise understands") as caught:
        WebhookChannel(f"nonsense-{TOKEN}")
    assert TOKEN not in str(caught.value)


def test_without_apprise_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(WebhookUnknown, match=r"tandem-pairs\[notify\]"):
        WebhookChannel("json://127.0.0.1/")


def test_a_check_sends_nothing(server):
    assert asyncio.run(WebhookChannel(f"json://{server.address}/").check()) == Delivered()
    assert server.asked == []
