"""How much of its patience the exchange has left."""

from __future__ import annotations

from ccxt_bt_bridge.rate_gate import USED
from ccxt_bt_bridge.session import CcxtSession

# Weight a minute and address: https://developers.binance.com/docs (general info of either API).
LIMITS = {"binanceusdm": 2_400, "binance": 6_000}


def request_weight(session: CcxtSession) -> tuple[int, int] | None:
    """Weight used in this minute and the limit, by the last answer to the public client; None where it is not said."""
    limit = LIMITS.get(session.settings.exchange_id)
    headers = session.public.last_response_headers or {}
    used = next((value for name, value in headers.items() if name.lower() == USED), "")
    return (int(used), limit) if limit is not None and str(used).isdigit() else None
