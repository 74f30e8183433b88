"""Who may ask and command through Telegram, and what becomes of it."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from notifications.bot_desk import Answer, Deed, NotTaken, Outcome, Topic
from notifications.telegram.commander import COMMANDS_A_MINUTE, STOPS_A_MINUTE
from notifications.telegram.menu import MENU
from notifications.words import Delivered
from tests.notifications.telegram.harness import ANNA, BEN, GROUP, STRANGER, Clock, MemoryDesk, notice, opened
from tests.notifications.telegram_server import BOT_NAME, CUT, FLOOD, Fault, TelegramServer


@pytest.fixture
def desk() -> MemoryDesk:
    return MemoryDesk()


def ask_and_answer(server: TelegramServer) -> None:
    """Whatever was written before has been heard when this returns."""
    before = len(server.sent)
    server.write("/version")
    server.wait_until(lambda: any("fine" in message.text for message in server.sent[before:]))


def button(server: TelegramServer, word: str) -> str:
    """What the last message's button sends back."""
    return next(data for text, data in server.sent[-1].buttons if text == word)


# questions


@pytest.mark.parametrize("topic", list(Topic))
def test_every_question_is_answered_from_the_desk(server, desk, topic):
    with opened(server, desk):
        server.write(f"/{topic.value} ETH_BTC")
        message = server.wait_for_text("all <well> & good")
    assert desk.asked == [(topic, "ETH_BTC")] and message.chat_id == ANNA and not desk.given


def test_help_names_every_command_and_the_menu_has_them(server, desk):
    with opened(server, desk):
        server.write("/help")
        text = server.wait_for_text("Commands").text
        server.wait_until(lambda: server.menu)
    assert all(f"/{entry.name}" in text for entry in MENU)
    assert server.menu == [entry.name for entry in MENU]
    assert {entry.meaning for entry in MENU} == {None, *Topic, *Deed}


def test_what_is_no_command_is_not_answered_and_an_unknown_one_is(server, desk):
    with opened(server, desk):
        for text in ("hello", "/", "halt", "please /halt", "//halt"):
            server.write(text)
        server.write("/Nonsense")
        server.wait_for_text("There is no /nonsense")
    assert len(server.sent) == 1 and not desk.given


def test_a_long_answer_comes_in_pages(server, desk):
    desk.answer = Answer("Log", tuple(f"line {number}" for number in range(2000)), is_table=True)
    with opened(server, desk):
        server.write("/logs 2000")
        server.wait_for_text("more lines")
    assert [message.text[:9] for message in server.sent] == [f"Log ({number}/4)" for number in (1, 2, 3, 4)]


def test_a_journal_that_does_not_answer_holds_up_no_halt(server, desk):
    desk.hangs = threading.Event()
    with opened(server, desk):
        for _ in range(3):
            server.write("/trades")
        server.write("/halt")
        server.wait_for_text("halt was given.")
        desk.hangs.set()
        server.wait_until(lambda: sum("well" in text for text in server.texts) == 3)


def test_a_defect_of_the_desk_is_told_and_costs_one_answer(server, desk, monkeypatch):
    whole = desk.ask

    def ask(topic: Topic, argument: str, now: Any) -> Answer:
        return whole(topic, argument, now) if topic is not Topic.PROFIT else 1 / 0

    monkeypatch.setattr(desk, "ask", ask)
    with opened(server, desk):
        server.write("/profit")
        server.wait_for_text("That failed (ZeroDivisionError)")
        ask_and_answer(server)


# commands


def test_a_halt_is_given_at_once_and_its_end_is_told(server, desk):
    desk.outcomes[1] = Outcome(True, "halted; 2 orders cancelled")
    with opened(server, desk):
        server.write("/halt the <news>")
        server.wait_for_text("halt: halted; 2 orders cancelled")
    (wish,) = desk.given
    assert (wish.deed, wish.reason, wish.by) == (Deed.HALT, "the <news>", f"telegram user {ANNA}")
    assert server.texts == ["halt was given.", "✓ halt: halted; 2 orders cancelled"]


@pytest.mark.parametrize(
    ("text", "question", "deed"),
    [
        ("/close ETH_BTC", "Close ETH_BTC", "close ETH_BTC"),
        ("/resume", "trade again?", "resume"),
        ("/flatten", "Emergency stop", "flatten"),
    ],
)  # fmt: skip
def test_what_trades_is_asked_back_and_given_by_a_press(server, desk, text, question, deed):
    with opened(server, desk):
        server.write(text)
        message = server.wait_for_text(question)
        assert [word for word, _ in message.buttons] == ["Yes", "No"] and not desk.given
        server.press(button(server, "Yes"), message_id=message.message_id)
        server.wait_for_text(f"{deed}: done")
    assert desk.deeds == [deed]
    assert server.edited == {message.message_id: f"{deed}: yes"} and [text for _, text in server.toasts] == [""]


