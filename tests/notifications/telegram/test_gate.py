"""Whatever an update is made of, only those on the list are heard."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from telegram import Update

from notifications.telegram.access import TelegramAccess
from notifications.telegram.gate import Asked, Gate, Pressed
from tests.notifications.telegram.harness import ANNA, BEN, GROUP, STRANGER

PERSON = {"id": STRANGER, "is_bot": False, "first_name": "X"}
FOREIGN = {
    "forward_origin": {"type": "hidden_user", "date": 1, "sender_user_name": "X"},
    "sender_chat": {"id": GROUP, "type": "supergroup", "title": "x"},
    "via_bot": PERSON | {"is_bot": True},
    "edit_date": 1,
}
KINDS = (
    "message",
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_message",
    "callback_query",
)

DRAWS = 3_000


def drawn(chance: Random) -> dict[str, Any]:
    user = chance.choice([None, ANNA, ANNA, ANNA, BEN, STRANGER])
    chat = chance.choice([ANNA, ANNA, BEN, STRANGER, GROUP, GROUP, GROUP - 1])
    return {
        "kind": chance.choice(KINDS),
        "user": user and PERSON | {"id": user, "is_bot": chance.random() < 0.2},
        "chat": {
            "id": chat,
            "type": chance.choice(["private", "private", "group", "supergroup", "channel"]),
            "title": "x",
        },
        "foreign": chance.sample(sorted(FOREIGN), chance.choice([0, 0, 0, 1, 2])),
        "text": chance.choice(["/halt", "/halt", "/halt@tandem_bot now", "/halt@another", "halt", "", None]),
        "has_message": chance.random() < 0.7,
    }


def built(one: dict[str, Any]) -> Update | None:
    """None for what Telegram never sends."""
    message = {"message_id": 1, "date": 1_700_000_000, "chat": one["chat"], "from": one["user"], "text": one["text"]}
    message |= {name: FOREIGN[name] for name in one["foreign"]}
    content = {name: value for name, value in message.items() if value is not None}
    if one["kind"] == "callback_query":
        if one["user"] is None:
            return None
        press = {"id": "1", "from": one["user"], "chat_instance": "1", "data": "y:x"}
        content = press | ({"message": content} if one["has_message"] else {"inline_message_id": "1"})
    return Update.de_json({"update_id": 1, one["kind"]: content}, None)


@pytest.mark.parametrize("allows_groups", [False, True])
def test_only_who_is_on_the_list_in_its_chat_is_heard_and_in_their_own_words(allows_groups):
    chance, heard = Random(7), Counter[str]()
    for _ in range(DRAWS):
        heard[judged(drawn(chance), allows_groups=allows_groups)] += 1
    assert min(heard["Asked"], heard["Pressed"]) > 10 and heard["NoneType"] > DRAWS / 2


def judged(one: dict[str, Any], *, allows_groups: bool) -> str:
    """What it was heard as, after comparing that with what it should be."""
    update = built(one)
    if update is None:
        return "never sent"
    access = TelegramAccess("1:t", GROUP, frozenset({ANNA, BEN}), takes_commands=True, allows_groups=allows_groups)
    gate = Gate(access)
    gate.username = "Tandem_Bot"
    heard = gate.read(update)
    user, chat = one["user"], one["chat"]
    is_let_in = (
        user is not None
        and user["id"] in (ANNA, BEN)
        and not user["is_bot"]
        and chat["id"] in (GROUP, user["id"])
        and (chat["type"] == "private" or (allows_groups and chat["type"] in ("group", "supergroup")))
    )
    if (
        one["kind"] == "message"
        and one["text"] in ("/halt", "/halt@tandem_bot now")
        and not one["foreign"]
        and is_let_in
    ):
        assert isinstance(heard, Asked) and (heard.user_id, heard.chat_id) == (user["id"], chat["id"])
    elif one["kind"] == "callback_query" and one["has_message"] and is_let_in:
        assert isinstance(heard, Pressed) and (heard.user_id, heard.chat_id) == (user["id"], chat["id"])
    else:
        assert heard is None
    return type(heard).__name__
