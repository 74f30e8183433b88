"""A real SMTP server on this machine: over TLS by an authority of its own, with a login, and with faults."""

from __future__ import annotations

import asyncio
import email.policy
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from brokers.desk.tls import CA_FILE, throwaway_tls

USER, PASSWORD = "bot@example.org", "canary-smtp-password"


class MailServer:
    """``mails``: what arrived. ``answers``: by command ("MAIL", "RCPT", "DATA"), what it says instead of yes.

    ``refuses``: words that it takes in no mail.
    """

    def __init__(self, folder: Path, *, security: str = "starttls", password: str = PASSWORD) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.answers: dict[str, str] = {}
        self.refuses = b""
        self.hangs_at = ""
        self.cuts_at = ""
        self.connections = 0
        self.port = 0
        self.ca_file = str(folder / CA_FILE)
        self._security, self._password = security, password
        self._tls: ssl.SSLContext | None = None if security == "none" else throwaway_tls(folder)
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._sessions: list[SMTP] = []

    # what aiosmtpd asks of a handler

    async def handle_MAIL(self, server: SMTP, session: Any, envelope: Any, address: str, options: Any) -> str:
        envelope.mail_from = address
        return await self._reply("MAIL", server, lambda: envelope.mail_options.extend(options))

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: Any) -> str:
        return await self._reply("RCPT", server, lambda: envelope.rcpt_tos.append(address))

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        def keep() -> None:
            parsed = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
            assert isinstance(parsed, EmailMessage)
            self.mails.append(parsed)
            self.recipients += envelope.rcpt_tos

        if self.refuses and self.refuses in envelope.original_content:
            return "554 5.7.1 rejected for its content"
        return await self._reply("DATA", server, keep)

    async def _reply(self, command: str, server: SMTP, accept: Any) -> str:
        if command == self.hangs_at:
            await asyncio.Event().wait()
        if command == self.cuts_at:
            server.transport.abort()
            return "421 cut"
        if command in self.answers:
            return self.answers[command]
        accept()
        return "250 OK"

    def _login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False)
        known = (data.login, data.password) == (USER.encode(), self._password.encode())
        return AuthResult(success=known, handled=False)

    # its life

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="mail-server", daemon=True)
        self._thread.start()
        assert ready.wait(10.0)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        self._loop.call_soon(ready.set)
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        direct = self._tls if self._security == "tls" else None
        return await self._loop.create_server(self._protocol, "127.0.0.1", 0, ssl=direct)

    def _protocol(self) -> SMTP:
        self.connections += 1
        starttls = self._tls if self._security == "starttls" else None
        session = SMTP(
            self,
            hostname="mail.test",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_require_tls=self._security == "starttls",
            authenticator=self._login,
            auth_required=self._security == "starttls",
            loop=self._loop,
        )
        self._sessions.append(session)
        return session

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        for session in self._sessions:
            if session.transport is not None:
                session.transport.abort()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.01)


@contextmanager
def mail_server(folder: Path, **terms: Any) -> Iterator[MailServer]:
    server = MailServer(folder, **terms)
    server.start()
    try:
        yield server
    finally:
        server.stop()
