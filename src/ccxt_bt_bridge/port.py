"""The exchange port: what every exchange looks like to the floors above, real or simulated.

Async, in ``Decimal``, one loop. Three ports of one idea each: the market (public), trading (private), and the account's
own settings (private, read at the start).
Reads raise ``ExchangeUnreachable`` when they fail: a failed read is never "flat" and never "nothing".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from ccxt_bt_bridge.words import (
    Account,
    AccountSettings,
    Bar,
    CancelOutcome,
    Connection,
    CreateOutcome,
    Fill,
    FundingPayment,
    KeyPermissions,
    LookupOutcome,
    Market,
    OrderReport,
    OrderRequest,
    Quote,
    UserEvent,
)


class MarketPort(Protocol):
    async def markets(self) -> dict[str, Market]:
        """Rules by symbol."""

    async def history(self, symbol: str, *, limit: int) -> list[Bar]:
        """The last ``limit`` closed bars, oldest first."""

    def bars(self) -> AsyncIterator[tuple[Bar, ...]]:
        """Closed bars as they close, in time order, those of one moment together. Ends when the market ends."""

    async def quote(self, symbol: str) -> Quote:
        """The price now. Raises ``MarketHalted`` or ``MarketClosed`` for a symbol that has none, and
        ``ExchangeUnreachable`` for a question that failed."""

    def prices(self) -> AsyncIterator[Quote]:
        """Last prices as the market tells them of itself, also between bars where it does; a symbol's in time order.

        None while the market is down. A symbol that does not trade tells none, or its last one again.
        """

    def connections(self) -> AsyncIterator[Connection]:
        """When bars stop coming and when they come again. What a gap held has been delivered before "up" is told."""


class TradingPort(Protocol):
    async def create_order(self, request: OrderRequest) -> CreateOutcome:
        """Send once. Never raises for what the venue or the wire did."""

    async def cancel_order(self, symbol: str, client_order_id: str) -> CancelOutcome:
        """Cancel by our own id."""

    async def fetch_order(self, symbol: str, client_order_id: str) -> LookupOutcome:
        """Look an order up by our own id."""

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every open order of the account."""

    async def fills(self, *, since_ms: int) -> Sequence[Fill]:
        """Own trades from ``since_ms`` on, oldest first."""

    async def funding(self, *, since_ms: int) -> Sequence[FundingPayment]:
        """Funding payments from ``since_ms`` on, oldest first."""

    async def account(self) -> Account:
        """Wallet and positions."""

    def events(self) -> AsyncIterator[UserEvent]:
        """The user stream: orders, fills, funding, account and connection as they change. May lose; reads do not."""


class AccountPort(Protocol):
    async def server_time_ms(self) -> int:
        """The exchange's clock."""

    async def key_permissions(self) -> KeyPermissions:
        """What the key may do. Raises ``KeyRefused`` when the exchange does not know it."""

    async def settings(self, symbols: Sequence[str]) -> AccountSettings:
        """Position mode, and margin mode and leverage of these symbols. Never changes any."""
