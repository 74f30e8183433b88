"""The strategy's one verb, live: two Backtrader orders that carry their pair order, through the bridge's broker."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import backtrader as bt

from pairs.words import PairOrder, PairPosition, PairState
from trading.live.pair_gateway import PairGateway
from trading.pair_health import PairHealth


class LivePairBroker:
    """Reads are the gateway's last published view. A pair with an order under way is never FLAT or OPEN here."""

    def __init__(self, gateway: PairGateway, health: PairHealth) -> None:
        self._gateway, self._health = gateway, health
        self._strategy: Any = None
        self._pending: dict[str, PairOrder] = {}

    def bind(self, strategy: Any) -> None:
        self._strategy = strategy

    def begin_step(self, time: datetime, prices: Mapping[str, float]) -> None:
        """Exits that risk demanded, at this bar or since the last, are on their way already; the desks must know."""
        self._health.look(time, self._strategy.desks)
        for pair_id, order in list(self._pending.items()):
            if not self._gateway.is_pending(order.ref):
                del self._pending[pair_id]
        for risk_exit in self._gateway.take_exits():
            self._strategy.desk(risk_exit.pair_id).on_exit(risk_exit.reason)
        view = self._gateway.view
        if view.time == time:
            for risk_exit in view.risk_exits:
                self._strategy.desk(risk_exit.pair_id).on_exit(risk_exit.reason)

    def submit(self, order: PairOrder) -> str:
        self._pending[order.pair_id] = order
        desk = self._strategy.desk(order.pair_id)
        for data, leg in zip(desk.datas, order.legs, strict=True):
            place = self._strategy.buy if leg.quantity > 0 else self._strategy.sell
            place(data=data, size=float(abs(leg.quantity)), pair_order=order)
        return order.ref

    def position(self, pair_id: str) -> PairPosition | None:
        known = self._gateway.view.positions.get(pair_id)
        pending = self._pending.get(pair_id)
        if pending is None:
            return known
        return known if known is not None and known.state.is_busy else _under_way(pending, known)

    def equity(self) -> float:
        return self._gateway.view.equity

    def on_order(self, order: bt.Order) -> None:
        """Positions come with the view; there is nothing to keep."""


def _under_way(order: PairOrder, known: PairPosition | None) -> PairPosition:
    """What a pair looks like between the strategy's order and the engine's first word on it."""
    return PairPosition(
        pair_id=order.pair_id,
        state=PairState.ENTERING if known is None else PairState.EXITING,
        direction=order.direction,
        legs=() if known is None else known.legs,
        entry_time=order.decided_at if known is None else known.entry_time,
        entry_z=order.zscore if known is None else known.entry_z,
        statistics=order.statistics if known is None else known.statistics,
        half_life_bars=order.half_life_bars,
        gross_notional=order.gross_notional,
    )