def test_no_is_no(server, desk):
    with opened(server, desk):
        server.write("/flatten")
        message = server.wait_for_text("Emergency stop")
        no, yes = button(server, "No"), button(server, "Yes")
        server.press(no, message_id=message.message_id)
        server.wait_until(lambda: server.edited)
        server.press(yes)
        server.wait_until(lambda: len(server.toasts) == 2)
    assert not desk.given and server.edited[message.message_id] == "flatten: no, nothing was done"


def test_a_press_is_counted_once(server, desk):
    with opened(server, desk):
        server.write("/flatten")
        server.wait_for_text("Emergency stop")
        yes = button(server, "Yes")
        for _ in range(3):
            server.press(yes)
        server.wait_until(lambda: len(server.toasts) == 3)
    assert desk.deeds == ["flatten"]
    assert (
        sorted(text for _, text in server.toasts)[1:]
        == ["This button is not valid any more. Give the command again."] * 2
    )


def test_the_nonce_of_another_user_is_not_theirs_and_stays_its_owners(server, desk):
    server.chats = {GROUP}
    with opened(server, desk, chat_id=GROUP, user_ids=frozenset({ANNA, BEN}), allows_groups=True):
        server.write("/flatten", chat=GROUP)
        server.wait_for_text("Emergency stop")
        yes = button(server, "Yes")
        server.press(yes, user=BEN, chat=GROUP)
        server.wait_until(lambda: server.toasts)
        assert server.toasts[0][1] == "Only who gave the command can confirm it." and not desk.given
        server.press(yes, chat=GROUP)
        server.wait_for_text("flatten: done")


def test_a_button_of_another_chat_does_not_count(server, desk):
    server.chats = {GROUP, ANNA}
    with opened(server, desk, chat_id=GROUP, allows_groups=True):
        server.write("/flatten", chat=GROUP)
        server.wait_for_text("Emergency stop")
        server.press(button(server, "Yes"), chat=ANNA)
        server.wait_until(lambda: server.toasts)
    assert not desk.given


def test_a_press_comes_too_late_after_a_minute(server, desk):
    clock = Clock()
    with opened(server, desk, clock=clock):
        server.write("/resume")
        server.wait_for_text("trade again?")
        clock.seconds += 61.0
        server.press(button(server, "Yes"))
        server.wait_until(lambda: server.toasts)
    assert "Not confirmed within 60 s" in server.toasts[0][1] and not desk.given


def test_a_button_from_before_a_restart_does_nothing(server, desk):
    with opened(server, desk):
        server.write("/flatten")
        server.wait_for_text("Emergency stop")
    with opened(server, desk):
        server.press(button(server, "Yes"))
        server.wait_until(lambda: server.toasts)
    assert "not valid any more" in server.toasts[0][1] and not desk.given


@pytest.mark.parametrize("data", ["", "y:", ":", "y", "y:guessed", "x:guessed", "🙂" * 10])
def test_made_up_presses_do_nothing(server, desk, data):
    with opened(server, desk):
        server.press(data)
        server.wait_until(lambda: server.toasts)
    assert not desk.given


def test_a_press_without_its_message_is_not_heard(server, desk):
    with opened(server, desk):
        server.write("/flatten")
        server.wait_for_text("Emergency stop")
        server.press(button(server, "Yes"), message=None, inline_message_id="abc")
        ask_and_answer(server)
    assert not desk.given and not server.toasts


def test_a_press_that_the_bots_side_cannot_take_is_told_and_the_button_goes(server, desk, monkeypatch):
    def give(wish):
        raise NotTaken("the queue's file cannot be used")

    monkeypatch.setattr(desk, "give", give)
    with opened(server, desk):
        server.write("/flatten")
        message = server.wait_for_text("Emergency stop")
        server.press(button(server, "Yes"), message_id=message.message_id)
        server.wait_for_text("the queue's file cannot be used")
        server.wait_until(lambda: server.toasts and server.edited)


def test_commands_that_never_end_are_not_followed_without_number(server, desk, monkeypatch):
    monkeypatch.setattr("notifications.telegram.commander.MOST_FOLLOWED", 2)
    desk.outcomes = {1: None, 2: None}
    with opened(server, desk):
        for _ in range(3):
            server.write("/halt")
        server.wait_for_text("Its end is not told here: 2 commands are not over yet.")
        desk.outcomes.clear()
        server.wait_until(lambda: server.texts.count("✓ halt: done") == 2)


def test_an_unknown_pair_is_refused_before_anything_is_asked(server, desk):
    with opened(server, desk):
        server.write("/close X_Y")
        server.wait_for_text("There is no pair X_Y")
        server.write("/close")
        server.wait_for_text("Which pair?")
    assert not desk.given and not any(message.buttons for message in server.sent)


