"""A real exchange's market through ccxt: rules, history, prices, and bars the moment they close."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from ccxt_bt_bridge.backfill import CandlePages, known_interval
from ccxt_bt_bridge.background import Background
from ccxt_bt_bridge.candle_stream import ClosedBars, is_sane
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketClosed, MarketUnknown
from ccxt_bt_bridge.lifeline import Lifeline
from ccxt_bt_bridge.refusals import answer_of, refusal
from ccxt_bt_bridge.session import CcxtSession
from ccxt_bt_bridge.streams import Stream
from ccxt_bt_bridge.wire import ask, ask_unified
from ccxt_bt_bridge.words import Bar, Connection, Market, Quote

log = logging.getLogger(__name__)

LATE_MS, LATE_LOOK_S = 10_000, 2.0  # after so long a bar that has not come is asked for
POLL_LAG_MS = 3_000  # an exchange without a closed flag may still be adding to a candle just after its time
FRESH_MS = 1_000  # a streamed price younger than this spares a request
MOST_STREAMS = 200  # of one connection, by Binance's rule
GAP_PAUSE_S = 1.0
AGAIN_MS = (200, 400, 800)  # a candle may be listed a moment after it has closed: it is asked for again after these


class CcxtMarket:
    """A ``MarketPort`` of ``symbols`` (in the caller's spelling) at ``interval``. Nothing streams before ``start``.

    ``tell`` hears which symbol has stopped trading. Raises ``MarketUnknown`` for a symbol or interval that the exchange
    lacks, and for two names of one market.
    """

    def __init__(
        self, session: CcxtSession, symbols: Sequence[str], interval: str, *, tell: Callable[[str], None] | None = None
    ) -> None:
        self._say = tell
        self._session, self._symbols, self._interval = session, tuple(symbols), interval
        self._length_ms = known_interval(session, interval)
        self._client = session.new_client()
        self._names = session.names_by_id(self._symbols)
        self._pages = {name: CandlePages(session, self._client, name, interval) for name in self._symbols}
        self._closed = ClosedBars(self._length_ms)
        self._quotes: dict[str, Quote] = {}
        self._held: dict[str, list[Bar]] = {}
        self._ready: list[Bar] = []
        self._bars: Stream[tuple[Bar, ...]] = Stream()
        self._prices: Stream[Quote] = Stream()
        self._connections: Stream[Connection] = Stream()
        self._background = Background(log)
        self._down: set[object] = set()  # connections by number, and what has to be done again
        self._asked_ms: dict[str, int] = {}
        self._over: set[str] = set()

    async def start(self) -> None:
        """Begin the streams. What closes from now on comes through ``bars``; after ``history``, what closed since."""
        if not self._background.is_idle:
            return
        newest_ms = self._newest_ms()
        for name in self._symbols:
            if self._closed.last_ms(name) is None:
                self._closed.begin(name, newest_ms)
        if self._session.endpoints is None:
            self._background.keep(self._poll())
            return
        self._background.keep(self._watch_for_late_bars())
        share = MOST_STREAMS // 2
        self._down = set(range(-(-len(self._symbols) // share)))
        for at in range(0, len(self._symbols), share):
            self._open(at // share, self._symbols[at : at + share])

    async def close(self) -> None:
        """End the streams; ``bars``, ``prices`` and ``connections`` end with them. May be called again."""
        await self._background.end()
        self._bars.end()
        self._prices.end()
        self._connections.end()

    # the port

    async def markets(self) -> dict[str, Market]:
        return {name: self._session.market_of(name) for name in self._symbols}

    async def history(self, symbol: str, *, limit: int) -> list[Bar]:
        """Closed by the exchange's own clock. Raises ``MarketUnknown`` and ``ExchangeUnreachable``."""
        bars = await self._pages_of(symbol).last(limit)
        if bars and self._background.is_idle:
            # What comes live has to begin where the history ends.
            self._closed.begin(symbol, bars[-1].time_ms)
        return bars

    def bars(self) -> AsyncIterator[tuple[Bar, ...]]:
        return self._bars.subscribe()

    def prices(self) -> AsyncIterator[Quote]:
        """Every trade's that the candles tell, and the last one again each second that nothing trades.

        Nothing from an exchange that is polled.
        """
        return self._prices.subscribe()

    def connections(self) -> AsyncIterator[Connection]:
        return self._connections.subscribe()

    async def quote(self, symbol: str) -> Quote:
        """The last trade as streamed, when it is fresh; else the middle of the book.

        Raises ``MarketClosed`` for a symbol that trades no more and ``ExchangeUnreachable``.
        """
        self._pages_of(symbol)
        streamed = self._quotes.get(symbol)
        if streamed is not None and self._session.clock.now_ms() - streamed.time_ms <= FRESH_MS:
            return streamed
        return await self._ask_for_quote(symbol)

    async def _ask_for_quote(self, symbol: str) -> Quote:
        raw, endpoints = self._session.raw_market(symbol), self._session.endpoints
        if endpoints is None:
            reply, ticker = await ask_unified(self._client.fetch_ticker, raw["symbol"])
            if ticker is None:
                raise refusal(reply, f"the price of {symbol}")
            return self._quote(symbol, ticker.get("last"), ticker.get("timestamp"))
        reply = await ask(getattr(self._client, endpoints.book_ticker), {"symbol": raw["id"]})
        book = answer_of(reply, f"the price of {symbol}")
        try:
            bid, ask_price = Decimal(str(book["bidPrice"])), Decimal(str(book["askPrice"]))
        except (KeyError, TypeError, ArithmeticError):
            raise ExchangeUnreachable(f"the price of {symbol}: an unreadable answer") from None
        if not 0 < bid <= ask_price:
            raise MarketClosed(f"{symbol} has no bid and ask: it does not trade")
        return self._quote(symbol, (bid + ask_price) / 2, book.get("time"))

    def _quote(self, symbol: str, price: Any, time_ms: Any) -> Quote:
        value = Decimal(str(price)) if price is not None else Decimal(0)
        if not value.is_finite() or value <= 0:
            raise ExchangeUnreachable(f"the price of {symbol}: {price!r} is none")
        return Quote(symbol, value, int(time_ms) if time_ms else self._session.clock.now_ms())

    def _pages_of(self, symbol: str) -> CandlePages:
        if symbol not in self._pages:
            raise MarketUnknown(f"{symbol} was not asked for; this market has {', '.join(self._symbols)}")
        return self._pages[symbol]

    # streams

    def _open(self, number: int, symbols: tuple[str, ...]) -> None:
        """A connection of its own for these symbols, so that giving one up leaves the others."""
        streams = [stream for name in symbols for stream in self._streams_of(name)]
        client = self._session.new_client()
        lifeline = Lifeline(
            "market",
            client,
            watch=lambda: self._subscribe(client, streams),
            catch_up=lambda: self._catch_up(symbols),
            tell=lambda connection: self._tell(number, connection),
            clock=self._session.clock,
            silent_after_s=self._session.settings.silent_after_s,
        )
        client.listener = lambda kind, message: self._hear(lifeline, kind, message)
        self._background.keep(lifeline.run())

    def _streams_of(self, name: str) -> tuple[str, str]:
        """The candles, and something that comes every second however thin the trade is."""
        market_id = self._session.raw_market(name)["lowercaseId"]
        heartbeat = "markPrice@1s" if self._session.kind == "usdm" else "miniTicker"
        return f"{market_id}@kline_{self._interval}", f"{market_id}@{heartbeat}"

    async def _subscribe(self, client: Any, streams: list[str]) -> None:
        url = f"{client.get_ws_url('linear' if self._session.kind == 'usdm' else 'spot', 'market')}/0"
        request = {"method": "SUBSCRIBE", "params": streams, "id": client.request_id(url)}
        await client.watch_multiple(url, streams, request, streams, {"id": request["id"]})

    def _hear(self, lifeline: Lifeline, kind: str, message: dict[str, Any]) -> None:
        lifeline.heard()
        if kind == "kline":
            lifeline.opened()
            self._hear_candle(message)
        elif kind == "message":
            lifeline.opened()
        elif kind == "heartbeat" and "E" in message:
            self._session.hear_event(int(message["E"]))
            self._repeat_price(message)

    def _hear_candle(self, message: dict[str, Any]) -> None:
        candle = message["k"]
        name = self._names.get(candle["s"])
        if name is None or candle["i"] != self._interval:
            return
        event_ms, bar = int(message["E"]), _bar_of(name, candle, self._length_ms)
        self._session.hear_event(event_ms)
        # What is not a price, or closed before its time is over, is left out: it is asked for instead.
        if not is_sane(bar):
            return
        if not candle["x"]:  # a closed candle's last price is the past's, however new the message
            quote = self._quotes[name] = Quote(name, Decimal(candle["c"]), event_ms)
            self._prices.publish(quote)
        elif event_ms >= int(candle["T"]):
            self._take(bar)

    def _repeat_price(self, heartbeat: dict[str, Any]) -> None:
        """However thin the trade: the price of the last one is still that, now."""
        name = self._names.get(heartbeat.get("s", ""))
        last = self._quotes.get(name) if name is not None else None
        if last is not None:
            self._prices.publish(Quote(last.symbol, last.price, max(last.time_ms, int(heartbeat["E"]))))

    def _take(self, bar: Bar) -> None:
        """A closed bar from the stream. While older ones are being asked for, it waits behind them."""
        if bar.symbol in self._held:
            self._held[bar.symbol].append(bar)
        elif self._closed.leaves_gap(bar):
            self._held[bar.symbol] = [bar]
            self._background.keep(self._close_gap(bar.symbol))
        elif self._closed.take(bar):
            self._publish(bar)

    def _publish(self, bar: Bar) -> None:
        """Bars that arrive in one burst go out together; when every symbol's is there, nothing is left to wait for."""
        if not self._ready:
            asyncio.get_running_loop().call_soon(self._flush)
        self._ready.append(bar)
        if len(self._ready) == len(self._symbols):
            self._flush()

    def _flush(self) -> None:
        moments = defaultdict(list)
        for bar in self._ready:
            moments[bar.time_ms].append(bar)
        self._ready = []
        for time_ms in sorted(moments):
            self._bars.publish(tuple(moments[time_ms]))

    def _tell(self, part: object, connection: Connection) -> None:
        """One market is up when all its parts are."""
        was_up = not self._down
        self._down = self._down - {part} if connection.is_up else self._down | {part}
        is_first = not connection.is_up and was_up
        if is_first or (connection.is_up and not self._down):
            self._flush()
            self._connections.publish(connection)

    # gaps

    async def _catch_up(self, symbols: Sequence[str]) -> None:
        for name in symbols:
            self._held.setdefault(name, [])
        await self._session.hear_time()
        await asyncio.gather(*(self._close_gap(name) for name in symbols))

    async def _close_gap(self, name: str) -> None:
        """Ask, and again when the newest bar is not there yet; then let go what has come meanwhile."""
        await self._unbroken(f"bars of {name}", partial(self._ask_for_gap, name))

    async def _ask_for_gap(self, name: str) -> None:
        clock, newest_ms = self._session.clock, self._newest_ms()
        bars = await self._answered(name)
        for pause_ms in AGAIN_MS:
            if self._is_there(name, newest_ms, bars):
                break
            await clock.sleep_until(clock.now_ms() + pause_ms)
            bars = await self._answered(name)
        for bar in sorted([*bars, *self._held.pop(name, [])], key=lambda bar: bar.time_ms):
            if self._closed.take(bar):
                self._publish(bar)

    def _newest_ms(self) -> int:
        """When the last bar closed, by the exchange's clock."""
        return self._session.clock.now_ms() // self._length_ms * self._length_ms

    def _is_there(self, name: str, time_ms: int, bars: Sequence[Bar]) -> bool:
        known_ms = {bar.time_ms for bar in (*bars, *self._held.get(name, []))}
        return time_ms in known_ms or (self._closed.last_ms(name) or 0) >= time_ms

    async def _answered(self, name: str) -> list[Bar]:
        """The missing bars, asked for until there is an answer; none of a closed market."""
        while True:
            try:
                return await self._missing(name)
            except MarketClosed:
                return []
            except ExchangeUnreachable as error:
                log.warning("gap_not_filled symbol=%s reason=%r", name, str(error))
                await asyncio.sleep(GAP_PAUSE_S)

    async def _missing(self, name: str) -> list[Bar]:
        since_ms: int | None = (self._closed.last_ms(name) or 0) + self._length_ms
        found: list[Bar] = []
        while since_ms is not None:
            page, since_ms = await self._pages[name].page(since_ms)
            found += page
        return found

    async def _watch_for_late_bars(self) -> None:
        """A stream may live and one of its channels not: what should have closed is asked for, once a bar."""
        while True:
            await asyncio.sleep(LATE_LOOK_S)
            await self._unbroken("late bars", self._look_for_late_bars)

    async def _look_for_late_bars(self) -> None:
        due_ms = (self._session.clock.now_ms() - LATE_MS) // self._length_ms * self._length_ms
        for name in self._symbols:
            if (self._closed.last_ms(name) or due_ms) >= due_ms:
                self._over.discard(name)
            elif self._asked_ms.get(name) != due_ms:
                self._asked_ms[name] = due_ms
                if name not in self._held:
                    self._held[name] = []
                    self._background.keep(self._ask_for_late_bar(name, due_ms))

    async def _ask_for_late_bar(self, name: str, due_ms: int) -> None:
        """There may be none, for want of a trade or for good: the latter is told, once."""
        await self._close_gap(name)
        if (self._closed.last_ms(name) or due_ms) < due_ms and name not in self._over:
            try:
                await self._ask_for_quote(name)
            except MarketClosed as error:
                self._over.add(name)
                self._tell_over(f"no bars of {name} any more: {error}")
            except ExchangeUnreachable as error:
                log.warning("late_bar_not_explained symbol=%s reason=%r", name, str(error))

    def _tell_over(self, sentence: str) -> None:
        log.warning("market_over %s", sentence)
        if self._say is not None:
            self._say(sentence)

    async def _unbroken(self, part: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it. What nobody foresaw would end the bars for good: it is told as a broken connection, and done again."""
        clock = self._session.clock
        while True:
            try:
                await work()
                break
            except Exception as error:
                log.exception("market_broken part=%s", part)
                self._tell(part, Connection("market", False, clock.now_ms(), f"{part}: {error!r}"))
                await asyncio.sleep(GAP_PAUSE_S)
        if part in self._down:
            self._tell(part, Connection("market", True, clock.now_ms()))

    # exchanges without a closed flag

    async def _poll(self) -> None:
        """Ask for each bar when it should have closed, until it is there."""
        while True:
            await self._unbroken("polled bars", self._poll_once)

    async def _poll_once(self) -> None:
        now_ms = self._session.clock.now_ms()
        boundary_ms = (now_ms // self._length_ms + 1) * self._length_ms
        await self._session.clock.sleep_until(boundary_ms + min(POLL_LAG_MS, self._length_ms // 4))
        await asyncio.gather(*(self._await_bar(name) for name in self._symbols))

    async def _await_bar(self, name: str) -> None:
        newest_ms = self._newest_ms()
        until_ms = newest_ms + min(self._length_ms // 2, 30_000)
        while self._session.clock.now_ms() < until_ms:
            try:
                for bar in await self._missing(name):
                    if self._closed.take(bar):
                        self._publish(bar)
            except ExchangeUnreachable as error:
                log.warning("poll_failed symbol=%s reason=%r", name, str(error))
            if (self._closed.last_ms(name) or 0) >= newest_ms:
                return
            await asyncio.sleep(GAP_PAUSE_S)


def _bar_of(name: str, candle: dict[str, Any], length_ms: int) -> Bar:
    prices = float(candle["o"]), float(candle["h"]), float(candle["l"]), float(candle["c"])
    return Bar(name, int(candle["t"]) + length_ms, *prices, float(candle["v"]))
