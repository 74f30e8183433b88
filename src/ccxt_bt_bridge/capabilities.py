"""What an exchange can do for the bridge, and what the bridge does where it cannot. Offline: nothing is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ccxt.pro

from ccxt_bt_bridge.clients import client_class
from ccxt_bt_bridge.errors import NotSupported
from ccxt_bt_bridge.words import BINANCE_IDS

PROVEN = {exchange_id: kind for kind, exchange_id in BINANCE_IDS.items()}


@dataclass(frozen=True, slots=True)
class Lack:
    """``what`` the exchange lacks, and what the bridge does ``instead``. ``forbids_trading``: there is no instead."""

    what: str
    instead: str
    forbids_trading: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.instead}"


@dataclass(frozen=True, slots=True)
class CapabilityReport:
    """``kind``: "usdm" (linear perpetuals) or "spot". ``is_proven``: tested over the wire with the bridge."""

    exchange_id: str
    kind: str
    is_proven: bool
    missing: tuple[Lack, ...]

    @property
    def can_trade(self) -> bool:
        return not any(lack.forbids_trading for lack in self.missing)

    @property
    def can_feed(self) -> bool:
        return not any(lack.what == NO_CANDLES for lack in self.missing)

    def __str__(self) -> str:
        state = "proven over the wire" if self.is_proven else "not proven with the bridge: begin on its test network"
        lines = [f"{self.exchange_id} ({self.kind}): {state}"]
        lines += [f"  lacks {lack}" for lack in self.missing] or ["  lacks nothing the bridge needs"]
        lines += [] if self.can_trade else ["  orders are refused; its data can be used"]
        return "\n".join(lines)


NO_CANDLES = "candles"
UNPROVEN = Lack(
    "rules by which a refusal can be told from a lost answer",
    "orders are refused, because an order that may exist could be sent twice",
    forbids_trading=True,
)


def report_on(exchange_id: str) -> CapabilityReport:
    """Raises ``NotSupported`` for an exchange that ccxt.pro does not have."""
    try:
        cls = client_class(exchange_id)
    except KeyError:
        known = ", ".join(ccxt.pro.exchanges[:8])
        raise NotSupported(f"ccxt has no exchange {exchange_id!r} with streams; it has {known}, …") from None
    described = cls({})
    if exchange_id in PROVEN:
        lacks = (SPOT_SHORT,) if PROVEN[exchange_id] == "spot" else ()
        return CapabilityReport(exchange_id, PROVEN[exchange_id], True, lacks)
    kind = "usdm" if described.has.get("swap") and not described.has.get("spot") else "spot"
    return CapabilityReport(exchange_id, kind, False, tuple(_lacks(described.has, kind)))


SPOT_SHORT = Lack("shorting", "a sale is refused beyond what the account holds; pairs need the perpetuals")


def _lacks(has: dict[str, Any], kind: str) -> list[Lack]:
    wanted = [
        (has.get("fetchOHLCV"), Lack(NO_CANDLES, "it cannot feed the bridge")),
        (False, Lack("a known closed-candle flag", "candles are polled by REST when one should have closed")),
        (has.get("watchOrders"), Lack("a stream of the user's orders", "their state would have to be polled")),
        (has.get("watchMyTrades"), Lack("a stream of the user's fills", "they would have to be polled")),
        (has.get("fetchTime"), Lack("its clock", "this machine's clock is used; keep it synchronised")),
        (kind != "spot", SPOT_SHORT),
        (False, UNPROVEN),
    ]
    return [lack for present, lack in wanted if not present]