def test_a_command_that_takes_long_is_told_of_at_a_minute_and_at_its_end(server, desk):
    desk.outcomes[1] = None
    with opened(server, desk):
        server.write("/halt")
        server.wait_for_text("halt is not over yet")
        desk.outcomes[1] = Outcome(False, "failed: no")
        server.wait_for_text("✗ halt: failed: no")


# strangers and other voices


@pytest.mark.parametrize(
    "fields",
    [
        {"from": None},
        {"from": {"id": ANNA, "is_bot": True, "first_name": "Bot"}},
        {"forward_origin": {"type": "user", "date": 1, "sender_user": {"id": 7, "is_bot": False, "first_name": "X"}}},
        {"sender_chat": {"id": GROUP, "type": "supergroup", "title": "anonymous"}},
        {"via_bot": {"id": 9, "is_bot": True, "first_name": "Inline"}},
        {"edit_date": 1_700_000_000},
        {"chat": {"id": ANNA, "type": "channel", "title": "x"}},
    ],
)
def test_other_voices_than_a_person_here_and_now_are_not_heard(server, desk, fields):
    with opened(server, desk):
        for text in ("/halt", "/status"):
            message = server.message(text) | fields
            server.update(message={name: value for name, value in message.items() if value is not None})
        ask_and_answer(server)
    assert not desk.given and desk.asked == [(Topic.VERSION, "")] and len(server.sent) == 1


@pytest.mark.parametrize(
    ("user", "chat"), [(STRANGER, STRANGER), (STRANGER, ANNA), (ANNA, GROUP), (STRANGER, GROUP), (BEN, BEN)]
)
def test_whoever_is_not_on_the_list_or_not_in_its_chat_is_not_answered(server, desk, user, chat):
    server.chats |= {user, chat}
    with opened(server, desk):
        for text in ("/halt", "/status", "/start"):
            server.write(text, user=user, chat=chat)
        server.press("y:guessed", user=user, chat=chat)
        ask_and_answer(server)
    assert not desk.given and desk.asked == [(Topic.VERSION, "")] and len(server.sent) == 1 and not server.toasts


@pytest.mark.parametrize("kind", ["edited_message", "channel_post", "edited_channel_post", "business_message"])
def test_edits_and_channel_posts_are_not_heard(server, desk, kind):
    with opened(server, desk):
        server.update(**{kind: server.message("/halt")})
        ask_and_answer(server)
    assert not desk.given and len(desk.asked) == 1


def test_in_the_right_group_only_the_right_users_are_heard(server, desk, caplog):
    server.chats = {GROUP}
    with opened(server, desk, chat_id=GROUP, allows_groups=True):
        server.write("/halt", user=STRANGER, chat=GROUP)
        server.write("/halt@another_bot", chat=GROUP)
        server.write(f"/halt@{BOT_NAME.upper()}", chat=GROUP)
        server.wait_for_text("halt: done")
    assert [wish.by for wish in desk.given] == [f"telegram user {ANNA}"]
    assert {message.chat_id for message in server.sent} == {GROUP}


def test_a_group_is_not_heard_unless_the_config_allows_it_and_the_private_chat_is(server, desk):
    server.chats = {GROUP, ANNA}
    with opened(server, desk, chat_id=GROUP):
        server.write("/halt", chat=GROUP)
        ask_and_answer(server)
    assert not desk.given


def test_in_another_group_nobody_is_heard(server, desk):
    server.chats = {GROUP, GROUP - 1}
    with opened(server, desk, chat_id=GROUP, allows_groups=True):
        server.write("/halt", chat=GROUP - 1)
        server.write("/version", chat=GROUP)
        server.wait_for_text("fine")
    assert not desk.given and {message.chat_id for message in server.sent} == {GROUP}


def test_where_alerts_go_to_a_group_a_user_may_command_in_private(server, desk):
    server.chats = {GROUP, ANNA}
    with opened(server, desk, chat_id=GROUP):
        server.write("/halt")
        server.wait_for_text("halt: done")
    assert {message.chat_id for message in server.sent} == {ANNA}


def test_a_stranger_is_logged_once_and_a_crowd_of_them_not_without_end(server, desk, caplog):
    caplog.set_level(logging.WARNING)
    with opened(server, desk):
        for number in range(150):
            server.write("/flatten", user=STRANGER + number)
            server.write("/flatten", user=STRANGER)
        ask_and_answer(server)
    lines = [record.getMessage() for record in caplog.records if "telegram_stranger" in record.getMessage()]
    assert lines[0] == f"telegram_stranger user={STRANGER} chat={STRANGER}"
    assert len(lines) == len(set(lines)) == 100 and len(server.sent) == 1


