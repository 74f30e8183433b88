"""A server of raw bytes over TLS that answers one operation as a row of the wire table says, and counts what came."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl

from tests.ccxt_bt_bridge.wire_table import Order, WireRow

PATHS = {"usdm": "/fapi/v1/order", "spot": "/api/v3/order"}
METHODS = {"create": "POST", "cancel": "DELETE", "fetch": "GET"}
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "1000000", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
    {"filterType": "MIN_NOTIONAL", "notional": "5", "minNotional": "5"},
]
MARKET = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": FILTERS,
    "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC"],
}  # fmt: skip
ONLY = {
    "usdm": {"pair": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "marginAsset": "USDT"},
    "spot": {"isSpotTradingAllowed": True, "permissions": [], "permissionSets": [["SPOT"]]},
}
NO_STOP = {"GET": (400, '{"code":-2013,"msg":"Order does not exist."}'),
           "DELETE": (400, '{"code":-2011,"msg":"Unknown order sent."}')}  # fmt: skip


class WireServer:
    """``row`` and ``operation`` say what the next request meets; ``seen`` counts requests by method and client id."""

    def __init__(self, kind: str, tls: ssl.SSLContext) -> None:
        self.kind, self._tls = kind, tls
        self.row: WireRow | None = None
        self.operation = "create"
        self.seen: Counter[tuple[str, str]] = Counter()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            method, path, query = await _request(reader)
            if path == PATHS[self.kind]:
                await self._play(method, query, writer)
            else:
                writer.write(_answer(*self._ordinary(method, path)))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has given up, as it should for some rows
        finally:
            writer.close()

    def _ordinary(self, method: str, path: str) -> tuple[int, str]:
        if path.endswith("/time"):
            return 200, json.dumps({"serverTime": round(time.time() * 1000)})
        if path.endswith("/exchangeInfo"):
            return 200, json.dumps({"symbols": [MARKET | ONLY[self.kind]], "rateLimits": []})
        if path.endswith("/algoOrder"):
            return NO_STOP[method]
        return 404, '{"code":-5000,"msg":"no such path"}'

    async def _play(self, method: str, query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        cid = query.get("newClientOrderId") or query.get("origClientOrderId", "")
        self.seen[method, cid] += 1
        row = self.row
        if row is None or method != METHODS[self.operation]:
            writer.write(_answer(400, '{"code":-2013,"msg":"Order does not exist."}'))
            await writer.drain()
        elif row.breaks is not None:
            await _break(row.breaks, self._order(cid), writer)
        else:
            body = row.body if isinstance(row.body, str) else json.dumps(row.body(self._order(cid)))
            writer.write(_answer(row.status, body, row.headers))
            await writer.drain()

    def _order(self, cid: str) -> Order:
        status = {"create": "FILLED", "cancel": "CANCELED", "fetch": "FILLED"}[self.operation]
        filled = "0" if self.operation == "cancel" else "0.01"
        order: dict[str, Any] = {
            "orderId": 7, "symbol": "BTCUSDT", "status": status, "clientOrderId": cid, "side": "BUY", "type": "MARKET",
            "origQty": "0.01", "executedQty": filled, "updateTime": 1_700_000_000_000, "price": "0",
        }  # fmt: skip
        if self.kind == "usdm":
            return order | {"avgPrice": "50000"}
        cancelled = {"origClientOrderId": cid, "clientOrderId": "the cancellation's own"}
        return order | {"cummulativeQuoteQty": "500"} | (cancelled if self.operation == "cancel" else {})


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
    body = (await reader.readexactly(int(length[1]))).decode() if length else ""
    method, target, _ = head.split(" ", 2)
    path, _, query = target.partition("?")
    return method, path, dict(parse_qsl(query)) | dict(parse_qsl(body))


def _answer(status: int, body: str, headers: dict[str, str] | None = None) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    kind = "text/html" if body.startswith("<") else "application/json"
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    return f"{head}{more}\r\n{body}".encode()


async def _break(how: str, order: Order, writer: asyncio.StreamWriter) -> None:
    whole = _answer(200, json.dumps(order))
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\nZZZ\r\n{}\r\n"
    partial = {"partial headers": whole[:30], "truncated body": whole[:-40], "bad chunk": chunked}
    partial["garbage"] = b"\0\1 what\r\n\r\n"
    if how in partial:
        writer.write(partial[how])
        await writer.drain()
    elif how == "hangs":
        await asyncio.sleep(1.0)
    elif how == "slow loris":
        for byte in whole:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)
    elif how == "reset after":
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
