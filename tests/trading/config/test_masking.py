"""A config as it is shown holds nothing that opens a door."""

from __future__ import annotations

import json
import math

import pytest

from trading.config.masking import MASK, masked


@pytest.mark.parametrize(
    "name", ["api_key", "apiKey", "bot_token", "smtp_password", "client_secret", "chat_id", "Passphrase"]
)
def test_what_a_secrets_name_stands_for_is_masked_however_deep(name: str) -> None:
    shown = json.dumps(masked({"a": [{"b": {name: "canary"}}, {name: ["canary", 7]}]}))
    assert "canary" not in shown and shown.count(MASK) == 3


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://user:canary@host.example/x", f"https://host.example/{MASK}"),
        ("https://hooks.example/services/canary", f"https://hooks.example/{MASK}"),
        ("https://ping.example?key=canary", f"https://ping.example/{MASK}"),
        ("http://[canary", MASK),
        ("tgram://canary/1", f"tgram://canary/{MASK}"),
    ],
)
def test_of_an_address_it_shows_where_it_leads(address: str, shown: str) -> None:
    assert masked({"url": address}) == {"url": shown}


def test_everything_else_stays_as_it_is_and_can_be_written_as_json() -> None:
    config = {"a": 1, "b": 0.5, "c": None, "d": True, "e": ["x", 2], "notify_on": ["error"], "token_is_set": False}
    assert masked(config) == config
    assert json.dumps(masked({"speed": math.inf, "rule": object}), allow_nan=False)