# floods, old ones, doubles


def test_a_flood_is_limited_told_once_and_leaves_room_for_a_halt(server, desk):
    for _ in range(90):
        server.write("/status")
    server.write("/halt")
    with opened(server, desk):
        server.wait_for_text("halt: done")
        server.wait_until(lambda: sum("fine" in text for text in server.texts) == COMMANDS_A_MINUTE)
    assert sum("Too many commands" in text for text in server.texts) == 1
    assert len(desk.asked) == COMMANDS_A_MINUTE and desk.deeds == ["halt"]


def test_a_flood_of_halts_fills_no_queue(server, desk):
    for _ in range(90):
        server.write("/halt")
    with opened(server, desk):
        server.wait_for_text("Too many commands")
        ask_and_answer(server)
    assert len(desk.given) == STOPS_A_MINUTE


def test_old_commands_are_dropped_with_one_answer_but_a_stop_is_not(server, desk):
    """Eight hours away: what was written then was meant for another market, unless it was to stop."""
    hours = 8 * 3600.0
    for text in ("/resume", "/close ETH_BTC", "/status", "/halt", "/flatten"):
        server.write(text, age_s=hours)
    server.write("/version", age_s=50.0)
    with opened(server, desk):
        server.wait_for_text("Dropped, older than 60 s: /resume, /close, /status.")
        server.wait_for_text("halt: done")
        server.wait_for_text("Emergency stop")
        server.wait_for_text("fine")
    assert desk.deeds == ["halt"] and desk.asked == [(Topic.VERSION, "")]
    assert sum("Dropped" in text for text in server.texts) == 1


def test_an_update_that_is_told_twice_is_heard_once(server, desk):
    with opened(server, desk):
        number = server.write("/halt")
        server.wait_for_text("halt: done")
        again = server.message("/halt")
        server.update(update_id=number, message=again)
        ask_and_answer(server)
    assert desk.deeds == ["halt"]


def test_ids_that_begin_anew_below_the_old_ones_are_heard(server, desk):
    """As Telegram's do after a week without any."""
    with opened(server, desk):
        ask_and_answer(server)
        server.wait_until(lambda: not server.waiting())
        server.update(update_id=3, message=server.message("/halt"))
        server.wait_for_text("halt: done")


def test_what_was_heard_is_not_heard_again_after_a_restart(server, desk):
    with opened(server, desk):
        server.write("/halt")
        server.wait_for_text("halt: done")
    with opened(server, desk):
        ask_and_answer(server)
    assert desk.deeds == ["halt"]


# the network


def test_an_hour_without_a_network_is_outlived_at_growing_distances(server, desk, caplog):
    clock = Clock()
    server.answer_always("*", CUT)
    with opened(server, desk, clock=clock):
        server.wait_until(lambda: clock.seconds > 1_000.0 + 3600.0)
        server.answer_always("*", None)
        server.write("/halt")
        server.wait_for_text("halt: done")
        assert len(server.calls) < 150
    assert clock.slept[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert sum("telegram_commands_deaf" in record.getMessage() for record in caplog.records) == 1


def test_a_revoked_token_is_looked_at_again_after_a_long_rest(server, desk):
    clock = Clock()
    server.answer_next("getMe", Fault(401, "Unauthorized"), Fault(401, "Unauthorized"))
    server.answer_next("getUpdates", Fault(409, "Conflict: terminated by other getUpdates request"), FLOOD)
    with opened(server, desk, clock=clock):
        server.write("/halt")
        server.wait_for_text("halt: done")
    assert clock.slept[:4] == [600.0, 600.0, 4.0, 35.0]


def test_an_answer_is_tried_again_and_then_given_up(server, desk, caplog):
    clock = Clock()
    with opened(server, desk, clock=clock):
        server.answer_next("sendMessage", FLOOD, CUT)
        server.write("/status")
        server.wait_for_text("fine")
        server.answer_next("sendMessage", CUT, CUT, CUT)
        server.write("/status")
        server.wait_until(lambda: any("telegram_answer_lost" in record.getMessage() for record in caplog.records))
        ask_and_answer(server)
    assert 35.0 in clock.slept and len(desk.asked) == 3


def test_alerts_go_on_while_commands_are_deaf(server, desk):
    server.answer_always("getUpdates", CUT)
    with opened(server, desk) as running:
        assert running.send(notice()) == Delivered()


def test_an_update_that_cannot_be_read_ends_nothing(server, desk):
    with opened(server, desk):
        server.answer_next("getUpdates", Fault(200, body='{"ok": true, "result": [{"message": 7}]}'))
        server.wait_until(lambda: server.calls.count("getUpdates") >= 2)
        server.write("/halt")
        server.wait_for_text("halt: done")
