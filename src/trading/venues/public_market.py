"""Binance's public side: its bars and prices, for who only looks. No key is used, and nothing can be ordered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.session import CcxtSession, SessionSettings
from ccxt_bt_bridge.words import BINANCE_IDS
from trading.signal_terms import SignalTerms


@asynccontextmanager
async def public_market(symbols: Sequence[str], terms: SignalTerms) -> AsyncIterator[tuple[CcxtMarket, CcxtSession]]:
    """Nothing streams before its ``start``. Raises BridgeError with what to do."""
    settings = SessionSettings(exchange_id=BINANCE_IDS[terms.market], url=terms.url, ca_file=terms.ca_file)
    session = await CcxtSession.open(settings)
    try:
        market = CcxtMarket(session, symbols, terms.interval)
        try:
            yield market, session
        finally:
            await market.close()
    finally:
        await session.close()
