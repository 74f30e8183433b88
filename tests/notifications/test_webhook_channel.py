from __future__ import annotations

import asyncio
import logging
import sys

import pytest

from notifications.webhook_channel import WebhookChannel, WebhookUnknown
from notifications.words import Delivered, Delivery, TryLater
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
