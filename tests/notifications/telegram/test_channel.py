"""Alerts through the real library to a server that speaks the Bot API."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from notifications.telegram.access import TelegramAccess
from notifications.words import Delivered, Refused, TryLater, Undeliverable
from tests.notifications.telegram.harness import ANNA, GROUP, Clock, MemoryDesk, access, chart, notice, opened, picture
from tests.notifications.telegram_server import CUT, FLOOD, TOKEN, Fault, TelegramServer

SECRET_HALF = TOKEN.partition(":")[2]


def test_a_notice_arrives_with_all_it_says(server):
    with opened(server) as running:
        assert running.send(notice(body="The spread is wide."), repeats=12) == Delivered()
    (message,) = server.sent
    assert message.text == (
        "Entered ETH_BTC long (12 times)\nz: -2.31\nETH/USDT: +1.5 at 3,000\n\nThe spread is wide.\n"
        "2024-03-01 12:00:00 UTC"
    )
    assert (message.chat_id, message.is_silent) == (ANNA, False)


def test_silent_is_without_a_sound_and_critical_is_marked(server):
    with opened(server) as running:
        running.send(notice(is_critical=True), is_silent=True)
    (message,) = server.sent
    assert message.is_silent and message.text.startswith("‼ Entered")


@pytest.mark.parametrize(
    "text",
    [
        "A_B*C[D](x)`E~",
        "<b>&amp;</i> 1 < 2 > 0 & x",
        "</code><script>",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        "a\nb",
    ],
)
def test_what_an_exchange_says_is_shown_as_it_is(server, text):
    with opened(server) as running:
        assert running.send(notice(title=text, rows=((text, text),), body=text)) == Delivered()
    (message,) = server.sent
    assert message.text.count(text) == 4 and not message.is_plain


@pytest.mark.parametrize("letter", ["x", "<", "&", "😀"])
def test_a_message_too_long_is_cut_between_letters_and_says_so(server, letter):
    with opened(server) as running:
        assert running.send(notice(body=letter * 5000)) == Delivered()
    (message,) = server.sent
    assert message.text.startswith("Entered ETH_BTC long") and message.text.endswith("\n… cut")
    assert 4094 <= len(message.text.encode("utf-16-le")) // 2 <= 4096


def test_a_chart_is_a_picture_with_the_words_under_it(server):
    with opened(server) as running:
        assert running.send(notice(chart=chart()), is_silent=True) == Delivered()
    (message,) = server.sent
    assert message.picture.startswith(b"\x89PNG") and message.is_silent
    assert message.text.startswith("Entered ETH_BTC long\nz: -2.31")


def test_words_too_long_for_a_caption_come_first_and_the_pictures_after_them(server):
    with opened(server) as running:
        assert running.send(notice(body="x" * 1500, pictures=(picture(), picture()))) == Delivered()
    first, second, third = server.sent
    assert "x" * 1500 in first.text and not first.picture
    assert second.picture and third.picture and second.text == "Entered ETH_BTC long"


def test_a_picture_that_is_refused_costs_the_words_nothing(server):
    server.answer_always("sendPhoto", Fault(400, "Bad Request: not enough rights to send photos to the chat"))
    with opened(server) as running:
        assert running.send(notice(pictures=(picture(),))) == Delivered()
    assert [message.picture for message in server.sent] == [b""]


def test_a_chart_that_cannot_be_drawn_costs_the_words_nothing(server, monkeypatch):
    monkeypatch.setattr("notifications.telegram.channel.draw", lambda chart: 1 / 0)
    with opened(server) as running:
        assert running.send(notice(chart=chart())) == Delivered()
    assert [message.picture for message in server.sent] == [b""]


def test_markup_that_telegram_refuses_is_sent_again_as_plain_words(server):
    server.answer_next("sendMessage", Fault(400, "Bad Request: can't parse entities"))
    with opened(server) as running:
        assert running.send(notice(title="a < b")) == Delivered()
    (message,) = server.sent
    assert message.is_plain and message.text.startswith("a < b\nz: -2.31")


def test_a_message_that_telegram_refuses_as_page_and_as_words_goes_in_short(server):
    refusal = Fault(400, "Bad Request: wrong something")
    server.answer_next("sendMessage", refusal, refusal)
    with opened(server) as running:
        assert running.send(notice(title="a \u2028 b")) == Delivered()
    (message,) = server.sent
    assert message.is_plain and message.text.startswith("a b\n\nThe rest of this notice was refused here.")


def test_a_message_that_is_refused_in_any_form_is_refused_alone(server):
    server.answer_always("sendMessage", Fault(400, "Bad Request: wrong something"))
    with opened(server) as running:
        delivery = running.send(notice())
    assert isinstance(delivery, Refused) and "rong something" in delivery.reason


def test_a_channel_that_is_opened_again_on_another_loop_sends(server):
    with opened(server) as running:
        assert running.send(notice()) == Delivered()
        running.do(running.channel.close())
        asyncio.run(opened_again(running.channel))
    assert len(server.sent) == 2


async def opened_again(channel):
    await channel.open()
    assert await channel.send(notice(), repeats=1, is_silent=False) == Delivered()
    await channel.close()


# what goes wrong


def test_a_flood_limit_is_waited_for_as_long_as_telegram_says(server):
    server.answer_next("sendMessage", FLOOD)
    clock = Clock()
    with opened(server, clock=clock) as running:
        for left_s in (35.0, 30.0):
            delivery = running.send(notice())
            assert isinstance(delivery, TryLater) and delivery.after_s == left_s
            clock.seconds += 5.0
        assert server.calls.count("sendMessage") == 1
        clock.seconds += 25.0
        assert running.send(notice()) == Delivered()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (CUT, "not reached"),
        (Fault(502, "Bad Gateway"), "Bad Gateway"),
        (Fault(500, body="<html>oops</html>"), "not reached"),
        (Fault(200, body="<html>log in to the hotel's network</html>"), "not reached"),
        (Fault(200, body="{}"), "not understood"),
        (Fault(200, body='{"ok": true, "result": 7}'), "not understood"),
    ],
)
def test_what_may_pass_is_tried_later(server, fault, said):
    server.answer_next("sendMessage", fault)
    with opened(server) as running:
        delivery = running.send(notice())
    assert isinstance(delivery, TryLater) and delivery.after_s is None and said in delivery.reason


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(403, "Forbidden: bot was blocked by the user"), "does not take the bot's messages"),
        (Fault(400, "Bad Request", {"migrate_to_chat_id": -100777}), "TELEGRAM_CHAT_ID to -100777"),
        (Fault(401, "Unauthorized"), "@BotFather"),
        (Fault(404, "Not Found"), "@BotFather"),
        (Fault(400, "Bad Request: not enough rights to send text messages to the chat"), "does not take"),
        (Fault(400, "Bad Request: PEER_ID_INVALID"), "does not take"),
    ],
)  # fmt: skip
def test_what_a_person_must_mend_is_a_sentence(server, fault, said):
    server.answer_always("sendMessage", fault)
    with opened(server) as running:
        delivery = running.send(notice())
    assert isinstance(delivery, Undeliverable) and said in delivery.reason


def test_an_unknown_chat_is_undeliverable(server):
    server.chats = {1}
    with opened(server) as running:
        delivery = running.send(notice())
        assert isinstance(delivery, Undeliverable) and "chat not found" in delivery.reason.lower()
        assert running.do(running.channel.check()) == delivery


def test_a_token_revoked_in_the_middle_ends_the_telling_and_a_new_start_with_another_goes_on(server):
    with opened(server) as running:
        assert running.send(notice()) == Delivered()
        assert running.do(running.channel.check()) == Delivered()
        server.token = "123456789:another"
        assert isinstance(running.send(notice()), Undeliverable)
        assert isinstance(running.do(running.channel.check()), Undeliverable)
    with opened(server, token="123456789:another") as running:
        assert running.send(notice()) == Delivered()


def test_nobody_there_is_tried_later():
    with TelegramServer().serving() as gone:
        pass
    with opened(gone) as running:
        delivery = running.send(notice())
    assert isinstance(delivery, TryLater) and "not reached" in delivery.reason


def test_a_server_that_hangs_is_given_up(server, monkeypatch):
    monkeypatch.setattr("notifications.telegram.client.READ_S", 0.2)
    released = threading.Event()
    on_message = server._on_sendMessage

    async def hang(form):
        while not released.is_set():
            await asyncio.sleep(0.01)
        return await on_message(form)

    server._on_sendMessage = hang
    with opened(server) as running:
        delivery = running.send(notice())
    released.set()
    assert isinstance(delivery, TryLater) and "Timed out" in delivery.reason


# pace


def test_a_chat_gets_a_message_a_second(server):
    clock = Clock()
    with opened(server, clock=clock) as running:
        for _ in range(30):
            assert running.send(notice()) == Delivered()
    assert clock.seconds - 1_000.0 == pytest.approx(29.0)


def test_a_group_gets_twenty_a_minute_and_the_rest_later(server):
    server.chats = {GROUP}
    clock = Clock()
    with opened(server, clock=clock, chat_id=GROUP) as running:
        for _ in range(20):
            assert running.send(notice()) == Delivered()
        delivery = running.send(notice())
        assert isinstance(delivery, TryLater) and delivery.after_s == pytest.approx(41.0)
        assert len(server.sent) == 20
        clock.seconds += delivery.after_s
        assert running.send(notice()) == Delivered()


# the token


def test_the_token_is_in_no_log_no_reason_and_no_repr(server, caplog):
    caplog.set_level(logging.DEBUG)
    echo = f"<html>bad gateway for /bot{TOKEN}/sendMessage or {TOKEN.replace(':', '%3A')}</html>"
    faults = [
        CUT,
        Fault(502, body=echo),
        Fault(200, body=echo),
        Fault(502, echo),
        Fault(401, echo),
        Fault(400, echo),
        FLOOD,
    ]
    reasons = []
    with opened(server) as running:
        logging.getLogger("telegram").debug("the level stays where the channel has put it")
        for fault in faults:
            server.answer_next("sendMessage", fault, fault)
            reasons.append(running.send(notice()))
        server.token = "revoked"
        reasons.append(running.do(running.channel.check()))
    told = repr(reasons) + caplog.text + "".join(record.getMessage() for record in caplog.records)
    assert SECRET_HALF not in told and SECRET_HALF not in repr(access(server)) and len(reasons) == 8
    assert all(not isinstance(reason, Delivered) for reason in reasons)


@pytest.mark.parametrize("url", ["http://telegram.example", "ftp://127.0.0.1", "api.telegram.org"])
def test_a_token_goes_nowhere_unencrypted(url):
    with pytest.raises(ValueError, match="https://") as refused:
        TelegramAccess(TOKEN, ANNA, api_url=url)
    assert SECRET_HALF not in str(refused.value)


def test_without_commands_or_users_nobody_listens(server, caplog):
    with opened(server) as running:
        server.write("/halt")
        running.send(notice())
    with opened(server, MemoryDesk(), takes_commands=False) as running:
        running.send(notice())
    with opened(server, MemoryDesk(), user_ids=frozenset()) as running:
        running.send(notice())
    assert set(server.calls) == {"sendMessage"} and "TELEGRAM_USER_IDS is not set" in caplog.text
