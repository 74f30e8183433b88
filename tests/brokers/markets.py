"""Small markets and exchanges to test against."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np

from brokers.simulated.exchange import SimulatedExchange, market_start_ms
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore
from ccxt_bt_bridge.clock import LoopClock
from ccxt_bt_bridge.series import BarSeries
from ccxt_bt_bridge.words import Market, OrderRequest, Side

HOUR_MS = 3_600_000
T0 = 1_704_067_200_000  # 2024-01-01T00:00Z


def hours(count: float) -> int:
    """Milliseconds of T0 + ``count`` hours."""
    return T0 + round(count * HOUR_MS)


def bars(symbol: str, prices: Sequence[tuple[float, float] | None], *, first_hour: int = 0) -> BarSeries:
    """One hourly bar per (open, close); None is a hole. The first opens at T0 + ``first_hour``."""
    there = [at for at, price in enumerate(prices) if price is not None]
    opened, close = (np.array([prices[at][side] for at in there], dtype=float) for side in (0, 1))
    time_ms = np.array([hours(first_hour + at + 1) for at in there], dtype=np.int64)
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    return BarSeries(symbol, HOUR_MS, time_ms, opened, high, low, close, np.full(len(there), 10.0))


def flat(symbol: str, count: int, price: float = 100.0) -> BarSeries:
    return bars(symbol, [(price, price)] * count)


def source(*series: BarSeries) -> MarketSource:
    return MarketSource({one.symbol: one for one in series})


def open_exchange(
    market: MarketSource, path: Path | None = None, *, fingerprint: str = "m", **terms
) -> SimulatedExchange:
    """On the running loop. Ten thousand, five basis points of fee, no slippage, unless told otherwise."""
    store = ExchangeStore(path, fingerprint=fingerprint)
    terms = {"warmup_bars": 1, "initial_balance": Decimal(10_000), "slippage_bps": Decimal(0)} | terms
    epoch = market_start_ms(market, store, warmup_bars=terms["warmup_bars"])
    return SimulatedExchange(market, store, clock=LoopClock(asyncio.get_running_loop().time, epoch), **terms)


def market_order(client_id: str, symbol: str, amount: str | Decimal, *, reduce_only: bool = False) -> OrderRequest:
    """A signed amount: negative sells."""
    signed = Decimal(amount)
    side = Side.BUY if signed > 0 else Side.SELL
    return OrderRequest(client_id, symbol, side, abs(signed), reduce_only=reduce_only)


def priced_order(
    client_id: str, symbol: str, amount: str, *, price: str | None = None, trigger: str | None = None, **more
) -> OrderRequest:
    """A limit order at ``price``, a stop at ``trigger``, or a stop-limit with both. A signed amount."""
    kind = "limit" if trigger is None else "stop" if price is None else "stop_limit"
    prices = [None if one is None else Decimal(one) for one in (price, trigger)]
    order = market_order(client_id, symbol, amount, reduce_only=more.pop("reduce_only", False))
    return replace(order, type=kind, price=prices[0], trigger_price=prices[1], **more)


def spot_rules(*symbols: str, **more) -> dict[str, Market]:
    """Base and quote by name: ``AUSDT`` is A for USDT. Tick 0.01, step 0.001, minimum 5."""
    fields = {"price_tick": Decimal("0.01"), "amount_step": Decimal("0.001"), "min_amount": Decimal("0.001"),
              "min_notional": Decimal(5), "taker_fee": Decimal("0.001")} | more  # fmt: skip
    return {
        symbol: Market(symbol=symbol, quote="USDT", base=symbol.removesuffix("USDT"), kind="spot", **fields)
        for symbol in symbols
    }


class Session:
    """A client that acts at moments: ``orders[moment_ms]`` are sent when the market has just made that step."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.exchange = exchange
        self.events: list = []
        self.bars: list = []
        self.outcomes: dict = {}

    async def play(self, orders: dict[int, list[OrderRequest]] | None = None) -> Session:
        """Run the market to its end; close the exchange's streams, not its file."""
        told = asyncio.create_task(self._listen())
        bars_in = self.exchange.bars()
        market = asyncio.create_task(self.exchange.run_market())
        wanted = dict(orders or {})
        await self._send(wanted.pop(self.exchange.market_ms, []))
        async for closed in bars_in:
            self.bars.append(closed)
            await self._send(wanted.pop(closed[0].time_ms, []))
        await market
        await asyncio.sleep(0)
        told.cancel()
        assert not wanted, f"never reached {wanted}"
        return self

    async def _send(self, requests: list[OrderRequest]) -> None:
        for request in requests:
            self.outcomes[request.client_order_id] = await self.exchange.create_order(request)

    async def _listen(self) -> None:
        async for event in self.exchange.events():
            self.events.append(event)
