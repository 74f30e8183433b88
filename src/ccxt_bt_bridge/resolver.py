"""Where requests may go. With an address of our own nothing leaves the machine: every other name is refused."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from ccxt_bt_bridge.local_address import loopback_address, trust
from ccxt_bt_bridge.wire import current_attempt

# An order after a quiet hour should not pay a new handshake; the session's pings keep connections younger than this.
KEEP_ALIVE_S = 30.0
CLOSE_HANDSHAKE_S = 0.2


class PinnedResolver(AbstractResolver):
    """Knows these hosts, all at one port of this machine, and refuses every other name."""

    def __init__(self, hosts: frozenset[str], port: int) -> None:
        self._hosts, self._port = hosts, port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in self._hosts:
            raise OSError(f"{host} is not the exchange on this machine; nothing is sent there")
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]  # fmt: skip

    async def close(self) -> None:
        """Nothing is held."""


def open_session(url: str | None, ca_file: str | None, hosts: frozenset[str]) -> GuardedSession:
    """The HTTP session of a production address (``url`` None) or of one on this machine. In a running loop.

    Raises ``ValueError`` for an address elsewhere or a CA file that cannot be read.
    """
    # No limit of connections: an order or a cancel would stand behind slow answers, below every limiter.
    settings: dict[str, Any] = {"keepalive_timeout": KEEP_ALIVE_S, "limit": 0}
    if url is not None:
        parts = urlsplit(loopback_address(url, ca_file))
        pinned = hosts if parts.scheme == "https" else frozenset({"localhost"})
        settings["resolver"] = PinnedResolver(pinned, parts.port or 0)
        settings["use_dns_cache"] = False
    if ca_file is not None:
        settings["ssl"] = trust(ca_file)
    connector = aiohttp.TCPConnector(**settings)
    return GuardedSession(aiohttp.ClientSession(connector=connector, trust_env=False))


class GuardedSession:
    """The session that ccxt's clients get: it follows no redirect, and notes when a request leaves.

    aiohttp would send a POST a second time after a 307, and the key's header to whatever host a 302 names.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.headers = session.headers

    def get(self, url: Any, **kwargs: Any) -> Any:
        return self._send("GET", url, kwargs)

    def post(self, url: Any, **kwargs: Any) -> Any:
        return self._send("POST", url, kwargs)

    def put(self, url: Any, **kwargs: Any) -> Any:
        return self._send("PUT", url, kwargs)

    def delete(self, url: Any, **kwargs: Any) -> Any:
        return self._send("DELETE", url, kwargs)

    def ws_connect(self, url: str, **kwargs: Any) -> Any:
        patience = aiohttp.ClientWSTimeout(ws_close=CLOSE_HANDSHAKE_S)
        return self._session.ws_connect(url, timeout=patience, **kwargs)

    async def close(self) -> None:
        await self._session.close()

    def _send(self, method: str, url: Any, kwargs: dict[str, Any]) -> Any:
        attempt = current_attempt()
        if attempt is not None:
            attempt.note_sent()
        return self._session.request(method, url, allow_redirects=False, **kwargs)
