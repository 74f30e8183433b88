"""The most traded symbols of an exchange, and their bars, fetched into a folder that a scan then reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from ccxt_bt_bridge.backfill import fetch_bars, known_interval
from ccxt_bt_bridge.session import CcxtSession
from ccxt_bt_bridge.tickers import DayVolume, fetch_day_volumes
from ccxt_bt_bridge.words import Bar
from feeds.bar_files import BarFile
from feeds.download import Download, Pages, Span
from pairs.symbols import base_currency, compact_symbol
from research.scan.data_care import CURRENCIES, STABLECOINS, Excluded
from research.scan.tester import Tell

OUTAGES, MORE = 20, 24  # a twentieth of the bars and a day of hours, for what an exchange may have been down


async def most_traded(
    session: CcxtSession, *, quote: str, count: int, min_volume: float
) -> tuple[tuple[str, ...], tuple[Excluded, ...]]:
    """Compact symbols in ``quote``, by traded value of the last day, and what was left out on the way.

    Symbols below the first ``count`` are not told: there are hundreds. Raises ``ExchangeUnreachable``.
    """
    days = sorted(await fetch_day_volumes(session, quote), key=lambda day: (-day.quote_volume, day.symbol))
    chosen: list[str] = []
    excluded: list[Excluded] = []
    for day in days:
        against = _against(day)
        reason = against or _too_quiet(day, min_volume)
        if reason:
            excluded.append(Excluded(compact_symbol(day.symbol), reason))
        else:
            chosen.append(compact_symbol(day.symbol))
        count -= against is None
        if not count:
            break
    return tuple(chosen), tuple(excluded)


async def fetch_folder(
    session: CcxtSession,
    symbols: Sequence[str],
    interval: str,
    *,
    bars: int,
    end_ms: int | None = None,
    folder: Path,
    tell: Tell,
) -> int:
    """Bring ``folder`` up to date with the ``bars`` closed bars of each symbol up to ``end_ms``, None: until now.

    Returns the last close in ms. Somewhat more is fetched: an exchange that was down for hours has no bars of them.
    What is there already is not asked for again. Raises ``MarketUnknown``, ``ExchangeUnreachable``, ``BarFileError``.
    """
    step_ms = known_interval(session, interval)
    await session.hear_time()
    now_ms = session.clock.now_ms()
    last_ms = min(now_ms, now_ms if end_ms is None else end_ms) // step_ms * step_ms
    span = Span(last_ms - (bars + bars // OUTAGES + MORE - 1) * step_ms, last_ms)
    for number, symbol in enumerate(symbols):
        tell("fetching symbols", number, len(symbols))
        file = BarFile(folder, symbol, interval)
        await Download(_pages(session, interval), now_ms=session.clock.now_ms).bring(symbol, file, step_ms, span)
    tell("fetching symbols", len(symbols), len(symbols))
    return last_ms


def _pages(session: CcxtSession, interval: str) -> Pages:
    def pages(symbol: str, since_ms: int, until_ms: int) -> AsyncIterator[list[Bar]]:
        return fetch_bars(session, symbol, interval, since_ms=since_ms, until_ms=until_ms)

    return pages


def _against(day: DayVolume) -> str | None:
    base = base_currency(day.symbol)
    if not day.is_open:
        return "suspended: the exchange does not trade it now"
    if base in STABLECOINS:
        return f"{base} is a stablecoin"
    return f"{base} is a currency, not a coin" if base in CURRENCIES else None


def _too_quiet(day: DayVolume, min_volume: float) -> str | None:
    if day.quote_volume >= min_volume:
        return None
    return f"traded for {day.quote_volume:,.0f} a day, less than {min_volume:,.0f}"
