"""Where a run trades, as the live path sees it: the ports, the clock, and where the market stands.

A simulated venue has a beginning, an end and runs of its own; a real one goes on for ever. Nothing above this knows
which it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.port import MarketPort, TradingPort
from ccxt_bt_bridge.words import Market
from trading.config.model import Config

NETWORKS = ("desk", "testnet", "live")  # of real orders


def network_of(model: Config) -> str:
    """Where the config wants orders to go: "simulated", "desk" (an exchange on this machine), "testnet" or "live"."""
    if not model.is_live:
        return "simulated"
    return "desk" if model.broker.exchange_url else "testnet" if model.testnet else "live"


class Venue(Protocol):
    """Opened by ``open_venue`` and used on the exchange loop's thread. Times in milliseconds UTC."""

    market: MarketPort
    trading: TradingPort
    emergency: TradingPort  # the same account by a way that nothing else uses; its events come through ``trading``
    clock: Clock
    rules: Mapping[str, Market]
    warmup_bars: int
    notes: tuple[str, ...]
    pace: str  # for the start line: how its time runs
    network: str  # where its orders go: one of what ``network_of`` answers

    @property
    def run(self) -> int:
        """The number of its own run; always 1 where the market never ends."""

    @property
    def first_bar_ms(self) -> int | None:
        """Close of the market's first bar, None where it has no beginning."""

    @property
    def now_ms(self) -> int:
        """Market time: the last moment that has happened."""

    @property
    def is_endless(self) -> bool:
        """True for a real market: no run of it ever comes to an end by itself."""

    @property
    def has_ended(self) -> bool:
        """True when no bar will ever follow."""

    @property
    def replays_last_bar(self) -> bool:
        """True when the bar that closed at ``now_ms`` may not have been decided by the process that died."""

    def doubts(self) -> tuple[str, ...]:
        """Why nothing should be begun there just now; closing is another matter. Empty when all is well."""

    def opening_equity(self, known: Mapping[str, Any]) -> Decimal:
        """What a run's books begin with; ``known`` is what its first process wrote down, empty for a new run."""

    def terms(self) -> dict[str, str]:
        """What a run holds fast for its whole life, to be written down."""

    def steps_until(self, time_ms: int, known: int) -> int:
        """Time steps up to ``time_ms``; ``known``: what the run has counted so far."""

    def share_done(self, time_ms: int) -> float | None:
        """How much of the market has passed, 0 to 1; None where it has no end."""

    def withdraw_unsent(self) -> None:
        """Orders that wait on this machine for their turn are not sent any more."""

    async def play(self) -> None:
        """Make the market move, to its end."""

    async def close(self) -> None:
        """End the streams and let go of everything. May be called again."""


class EndlessMarket:
    """What every ``Venue`` on a real market has in common: it goes on for ever, by the exchange's clock."""

    is_endless = True
    has_ended = False
    replays_last_bar = False
    first_bar_ms = None
    clock: Clock

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms()

    def steps_until(self, time_ms: int, known: int) -> int:
        return known

    def share_done(self, time_ms: int) -> float | None:
        return None
