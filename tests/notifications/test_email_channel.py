from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from notifications.chart import draw
from notifications.email_channel import EmailChannel, EmailSettings, mail_of
from notifications.words import Delivered, Delivery, Notice, Picture, Refused, SpreadChart, TryLater, Undeliverable
from tests.notifications.channels import NOON, notice
from tests.notifications.mail_server import PASSWORD, USER, MailServer, mail_server

PNG = b"\x89PNG\r\n\x1a\n"
HOUR_LATER = NOON.replace(hour=13)
ENTRY = notice(
    "entry",
    title="0001: ETH_BTC opened long at z -2.13",
    rows=(("z", "-2.13"), ("Fees", "-1.20 USDT")),
    body="all is <well>",
    chart=SpreadChart("ETH_BTC", (NOON, HOUR_LATER), (0.1, -2.13), (("entry", 2.0),), ((HOUR_LATER, -2.13, "entry"),)),
    pictures=(Picture("equity.png", PNG + b"equity"),),
)


def settings(server: MailServer, **more) -> EmailSettings:
    terms = {"security": "starttls", "user": USER, "password": PASSWORD, "ca_file": server.ca_file, "timeout_s": 10.0}
    to = ("me@example.org", "you@example.org")
    return EmailSettings(host="127.0.0.1", port=server.port, sender="Bot <bot@example.org>", to=to, **(terms | more))


def send(terms: EmailSettings, one: Notice = ENTRY, *, repeats: int = 1) -> Delivery:
    return asyncio.run(EmailChannel(terms, draw).send(one, repeats=repeats, is_silent=False))


@pytest.fixture
def server(tmp_path):
    with mail_server(tmp_path) as one:
        yield one


def test_a_notice_arrives_as_text_and_page_with_its_pictures_inside(server):
    assert send(settings(server)) == Delivered()
    (mail,) = server.mails
    assert mail["Subject"] == ENTRY.title and mail["From"] == "Bot <bot@example.org>"
    assert server.recipients == ["me@example.org", "you@example.org"]
    text, page = mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()
    assert "Fees: -1.20 USDT" in text and "all is <well>" in text and "2024-05-01 12:00:00 UTC" in text
    assert "all is &lt;well&gt;" in page and 'src="cid:picture0"' in page and 'src="cid:picture1"' in page
    pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert [part["Content-ID"] for part in pictures] == ["<picture0>", "<picture1>"]
    assert all(part.get_content().startswith(PNG) for part in pictures)
    assert pictures[1].get_content() == PNG + b"equity"


def test_repeats_and_what_is_critical_stand_in_the_subject(server):
    send(settings(server), replace(ENTRY, is_critical=True), repeats=12)
    assert server.mails[0]["Subject"] == f"CRITICAL: {ENTRY.title} (12 times)"


def test_no_line_break_makes_a_header(server):
    evil = notice("evil", title="ETH\r\nBcc: thief@example.org\n\nhello", rows=(("a\nb: c", "d\r\n.\r\ne"),))
    assert send(settings(server), evil) == Delivered()
    (mail,) = server.mails
    assert mail["Bcc"] is None and "thief@example.org" not in server.recipients
    assert mail["Subject"] == "ETH Bcc: thief@example.org hello"


def test_the_same_notice_has_the_same_id_and_another_has_another():
    terms = EmailSettings(host="127.0.0.1", sender="a@b.org", to=("c@d.org",))
    ids = [mail_of(one, terms, repeats=1, pictures=())["Message-ID"] for one in (ENTRY, ENTRY, notice("other"))]
    assert ids[0] == ids[1] != ids[2] and ids[0].endswith("@b.org>")


def test_it_goes_over_tls_from_the_first_byte_too(tmp_path):
    with mail_server(tmp_path, security="tls") as server:
        assert send(settings(server, security="tls", user="")) == Delivered()


