"""Which channels a config and an environment make, and what is said of those they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from notifications.lane import Sound
from notifications.words import Kind
from tests.trading.runs import write_config
from trading.config.credentials import known_secrets
from trading.config.loader import load_config
from trading.config.notifiers import secret_parts
from trading.config_validator import ConfigValidator
from trading.telling.channels import Channels, build_channels, enabled_channels

MAIL = {"SMTP_HOST": "mail.example.org", "SMTP_USER": "bot@example.org", "SMTP_PASSWORD": "canary-password"}
CHAT = {"TELEGRAM_BOT_TOKEN": "1:canary-token", "TELEGRAM_CHAT_ID": "42"}
HOOK = {"NOTIFY_WEBHOOK_URLS": "json://127.0.0.1/canary-token\njson://127.0.0.1/other-canary"}
ON = {"enabled": True}


def built(folder: Path, environ: dict[str, str], *, enabled: bool = True, **sections: Any) -> Channels:
    config = load_config(write_config(folder, notifications={"enabled": enabled, **sections}), environ=environ)
    return build_channels(config, environ)


def names(channels: Channels) -> list[str]:
    return [route.channel.name for route in channels.routes]


def test_every_enabled_channel_is_built(tmp_path):
    channels = built(tmp_path, MAIL | CHAT | HOOK, email=ON, telegram=ON, webhook=ON)
    assert names(channels) == ["telegram", "email", "webhook-1", "webhook-2"] and channels.problems == ()


def test_nothing_is_built_where_nothing_is_enabled(tmp_path):
    assert built(tmp_path, MAIL | CHAT, enabled=False, email=ON, telegram=ON) == Channels((), ())
    assert built(tmp_path, MAIL | CHAT) == Channels((), ())


@pytest.mark.parametrize(
    ("notify_on", "sounds"),
    [
        (["error", "trade_exit"], {Kind.ERROR: Sound.ON, Kind.TRADE_EXIT: Sound.ON}),
        ({"error": "on", "status": "silent", "health": "off"},
         {Kind.ERROR: Sound.ON, Kind.STATUS: Sound.SILENT, Kind.HEALTH: Sound.OFF}),
        ([], {}),
    ],
)  # fmt: skip
def test_a_channel_tells_what_a_list_or_a_mapping_names(tmp_path, notify_on, sounds):
    (route,) = built(tmp_path, CHAT, telegram=ON | {"notify_on": notify_on}).routes
    assert route.sounds == sounds


def test_without_a_word_everything_is_on(tmp_path):
    (route,) = built(tmp_path, CHAT, telegram=ON).routes
    assert route.sounds == dict.fromkeys(Kind, Sound.ON)


@pytest.mark.parametrize(
    "notify_on", [["trade_entry", "trade"], {"error": "loud"}, {"oops": "on"}, "error", [1], {"error": True}]
)
def test_another_word_is_refused(tmp_path, notify_on):
    path = write_config(tmp_path, notifications={"telegram": {"notify_on": notify_on}})
    report = ConfigValidator().validate_file(path)
    assert any(problem.path.startswith("notifications.telegram.notify_on") for problem in report.errors)


@pytest.mark.parametrize(
    ("sections", "environ", "sentence"),
    [
        ({"email": ON}, {}, "SMTP_HOST, SMTP_USER, SMTP_PASSWORD not set"),
        ({"email": ON | {"host": "mail.example.org", "user": "me"}}, {}, "SMTP_PASSWORD not set"),
        ({"email": ON}, MAIL | {"SMTP_USER": "nobody"}, "no sender"),
        ({"email": ON | {"security": "none"}}, MAIL, "no mail goes to mail.example.org without TLS"),
        ({"telegram": ON}, {"TELEGRAM_BOT_TOKEN": "1:x"}, "TELEGRAM_CHAT_ID not set"),
        ({"telegram": ON}, CHAT | {"TELEGRAM_CHAT_ID": "@me"}, "holds something else than numbers"),
        ({"telegram": ON}, CHAT | {"TELEGRAM_CHAT_ID": "1 2"}, "it is one number"),
        ({"telegram": ON | {"api_url": "http://example.org"}}, CHAT, "must begin with https"),
        ({"webhook": ON}, {}, "NOTIFY_WEBHOOK_URLS not set"),
        ({"webhook": ON}, {"NOTIFY_WEBHOOK_URLS": "nonsense-canary"}, "none that apprise understands"),
        ({"email": ON}, {**MAIL, "SMTP_PASSWORD": "", "SMTP_PASSWORD_FILE": "none.txt"}, "cannot be read"),
    ],
)
def test_what_cannot_be_built_is_said_and_leaves_the_others_alone(tmp_path, sections, environ, sentence):
    (name,) = sections
    others = {key: ON for key in ("telegram",) if key != name}
    channels = built(tmp_path, (CHAT if name != "telegram" else {}) | environ, **sections, **others)
    ((problem_of, problem),) = channels.problems
    assert problem_of == name and sentence in problem and "canary" not in problem
    assert names(channels) == list(others)


def test_a_password_may_come_from_a_file_of_its_owner(tmp_path):
    file = tmp_path / "password"
    file.write_text("canary-password\n")
    file.chmod(0o600)
    environ = {**MAIL, "SMTP_PASSWORD": "", "SMTP_PASSWORD_FILE": str(file)}
    (route,) = built(tmp_path, environ, email=ON).routes
    assert route.channel._settings.password == "canary-password"
    assert "canary-password" in known_secrets(environ) and "canary" not in repr(route.channel._settings)
    file.chmod(0o644)
    assert "open to others" in built(tmp_path, environ, email=ON).problems[0][1]


def test_addresses_of_mail_come_from_the_config_or_the_environment(tmp_path):
    environ = MAIL | {"SMTP_FROM": "Bot <b@c.org>", "SMTP_TO": "x@y.org, z@y.org"}
    (route,) = built(tmp_path, environ, email=ON).routes
    assert (route.channel._settings.sender, route.channel._settings.to) == ("Bot <b@c.org>", ("x@y.org", "z@y.org"))
    (route,) = built(tmp_path, environ, email=ON | {"from": "d@e.org", "to": ["f@g.org"]}).routes
    assert (route.channel._settings.sender, route.channel._settings.to) == ("d@e.org", ("f@g.org",))
    (route,) = built(tmp_path, MAIL, email=ON).routes
    assert route.channel._settings.to == ("bot@example.org",), "to oneself, where nobody else is named"


def test_a_line_break_in_an_address_is_refused(tmp_path):
    path = write_config(tmp_path, notifications={"email": {"to": ["a@b.org\nBcc: c@d.org"]}})
    assert not ConfigValidator().validate_file(path).ok


def test_mail_without_tls_to_elsewhere_is_refused_by_the_validator(tmp_path):
    path = write_config(tmp_path, notifications={"email": {"security": "none", "host": "mail.example.org"}})
    (problem,) = ConfigValidator().validate_file(path).errors
    assert problem.path == "notifications.email.security" and "without TLS" in problem.message


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("slack://TokenAAAA/TokenBBBB/TokenCCCCC", {"TokenAAAA", "TokenBBBB", "TokenCCCCC"}),
        ("https://hooks.example.org/services/T0000000/secretsecret?key=longenough", {"T0000000", "secretsecret"}),
        ("json://user:pa%20ssword@127.0.0.1:8080/x", {"pa%20ssword", "pa ssword"}),
    ],
)
def test_the_secret_parts_of_an_address_are_known_and_its_host_is_none(address, parts):
    found = set(secret_parts(address))
    assert parts | {address} <= found
    assert not found & {"hooks.example.org", "127.0.0.1", "8080"}


def test_the_order_of_the_channels_is_that_of_the_builders(tmp_path):
    config = load_config(
        write_config(tmp_path, notifications={"enabled": True, "webhook": ON, "email": ON, "telegram": ON}), environ={}
    )
    assert enabled_channels(config) == ("telegram", "email", "webhook")
