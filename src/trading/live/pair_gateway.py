"""Where the pair's two Backtrader orders become one pair order, and where the engine's facts become notifications.

Lives between two threads: Backtrader's thread calls ``submit``; the exchange loop's thread publishes. Only frozen
values cross.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from ccxt_bt_bridge.broker import CashView, OrderTicket, OrderUpdate, UpdateKind
from ccxt_bt_bridge.bt_time import datetime_to_ms
from ccxt_bt_bridge.hub import Hub
from pairs.words import PairOrder, PairPosition, PairState
from trading.events import EntryRefused, Event, LegFilled, OrderFailed, PairClosed, PairOpened
from trading.risk_guard import RiskExit


@dataclass(frozen=True, slots=True)
class StepView:
    """What a strategy may know at a bar's close: nothing that was decided on this bar has filled yet."""

    time: datetime | None
    equity: float
    cash: float
    positions: Mapping[str, PairPosition]
    risk_exits: tuple[RiskExit, ...] = ()


class PairOrders(Protocol):
    """Takes pair orders from Backtrader's thread."""

    def post(self, order: PairOrder) -> None: ...


class PairGateway:
    """An ``OrderGateway`` of the bridge that knows pairs. ``view`` is replaced whole, never changed."""

    def __init__(self, hub: Hub, view: StepView) -> None:
        self.updates: deque[OrderUpdate] = deque()
        self.view = view
        self._hub = hub
        self._orders: PairOrders | None = None
        self._tickets: dict[str, dict[str, OrderTicket]] = {}
        self._keys: dict[tuple[str, str], object] = {}
        self._exits: deque[RiskExit] = deque()

    def connect(self, orders: PairOrders, keys: Mapping[tuple[str, str], object]) -> None:
        """``keys``: the feed key of every (pair_id, symbol)."""
        self._orders = orders
        self._keys = dict(keys)

    # Backtrader's thread

    def submit(self, ticket: OrderTicket) -> None:
        """Collect the legs of a pair order; the last one sends it on its way, as one."""
        order: PairOrder = ticket.info["pair_order"]
        tickets = self._tickets.setdefault(order.ref, {})
        tickets[ticket.symbol] = ticket
        if len(tickets) == len(order.legs):
            assert self._orders is not None
            self._orders.post(order)

    def cancel(self, ref: int) -> None:
        """A pair order is both legs or none: a single leg cannot be taken back."""

    def cash_view(self) -> CashView:
        return CashView(self.view.cash, self.view.equity)

    def is_pending(self, ref: str) -> bool:
        """True from ``submit`` until the engine is done with the order."""
        return ref in self._tickets

    def take_exits(self) -> Iterator[RiskExit]:
        """Exits between bars that the strategy has not heard of yet, each once."""
        while self._exits:
            yield self._exits.popleft()

    # the exchange loop's thread

    def tell_exit(self, risk_exit: RiskExit) -> None:
        """A pair is being left between bars: from now on no strategy sees it open."""
        view, pair_id = self.view, risk_exit.pair_id
        if pair_id in view.positions:
            leaving = replace(view.positions[pair_id], state=PairState.EXITING)
            self.view = replace(view, positions={**view.positions, pair_id: leaving})
        self._exits.append(risk_exit)

    def forget_orders(self) -> None:
        """Whoever asked for them is gone; what is under way goes on, and its fills are told as anybody's."""
        self._tickets.clear()

    def publish_step(self, view: StepView) -> None:
        self.view = view

    def on_event(self, event: Event) -> None:
        match event:
            case LegFilled():
                self._on_fill(event)
            case PairOpened(order=order):
                self._end(order.ref, UpdateKind.CANCELED, event.time)
            case PairClosed(order=order) if order is not None:
                self._end(order.ref, UpdateKind.CANCELED, event.time)
            case EntryRefused(order=order):
                kind = UpdateKind.MARGIN if "initial_margin" in event.reasons else UpdateKind.REJECTED
                self._end(order.ref, kind, event.time)
            case OrderFailed(order=order):
                self._end(order.ref, UpdateKind.REJECTED, event.time)

    def _on_fill(self, event: LegFilled) -> None:
        fill = event.fill
        ticket = self._ticket_of(event)
        self._tell(
            UpdateKind.FILL,
            ticket.ref if ticket else None,
            self._keys[event.pair_id, fill.symbol],
            fill.signed_amount,
            fill.price,
            fill.fee,
            fill.time_ms,
        )

    def _ticket_of(self, event: LegFilled) -> OrderTicket | None:
        """The strategy's own order that this fill belongs to: same pair, same symbol, same side."""
        for tickets in list(self._tickets.values()):
            ticket = tickets.get(event.fill.symbol)
            if ticket is None or ticket.info["pair_order"].pair_id != event.pair_id:
                continue
            if ticket.amount * event.fill.side.sign > 0:
                return ticket
        return None

    def _end(self, ref: str, kind: UpdateKind, time: datetime) -> None:
        """The engine is done with the order: what has not filled by now never will."""
        for ticket in self._tickets.pop(ref, {}).values():
            self._tell(kind, ticket.ref, ticket.key, Decimal(0), Decimal(0), Decimal(0), datetime_to_ms(time))
        self._hub.kick()

    def _tell(
        self,
        kind: UpdateKind,
        ref: int | None,
        key: object,
        amount: Decimal,
        price: Decimal,
        fee: Decimal,
        time_ms: int,
    ) -> None:
        self.updates.append(OrderUpdate(kind, ref, key, amount, price, fee, time_ms))
        self._hub.kick()
