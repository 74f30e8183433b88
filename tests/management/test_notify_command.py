"""``tandem notify-test``: one message through every channel, and the truth about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from management import notify_command
from tests.notifications.mail_server import PASSWORD, USER, MailServer, mail_server
from tests.notifications.web_server import WebServer
from tests.trading.runs import write_config
from trading.command_line import BAD_INPUT, FAILURE, OK


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the command finds around it."""
    monkeypatch.chdir(tmp_path)
    known: dict[str, str] = {}
    monkeypatch.setattr(notify_command, "process_environment", lambda: known)
    return known


@pytest.fixture
def mail(tmp_path: Path):
    with mail_server(tmp_path / "tls") as server:
        yield server


@pytest.fixture
def web():
    with WebServer().serving() as server:
        yield server


def config(folder: Path, mail: MailServer) -> str:
    email = {"enabled": True, "host": "127.0.0.1", "port": mail.port, "user": USER, "ca_file": mail.ca_file}
    section = {"enabled": True, "email": email, "webhook": {"enabled": True}}
    return str(write_config(folder, notifications=section))


def test_one_message_goes_through_every_channel(tmp_path, environ, mail, web, capsys):
    environ |= {"SMTP_PASSWORD": PASSWORD, "NOTIFY_WEBHOOK_URLS": f"json://{web.address}/a json://{web.address}/b"}
    assert notify_command.main([config(tmp_path, mail)]) == OK
    assert sorted(capsys.readouterr().out.splitlines()) == ["email: sent", "webhook-1: sent", "webhook-2: sent"]
    assert len(mail.mails) == 1 and "a test message" in mail.mails[0]["Subject"]
    assert {path for _, path, _ in web.asked} == {"/a", "/b"}


def test_what_does_not_arrive_is_said_and_no_secret_with_it(tmp_path, environ, mail, web, capsys):
    web.status = 500
    environ |= {"SMTP_PASSWORD": "canary-smtp", "NOTIFY_WEBHOOK_URLS": f"json://{web.address}/canary-token"}
    assert notify_command.main([config(tmp_path, mail)]) == FAILURE
    out = capsys.readouterr()
    assert "email: never like this: 127.0.0.1:" in out.out and "the login was refused (535)" in out.out
    assert "webhook: not now: " in out.out and "canary" not in out.out + out.err


def test_a_channel_that_cannot_be_built_does_not_keep_the_others(tmp_path, environ, mail, web, capsys):
    environ["NOTIFY_WEBHOOK_URLS"] = f"json://{web.address}/a"
    assert notify_command.main([config(tmp_path, mail)]) == FAILURE
    out = capsys.readouterr().out
    assert "email: SMTP_PASSWORD not set" in out and "webhook: sent" in out


@pytest.mark.parametrize(("status", "line", "code"), [(200, "heard", OK), (404, "not heard: status 404", FAILURE)])
def test_the_heartbeat_is_called_once_even_without_a_channel(tmp_path, environ, web, capsys, status, line, code):
    web.status = status
    environ["HEARTBEAT_URL"] = f"http://{web.address}/canary-beat"
    assert notify_command.main([str(write_config(tmp_path))]) == code
    out = capsys.readouterr()
    assert out.out == f"heartbeat: {line}\n" and "canary" not in out.err
    assert [path for _, path, _ in web.asked] == ["/canary-beat"]


def test_nothing_enabled_and_a_bad_config_are_bad_input(tmp_path, environ, capsys):
    assert notify_command.main([str(write_config(tmp_path))]) == BAD_INPUT
    assert "enables no channel" in capsys.readouterr().err
    (tmp_path / "bad.json").write_text(json.dumps({"broker": 5}))
    assert notify_command.main([str(tmp_path / "bad.json")]) == BAD_INPUT
    assert "Traceback" not in capsys.readouterr().err
