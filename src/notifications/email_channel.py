"""Notices by email: plain text and a small page, pictures inside, over TLS to a server that takes a login."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

import aiosmtplib

from notifications.plain_text import headline, html_text, plain_text, short_text
from notifications.words import (
    Delivered,
    Delivery,
    Failed,
    Notice,
    Picture,
    Refused,
    SpreadChart,
    TryLater,
    Undeliverable,
)

TIMEOUT_S = 20.0
LEAVING_S = 1.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
PORTS = {"starttls": 587, "tls": 465, "none": 25}
LONGEST_REASON = 200
TOO_LARGE = 552
# A server that has taken its share of mails for now says so with 5xx too; 5.2.2 and 5.4.5 are a full box and a quota.
PASSES = re.compile(r"\b5\.(?:2\.2|4\.5)\b|quota|\brate\b|sending limit|too many|throttl|try again|later", re.I)

log = logging.getLogger(__name__)

Security = Literal["starttls", "tls", "none"]
Draw = Callable[[SpreadChart], Picture]


@dataclass(frozen=True, slots=True)
class EmailSettings:
    """Raises ValueError for a server elsewhere without TLS. ``port`` None: the usual one. ``user`` empty: no login.

    ``ca_file``: a server's own authority, beside those that everybody trusts.
    """

    host: str
    sender: str
    to: tuple[str, ...]
    security: Security = "starttls"
    port: int | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        if self.security == "none" and self.host not in LOOPBACK:
            raise ValueError(f"no mail goes to {self.host} without TLS: set security to starttls or tls")

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port or PORTS[self.security]}"


class EmailChannel:
    """``draw``: a chart as a picture, called on the channel's thread."""

    name = "email"

    def __init__(self, settings: EmailSettings, draw: Draw) -> None:
        self._settings, self._draw = settings, draw

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def send(self, notice: Notice, *, repeats: int, is_silent: bool) -> Delivery:
        """A mail has no sound; ``is_silent`` changes nothing."""
        message = mail_of(notice, self._settings, repeats=repeats, pictures=self._pictures(notice))
        delivery = await self._with_server(lambda server: self._hand_over(server, message))
        if not isinstance(delivery, Refused):
            return delivery
        short = short_mail_of(notice, self._settings, repeats=repeats)
        return await self._with_server(lambda server: self._hand_over(server, short))

    async def check(self) -> Delivery:
        """Whether the server takes connection and login; nothing is sent."""
        return await self._with_server(_nothing)

    async def _with_server(self, act: Callable[[aiosmtplib.SMTP], Awaitable[None]]) -> Delivery:
        server: aiosmtplib.SMTP | None = None
        transport: asyncio.BaseTransport | None = None  # of a connection that is cut the server forgets it unclosed
        try:
            server = self._server()
            await server.connect()
            transport = server.transport
            if self._settings.user:
                await server.login(self._settings.user, self._settings.password)
            await act(server)
            return Delivered()
        except Exception as error:
            return verdict(error, self._settings.address)
        finally:
            if server is not None:
                await _leave(server, transport or server.transport)

    async def _hand_over(self, server: aiosmtplib.SMTP, message: EmailMessage) -> None:
        refused, _ = await server.send_message(message)
        for address, answer in refused.items():
            log.warning("address_refused address=%s code=%s", address, answer.code)

    def _server(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port or PORTS[settings.security],
            timeout=settings.timeout_s,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=_trust(settings) if settings.security != "none" else None,
        )

    def _pictures(self, notice: Notice) -> tuple[Picture, ...]:
        if notice.chart is None:
            return notice.pictures
        return (self._draw(notice.chart), *notice.pictures)


def mail_of(notice: Notice, settings: EmailSettings, *, repeats: int, pictures: Sequence[Picture]) -> EmailMessage:
    """The message. Its id is made of the notice's key: a mail that came twice is one to most readers."""
    message = _headed(notice, settings, repeats)
    message.set_content(plain_text(notice, repeats))
    names = tuple(f"picture{number}" for number in range(len(pictures)))
    message.add_alternative(html_text(notice, repeats, images=names), subtype="html")
    page = message.get_payload()[1]  # type: ignore[index]
    for name, picture in zip(names, pictures, strict=True):
        page.add_related(  # type: ignore[union-attr]
            picture.data, "image", "png", cid=f"<{name}>", filename=picture.name, disposition="inline"
        )
    return message


def short_mail_of(notice: Notice, settings: EmailSettings, *, repeats: int) -> EmailMessage:
    """For a server that refuses the whole: its title alone, as plain text."""
    message = _headed(notice, settings, repeats)
    message.set_content(short_text(notice, repeats))
    return message


def _headed(notice: Notice, settings: EmailSettings, repeats: int) -> EmailMessage:
    mark = hashlib.sha256(f"{notice.key}:{repeats}".encode()).hexdigest()[:32]
    message = EmailMessage()
    message["Subject"] = headline(notice, repeats)
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.to)
    message["Date"] = format_datetime(notice.time)
    message["Message-ID"] = f"<{mark}@{settings.sender.rpartition('@')[2].strip('> ') or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def verdict(error: Exception, address: str) -> Delivery:
    """What an error of the library means for another attempt. No text of ours holds the password."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Undeliverable(f"{address}: its certificate is not trusted ({cause.verify_message})")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return _of_addresses(error.recipients, address)
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        reason = f"{address}: the login was refused ({error.code})"
        return Undeliverable(reason) if _is_for_good(error.code, "") else TryLater(reason)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _of_answer(error, _line(f"{address}: {error.code} {error.message}"))
    if isinstance(error, aiosmtplib.SMTPNotSupported) or "STARTTLS" in str(error):
        return Undeliverable(_line(f"{address}: {error}"))
    reason = _line(f"{address}: {type(error).__name__}")
    return TryLater(reason) if isinstance(error, aiosmtplib.SMTPException | OSError) else Failed(reason)


def _of_addresses(refusals: Sequence[aiosmtplib.SMTPRecipientRefused], address: str) -> Delivery:
    first = refusals[0].code if refusals else "?"
    reason = f"{address}: every address was refused ({first})"
    is_for_good = refusals and all(_is_for_good(one.code, one.message) for one in refusals)
    return Undeliverable(reason) if is_for_good else TryLater(reason)


def _of_answer(error: aiosmtplib.SMTPResponseException, reason: str) -> Delivery:
    """What is refused once the server has the whole mail, or hears how large it is, is refused for what it holds."""
    if not _is_for_good(error.code, error.message):
        return TryLater(reason)
    is_of_one = isinstance(error, aiosmtplib.SMTPDataError) or error.code == TOO_LARGE
    return Refused(reason) if is_of_one else Undeliverable(reason)


def _is_for_good(code: int, message: str) -> bool:
    """Of SMTP: 5xx is, 4xx passes, and so does a quota."""
    return 500 <= code < 600 and not PASSES.search(message)


def _line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]


async def _leave(server: aiosmtplib.SMTP, transport: asyncio.BaseTransport | None) -> None:
    """Politely, where the other side still answers; then at once."""
    with suppress(Exception):
        await server.quit(timeout=LEAVING_S)
    server.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
        await asyncio.sleep(0)  # the turn in which the socket is closed
        await asyncio.sleep(0)


async def _nothing(server: aiosmtplib.SMTP) -> None:
    pass


def _trust(settings: EmailSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.ca_file)
