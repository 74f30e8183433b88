"""How much every market of an exchange traded in the last day: what a universe is chosen by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ccxt_bt_bridge.errors import ExchangeUnreachable, NotSupported
from ccxt_bt_bridge.refusals import refusal
from ccxt_bt_bridge.session import CcxtSession
from ccxt_bt_bridge.wire import ask_unified


@dataclass(frozen=True, slots=True)
class DayVolume:
    """``symbol``: ccxt's (``BTC/USDT:USDT``). ``quote_volume``: traded in 24 hours, quote currency, 0 when not known.

    ``is_open`` False: listed, but it does not trade now.
    """

    symbol: str
    quote_volume: float
    is_open: bool


async def fetch_day_volumes(session: CcxtSession, quote: str) -> list[DayVolume]:
    """Every spot market or linear perpetual in ``quote``, in no order. One request.

    Raises ``NotSupported`` where the exchange has none or no such list, and ``ExchangeUnreachable``.
    """
    markets = [market for market in session.raw_markets if market["quote"] == quote]
    if not markets:
        raise NotSupported(f"{session.settings.exchange_id} has no markets in {quote}")
    if not session.public.has.get("fetchTickers"):
        raise NotSupported(f"{session.settings.exchange_id} has no list of volumes: name the symbols")
    reply, tickers = await ask_unified(session.public.fetch_tickers)
    if tickers is None:
        raise refusal(reply, "the day's volumes")
    if not isinstance(tickers, dict):
        raise ExchangeUnreachable("the day's volumes: an unreadable answer")
    return [
        DayVolume(market["symbol"], _quote_volume(tickers.get(market["symbol"]) or {}), market["active"] is not False)
        for market in markets
    ]


def _quote_volume(ticker: dict[str, Any]) -> float:
    """The exchange's own figure, else the base volume at the last price."""
    known = ticker.get("quoteVolume")
    value = known if known is not None else (ticker.get("baseVolume") or 0.0) * (ticker.get("last") or 0.0)
    return float(value) if math.isfinite(float(value)) else 0.0
