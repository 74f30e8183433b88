"""Closed bars by REST, in pages: for warm-up, for gaps, for whole histories."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

from ccxt_bt_bridge.candle_stream import is_sane
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketUnknown
from ccxt_bt_bridge.refusals import refusal, rows_of
from ccxt_bt_bridge.series import INTERVALS, interval_ms
from ccxt_bt_bridge.session import CcxtSession
from ccxt_bt_bridge.wire import ask, ask_unified
from ccxt_bt_bridge.words import Bar

log = logging.getLogger(__name__)


def known_interval(session: CcxtSession, interval: str) -> int:
    """Its length in ms. Raises ``MarketUnknown`` for one that the exchange or the bridge lacks."""
    offered = [name for name in session.public.timeframes if name in INTERVALS]
    if interval not in offered:
        raise MarketUnknown(f"{session.settings.exchange_id} has no interval {interval}; it has {', '.join(offered)}")
    return interval_ms(interval)


async def fetch_bars(
    session: CcxtSession, symbol: str, interval: str, *, since_ms: int, until_ms: int
) -> AsyncIterator[list[Bar]]:
    """Closed bars with close times in ``since_ms`` to ``until_ms``, both inclusive, page by page, ascending.

    The candle that is still forming is never among them. Raises ``MarketUnknown`` and ``ExchangeUnreachable``.
    """
    pages = CandlePages(session, session.public, symbol, interval)
    await session.hear_time()
    while since_ms <= until_ms:
        bars, next_ms = await pages.page(since_ms)
        if bars:
            yield [bar for bar in bars if bar.time_ms <= until_ms]
        if next_ms is None:
            return
        since_ms = next_ms


LEAST_LOOK_BACK = 50  # bars; a hole that long ends a history


class CandlePages:
    """Pages of one symbol's closed bars, through ``client``."""

    def __init__(self, session: CcxtSession, client: Any, symbol: str, interval: str) -> None:
        self._session, self._client = session, client
        self._symbol, self._interval = symbol, interval
        self._length_ms = known_interval(session, interval)
        self._raw = session.raw_market(symbol)

    async def page(self, since_ms: int) -> tuple[list[Bar], int | None]:
        """The bars that closed at ``since_ms`` and later, and where the next page begins, None after the last."""
        now_ms = self._session.clock.now_ms()
        if since_ms > now_ms:
            return [], None
        # A page as small as it may be: the exchange counts what is asked for, not what is there.
        limit = min(self._limit, (now_ms - since_ms) // self._length_ms + 2)
        rows = await self._rows(since_ms - self._length_ms, limit)
        closed = [bar for row in rows if (bar := self._bar(row)) is not None and since_ms <= bar.time_ms <= now_ms]
        newest_ms = int(rows[-1][0]) + self._length_ms if rows else now_ms
        # An exchange that we did not study may give less than was asked for, and have more.
        is_short = len(rows) < limit and self._session.endpoints is not None
        is_last = is_short or newest_ms + self._length_ms > now_ms or newest_ms < since_ms
        return closed, None if is_last else newest_ms + self._length_ms

    async def last(self, limit: int) -> list[Bar]:
        """The last ``limit`` closed bars, oldest first; fewer where the market is younger."""
        await self._session.hear_time()
        newest_ms = self._session.clock.now_ms() // self._length_ms * self._length_ms
        since_ms = newest_ms - (limit - 1) * self._length_ms
        bars = await self._between(since_ms, newest_ms)
        while len(bars) < limit:
            # Bars that never were: so many more from before, until there are none.
            until_ms = since_ms - self._length_ms
            since_ms -= max(limit - len(bars), LEAST_LOOK_BACK) * self._length_ms
            earlier = await self._between(since_ms, until_ms)
            if not earlier:
                break
            bars = earlier + bars
        return bars[-limit:]

    async def _between(self, since_ms: int, until_ms: int) -> list[Bar]:
        bars: list[Bar] = []
        next_ms: int | None = since_ms
        while next_ms is not None and next_ms <= until_ms:
            page, next_ms = await self.page(next_ms)
            bars += page
        return [bar for bar in bars if bar.time_ms <= until_ms]

    @property
    def _limit(self) -> int:
        return self._session.endpoints.klines_limit if self._session.endpoints else 500

    async def _rows(self, open_ms: int, limit: int) -> list[list[Any]]:
        what = f"bars of {self._symbol} {self._interval}"
        if self._session.endpoints is None:
            return await self._unified_rows(open_ms, limit, what)
        params = {"symbol": self._raw["id"], "interval": self._interval, "startTime": open_ms, "limit": limit}
        return rows_of(await ask(getattr(self._client, self._session.endpoints.klines), params), what)

    async def _unified_rows(self, open_ms: int, limit: int, what: str) -> list[list[Any]]:
        fetch = self._client.fetch_ohlcv
        reply, rows = await ask_unified(fetch, self._raw["symbol"], self._interval, open_ms, limit)
        if rows is None:
            raise refusal(reply, what)
        return list(rows)

    def _bar(self, row: list[Any]) -> Bar | None:
        """None for a candle that cannot be: as good as none, and no reason to lose those beside it."""
        try:
            open_price, high, low, close, volume = map(float, row[1:6])
            bar = Bar(self._symbol, int(row[0]) + self._length_ms, open_price, high, low, close, volume)
        except (TypeError, ValueError, IndexError) as error:
            raise ExchangeUnreachable(f"bars of {self._symbol}: an unreadable row: {type(error).__name__}") from None
        if not is_sane(bar):
            log.warning("candle_left_out symbol=%s bar=%s", self._symbol, bar)
            return None
        return bar
