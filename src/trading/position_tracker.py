"""Open positions with their profit at the last price, for people and for stops on prices. Never asked by an order.

The truth is the pair ledger's; an engine tells the tracker what it holds. Used alone, it is told by its caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pairs.symbols import compact_symbol

HISTORY = 1_000  # closed positions that are kept


@dataclass(frozen=True, slots=True)
class TrackedLeg:
    """``quantity`` is signed."""

    symbol: str
    quantity: float
    entry_price: float
    current_price: float

    @property
    def unrealized_pnl(self) -> float:
        return self.quantity * (self.current_price - self.entry_price)


@dataclass(frozen=True, slots=True)
class TrackedPosition:
    """One symbol, or a pair under the name ``X_Y`` with two legs. ``side``: LONG or SHORT (of a pair: of X).

    The prices and ``quantity`` are the first leg's; profit is the whole position's, in quote currency and of price
    alone until ``realized_pnl`` (with fees and funding, where they are known) is there. ``*_z``: z on the
    losing side of a pair.
    """

    symbol: str
    side: str
    legs: tuple[TrackedLeg, ...]
    stop_loss_price: float | None = None
    take_profit_price: float | None = None
    stop_loss_z: float | None = None
    take_profit_z: float | None = None
    exchange: str = ""
    strategy_id: str = ""
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    close_reason: str = ""
    realized_pnl: float | None = None

    @property
    def quantity(self) -> float:
        return abs(self.legs[0].quantity)

    @property
    def entry_price(self) -> float:
        return self.legs[0].entry_price

    @property
    def current_price(self) -> float:
        return self.legs[0].current_price

    @property
    def unrealized_pnl(self) -> float:
        return sum(leg.unrealized_pnl for leg in self.legs)

    @property
    def is_open(self) -> bool:
        return self.realized_pnl is None

    @property
    def price_stop(self) -> str | None:
        """The price level that is reached now: stop_loss, take_profit, or None."""
        sign = 1 if self.side == "LONG" else -1
        if self.stop_loss_price is not None and (self.current_price - self.stop_loss_price) * sign <= 0:
            return "stop_loss"
        if self.take_profit_price is not None and (self.current_price - self.take_profit_price) * sign >= 0:
            return "take_profit"
        return None

    def priced(self, symbol: str, price: float) -> TrackedPosition:
        legs = (replace(leg, current_price=price) if leg.symbol == symbol else leg for leg in self.legs)
        return replace(self, legs=tuple(legs))


class PositionTracker:
    """Positions by symbol (or pair name) and exchange; any notation of symbols."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], TrackedPosition] = {}
        self._closed: list[TrackedPosition] = []
        self._led: set[str] = set()  # exchanges whose positions an engine tells

    async def open_position(
        self,
        *,
        symbol: str,
        side: str,
        quantity: float,
        entry_price: float,
        stop_loss: float | None = None,
        take_profit: float | None = None,
        exchange: str = "",
        strategy_id: str = "",
        opened_at: datetime | None = None,
    ) -> TrackedPosition:
        """A position of one symbol. Raises ``ValueError`` for what is no position, one that is open already, or an
        exchange whose positions an engine tells: what is only written here is held nowhere."""
        if side.upper() not in ("LONG", "SHORT"):
            raise ValueError(f"side {side!r}: wanted LONG or SHORT")
        if not (quantity > 0.0 and entry_price > 0.0):
            raise ValueError(f"quantity {quantity} at {entry_price}: positive numbers were wanted")
        self._refuse_led(exchange, "open it with the engine's execute_signal")
        name, sign = compact_symbol(symbol), 1 if side.upper() == "LONG" else -1
        position = TrackedPosition(
            symbol=name,
            side=side.upper(),
            legs=(TrackedLeg(name, sign * quantity, entry_price, entry_price),),
            stop_loss_price=stop_loss,
            take_profit_price=take_profit,
            exchange=exchange,
            strategy_id=strategy_id,
            opened_at=opened_at,
        )
        if (exchange, name) in self._open:
            raise ValueError(f"a position of {name} is open already; close it first")
        self.take(position)
        return position

    async def close_position(
        self,
        symbol: str,
        exit_price: float | None = None,
        reason: str = "",
        *,
        exchange: str | None = None,
        closed_at: datetime | None = None,
    ) -> TrackedPosition | None:
        """The position as it was closed at ``exit_price`` (None: the last price), or None when there is none.

        Raises ``ValueError`` where an engine holds it: it would stay open at the exchange, and its stops would end.
        """
        position = self.get_position(symbol, exchange)
        if position is None:
            return None
        self._refuse_led(position.exchange, "close it with the engine's close_position")
        if exit_price is not None:
            position = position.priced(position.legs[0].symbol, exit_price)
        return self.end(position, realized_pnl=position.unrealized_pnl, reason=reason, closed_at=closed_at)

    def update_position_pnl(self, symbol: str, current_price: float, *, exchange: str | None = None) -> None:
        """The price of ``symbol`` now, for every position that has it (on ``exchange``; None: on all)."""
        name = compact_symbol(symbol)
        for key, position in self._open.items():
            if exchange in (None, position.exchange) and any(leg.symbol == name for leg in position.legs):
                self._open[key] = position.priced(name, current_price)

    def get_position(self, symbol: str, exchange: str | None = None) -> TrackedPosition | None:
        """The open position of a symbol or pair; with ``exchange`` None, of the first exchange that has one."""
        name = compact_symbol(symbol)
        found = (p for p in self._open.values() if p.symbol == name and exchange in (None, p.exchange))
        return next(found, None)

    @property
    def open_positions(self) -> tuple[TrackedPosition, ...]:
        return tuple(self._open.values())

    @property
    def position_history(self) -> tuple[TrackedPosition, ...]:
        """Closed positions, oldest first; the last ``HISTORY``."""
        return tuple(self._closed)

    def get_winning_positions(self) -> tuple[TrackedPosition, ...]:
        return tuple(position for position in self._open.values() if position.unrealized_pnl > 0)

    def get_losing_positions(self) -> tuple[TrackedPosition, ...]:
        return tuple(position for position in self._open.values() if position.unrealized_pnl < 0)

    def get_portfolio_stats(self) -> dict[str, Any]:
        """JSON values; money in quote currency."""
        return {
            "total_positions": len(self._open),
            "total_unrealized_pnl": _total(position.unrealized_pnl for position in self._open.values()),
            "winning_positions": len(self.get_winning_positions()),
            "losing_positions": len(self.get_losing_positions()),
            "closed_positions": len(self._closed),
            "total_realized_pnl": _total(position.realized_pnl or 0.0 for position in self._closed),
        }

    # told by an engine

    def be_led(self, exchange: str) -> None:
        """From now on an engine says what is held on ``exchange``, and nobody else."""
        self._led.add(exchange)

    def take(self, position: TrackedPosition) -> None:
        """It is open, as this says."""
        self._open[position.exchange, position.symbol] = position

    def end(
        self, position: TrackedPosition, *, realized_pnl: float, reason: str, closed_at: datetime | None
    ) -> TrackedPosition:
        """It is closed."""
        done = replace(position, realized_pnl=realized_pnl, close_reason=reason, closed_at=closed_at)
        self._open.pop((position.exchange, position.symbol), None)
        self._closed.append(done)
        del self._closed[:-HISTORY]
        return done

    def _refuse_led(self, exchange: str, remedy: str) -> None:
        if exchange in self._led:
            raise ValueError(f"an engine holds the positions on {exchange}: {remedy}")


def _total(amounts: Iterable[float]) -> float:
    return float(sum(amounts))