def test_without_tls_it_goes_to_this_machine_only(tmp_path):
    with mail_server(tmp_path, security="none") as server:
        assert send(settings(server, security="none", user="", password="")) == Delivered()
    with pytest.raises(ValueError, match="no mail goes to mail.example.org without TLS"):
        EmailSettings(host="mail.example.org", sender="a@b.c", to=("d@e.f",), security="none")


def test_a_server_that_offers_no_tls_gets_nothing(tmp_path):
    with mail_server(tmp_path, security="none") as server:
        answer = send(settings(server, security="starttls", ca_file=None))
        assert isinstance(answer, Undeliverable) and "STARTTLS" in answer.reason
        assert server.mails == []


def test_a_refused_login_needs_a_person_and_the_password_is_in_no_text(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with mail_server(tmp_path, password="another") as server:
        terms = settings(server)
        answer = send(terms)
    assert isinstance(answer, Undeliverable) and "the login was refused (535)" in answer.reason
    assert PASSWORD not in answer.reason + caplog.text + repr(terms)


@pytest.mark.parametrize(
    ("command", "reply", "kind"),
    [
        ("DATA", "451 try again later", TryLater),
        ("DATA", "552 message too large", Refused),
        ("DATA", "554 5.7.1 rejected as spam", Refused),
        ("DATA", "550 5.4.5 Daily user sending limit exceeded", TryLater),
        ("DATA", "552 5.2.2 the mailbox is full", TryLater),
        ("DATA", "550 too many messages, slow down", TryLater),
        ("RCPT", "450 mailbox busy", TryLater),
        ("RCPT", "550 rate limit exceeded", TryLater),
        ("RCPT", "550 no such user", Undeliverable),
        ("MAIL", "550 this sender is not yours", Undeliverable),
        ("MAIL", "552 5.3.4 message size exceeds fixed limit", Refused),
    ],
)
def test_4xx_and_a_quota_pass_and_5xx_is_for_good_of_one_mail_or_of_all(server, command, reply, kind):
    server.answers[command] = reply
    answer = send(settings(server))
    assert isinstance(answer, kind) and reply[:3] in answer.reason
    assert server.mails == []
    server.answers.clear()
    assert send(settings(server)) == Delivered()


def test_a_mail_that_is_refused_for_what_it_holds_goes_in_short(server):
    server.refuses = b"<html>"
    assert send(settings(server)) == Delivered()
    (mail,) = server.mails
    assert mail["Subject"] == ENTRY.title and not mail.is_multipart()
    assert ENTRY.title in mail.get_content() and "Fees" not in mail.get_content()


def test_a_server_that_hangs_is_given_up(server):
    server.hangs_at = "DATA"
    answer = send(settings(server, timeout_s=0.5))
    assert isinstance(answer, TryLater) and "Timeout" in answer.reason


def test_a_connection_that_is_cut_is_tried_again(server):
    server.cuts_at = "DATA"
    assert isinstance(send(settings(server)), TryLater)


def test_nobody_there_is_tried_again(tmp_path):
    with mail_server(tmp_path) as server:
        terms = settings(server)
    assert isinstance(send(terms), TryLater)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_trusts_gets_no_password(tmp_path, security):
    with mail_server(tmp_path, security=security) as server:
        answer = send(settings(server, security=security, ca_file=None))
        assert isinstance(answer, Undeliverable) and "its certificate is not trusted" in answer.reason
        assert server.mails == []


def test_a_certificate_file_that_is_not_there_is_said(server):
    answer = send(settings(server, ca_file="none.pem"))
    assert isinstance(answer, TryLater) and "FileNotFoundError" in answer.reason


def test_a_check_logs_in_and_sends_nothing(server, tmp_path):
    assert asyncio.run(EmailChannel(settings(server), draw).check()) == Delivered()
    assert isinstance(asyncio.run(EmailChannel(settings(server, password="x"), draw).check()), Undeliverable)
    assert server.mails == [] and server.connections == 2
