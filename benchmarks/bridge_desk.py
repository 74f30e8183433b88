"""An exchange on the desk that notes when it sent each closed bar and when each order reached it.

``python benchmarks/bridge_desk.py SYMBOLS BARS GAP_S`` serves that many symbols, a minute's bar every GAP_S seconds;
without GAP_S in real time, with the forming candles and mark prices that are else left out.
Prints ``{"url"}`` when it listens and, once a line comes in, ``{"sent": {"SYMBOL-CLOSE_MS": ns}, "orders": {id: ns}}``:
``time.perf_counter_ns``, which is one clock for all processes of a machine.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from decimal import Decimal
from typing import Any

from aiohttp import web

from brokers.desk.desk import Desk
from brokers.desk.limits import Limits
from brokers.mock_market import MockMarket
from brokers.simulated.exchange import SimulatedExchange
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore
from ccxt_bt_bridge.words import OrderRequest

HISTORY = 10
MINUTE_MS = 60_000

sent: dict[str, int] = {}
orders: dict[str, int] = {}


class NotingExchange(SimulatedExchange):
    async def create_order(self, request: OrderRequest) -> Any:
        orders[request.client_order_id] = time.perf_counter_ns()
        return await super().create_order(request)


def note_closed_bars() -> None:
    """Stamp every closed candle at the moment its text is handed to the socket.

    The opening candles and mark prices of the same instant are left out: they would come behind the closes in one
    burst, where an exchange sends them as trades happen.
    """
    send = web.WebSocketResponse.send_str

    async def sending(response: web.WebSocketResponse, text: str, compress: int | None = None) -> None:
        if '"x": true' in text:
            candle = json.loads(text)["k"]
            sent[f"{candle['s']}-{candle['t'] + MINUTE_MS}"] = time.perf_counter_ns()
        elif '"kline"' in text or '"markPriceUpdate"' in text:
            return
        await send(response, text, compress)

    web.WebSocketResponse.send_str = sending  # type: ignore[method-assign]


async def serve(symbols: int, bars: int, gap_s: float | None) -> None:
    names = [f"S{number:02}USDT" for number in range(symbols)]
    source = MarketSource(MockMarket(7, HISTORY + bars, "1m", symbols=names, gaps_per_1000=0.0).series())
    desk = Desk(
        source,
        ExchangeStore(None, fingerprint="bench"),
        ports={"binanceusdm": 0},
        speed=60.0 / gap_s if gap_s else 1.0,
        wait_for_client=True,
        terms={"warmup_bars": HISTORY, "initial_balance": Decimal(1_000_000)},
        server_terms={"limits": Limits(weight_per_minute=100_000)} | ({"tick_s": 3_600.0} if gap_s else {}),
    )
    desk.exchange.__class__ = NotingExchange
    async with desk:
        desk.walk()
        print(json.dumps({"url": desk.url}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print(json.dumps({"sent": sent, "orders": orders}), flush=True)


if __name__ == "__main__":
    gap = float(sys.argv[3]) if len(sys.argv) > 3 else None
    if gap:
        note_closed_bars()
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), gap))
