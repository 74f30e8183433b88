"""What the pair ledger holds, as people see it: kept up to date in a position tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairs.words import Direction, PairPosition
from trading.events import Event, PairClosed, PairOpened
from trading.execution.engine_account import EngineAccount
from trading.position_tracker import PositionTracker, TrackedLeg, TrackedPosition
from trading.records import TradeRecord


def follow_positions(account: EngineAccount, tracker: PositionTracker) -> None:
    """From now on."""
    tracker.be_led(account.name)

    def on_event(event: Event) -> None:
        match event:
            case PairOpened(position=position):
                _take(position, account, tracker)
            case PairClosed(trade=trade):
                _end(trade, account, tracker)

    account.bus.add(on_event)


def take_over_positions(account: EngineAccount, tracker: PositionTracker) -> None:
    """What an earlier process left open."""
    for position in account.floor.ledger.positions().values():
        if position.is_open:
            _take(position, account, tracker)


def tracked_position(position: PairPosition, exchange: str, levels: Mapping[str, Any]) -> TrackedPosition:
    """At its entry prices, until the tracker hears others. ``levels``: what its signal said of stops."""
    return TrackedPosition(
        symbol=name_of(position.pair_id),
        side="LONG" if position.direction is Direction.LONG else "SHORT",
        legs=tuple(
            TrackedLeg(leg.symbol, float(leg.quantity), float(leg.entry_price), float(leg.entry_price))
            for leg in position.legs
        ),
        stop_loss_price=levels.get("stop_loss"),
        take_profit_price=levels.get("take_profit"),
        stop_loss_z=levels.get("stop_loss_z"),
        take_profit_z=levels.get("take_profit_z"),
        exchange=exchange,
        strategy_id=levels.get("strategy_id", ""),
        opened_at=position.entry_time,
    )


def pair_id_of(exchange: str, name: str) -> str:
    """The same symbol on two exchanges is two positions."""
    return f"{exchange}:{name}"


def account_of(pair_id: str) -> str:
    return pair_id.split(":", 1)[0]


def name_of(pair_id: str) -> str:
    return pair_id.split(":", 1)[1]


def _take(position: PairPosition, account: EngineAccount, tracker: PositionTracker) -> None:
    tracker.take(tracked_position(position, account.name, account.levels.get(position.pair_id, {})))


def _end(trade: TradeRecord, account: EngineAccount, tracker: PositionTracker) -> None:
    position = tracker.get_position(name_of(trade.pair_id), account.name)
    if position is None:
        return  # unwound before it was open
    for leg in trade.legs:
        if leg.exit_price is not None:
            position = position.priced(leg.symbol, float(leg.exit_price))
    tracker.end(position, realized_pnl=float(trade.pnl), reason=trade.exit_reason, closed_at=trade.exit_time)
