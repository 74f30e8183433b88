"""A client of raw bytes: what ccxt would hide."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from typing import Any
from urllib.parse import urlencode

from brokers.desk.desk import Desk

PATIENCE_S = 10.0


def signed(values: dict[str, Any], *, secret: str = "desk-secret", now_ms: int | None = None) -> str:
    """A query with time and signature; by the wall's clock unless told otherwise."""
    stamped = {"timestamp": round(time.time() * 1000) if now_ms is None else now_ms, **values}
    query = urlencode({name: value for name, value in stamped.items() if value is not None})
    return f"{query}&signature={hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"


def market_order(client_id: str, **more: Any) -> str:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": client_id}
    return signed(order | more)


def request_bytes(method: str, path: str, query: str, *, key: str | None = "desk-key") -> bytes:
    inside = method in ("POST", "PUT")
    target, body = (path, query) if inside else (f"{path}?{query}" if query else path, "")
    header = f"X-MBX-APIKEY: {key}\r\n" if key else ""
    kind = "Content-Type: application/x-www-form-urlencoded\r\n"
    return (
        f"{method} {target} HTTP/1.1\r\nHost: desk\r\nConnection: close\r\n{header}{kind}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def exchange_bytes(desk: Desk, sent: bytes) -> bytes:
    """Everything that comes back until the server closes. Raises ``ConnectionResetError`` after an RST."""
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.ports[0])
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    finally:
        writer.close()


async def ask(desk: Desk, method: str, path: str, query: str = "", *, key: str | None = "desk-key") -> tuple[int, str]:
    """Status and body."""
    answer = (await exchange_bytes(desk, request_bytes(method, path, query, key=key))).decode()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


async def headers_of(desk: Desk, method: str, path: str, query: str = "") -> dict[str, str]:
    head = (await exchange_bytes(desk, request_bytes(method, path, query))).decode().partition("\r\n\r\n")[0]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}
