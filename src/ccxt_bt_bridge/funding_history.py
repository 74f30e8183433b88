"""Funding rates of the past, page by page."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from ccxt_bt_bridge.errors import ExchangeUnreachable, NotSupported
from ccxt_bt_bridge.refusals import answer_of
from ccxt_bt_bridge.series import FundingSeries
from ccxt_bt_bridge.session import CcxtSession
from ccxt_bt_bridge.wire import ask

EXCHANGE = "binanceusdm"
PAGE = 1_000

Event = tuple[int, Decimal, Decimal | None]


async def fetch_funding(session: CcxtSession, symbol: str, *, since_ms: int, until_ms: int) -> FundingSeries:
    """Events from ``since_ms`` to ``until_ms``, both inclusive. The oldest have no mark price.

    Raises ``NotSupported`` where there is no funding, ``MarketUnknown`` and ``ExchangeUnreachable``.
    """
    if session.settings.exchange_id != EXCHANGE:
        raise NotSupported(f"funding is fetched from {EXCHANGE}, not from {session.settings.exchange_id}")
    events: list[Event] = []
    while since_ms <= until_ms:
        page = await _page(session, symbol, since_ms, until_ms)
        events += page
        if len(page) < PAGE:
            break
        since_ms = page[-1][0] + 1
    times, rates, marks = zip(*events, strict=True) if events else ((), (), ())
    return FundingSeries(symbol, times, rates, marks)


async def _page(session: CcxtSession, symbol: str, since_ms: int, until_ms: int) -> list[Event]:
    what = f"funding of {symbol}"
    market_id = session.raw_market(symbol)["id"]
    wanted = {"symbol": market_id, "startTime": since_ms, "endTime": until_ms, "limit": PAGE}
    rows = answer_of(await ask(session.public.fapiPublicGetFundingRate, wanted), what)
    try:
        return sorted(map(_event, rows))
    except (KeyError, TypeError, ValueError, InvalidOperation):
        raise ExchangeUnreachable(f"{what}: an unreadable answer") from None


def _event(row: dict[str, Any]) -> Event:
    mark = row.get("markPrice")
    return int(row["fundingTime"]), Decimal(row["fundingRate"]), Decimal(mark) if mark else None
