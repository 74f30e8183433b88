"""What the trading floor tells: frozen facts for logs, status line, notifiers. Listeners never answer back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.words import Fill
from pairs.words import PairOrder, PairPosition
from trading.journal.words import Intent
from trading.records import TradeRecord
from trading.risk.state import RiskNotice
from trading.signals import TradingSignal


@dataclass(frozen=True, slots=True)
class EntryRefused:
    time: datetime
    order: PairOrder
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderSent:
    """An order is about to be sent: its intent is on disk."""

    time: datetime
    intent: Intent


@dataclass(frozen=True, slots=True)
class OrderFinished:
    """One exchange order came to its end. ``status`` in the exchange's words, or why nothing was placed."""

    time: datetime
    intent: Intent
    status: str
    latency_ms: int
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class LegFilled:
    """A fill of ours, booked once."""

    pair_id: str
    ref: str
    fill: Fill
    reference_price: Decimal


@dataclass(frozen=True, slots=True)
class PairOpened:
    time: datetime
    order: PairOrder
    position: PairPosition


@dataclass(frozen=True, slots=True)
class PairClosed:
    """``order`` is None when the engine left the pair on its own (an unwind, a recovery)."""

    time: datetime
    trade: TradeRecord
    order: PairOrder | None


@dataclass(frozen=True, slots=True)
class LegsEven:
    """A pair's legs match again, ``unhedged_s`` after a fill had parted them."""

    time: datetime
    pair_id: str
    unhedged_s: float


@dataclass(frozen=True, slots=True)
class OrderFailed:
    """A pair order came to nothing: the pair is where it was before."""

    time: datetime
    order: PairOrder
    reason: str


@dataclass(frozen=True, slots=True)
class FundingBooked:
    """A pair's share of a payment. ``trade``: the closed trade as it is now, for one heard after the exit."""

    time: datetime
    pair_id: str
    symbol: str
    amount: Decimal
    trade: TradeRecord | None = None


@dataclass(frozen=True, slots=True)
class BarMarked:
    """A time step has closed: equity at its closes."""

    time: datetime
    equity: float


@dataclass(frozen=True, slots=True)
class StepMissed:
    """A pair's time step lacked bars that do not exist; dropped, or carried with the last close in their place."""

    time: datetime
    pair_id: str
    missing: tuple[str, ...]
    is_carried: bool


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """A stream of the exchange ("market" or "user") went down or came back."""

    time: datetime
    stream: str
    is_up: bool
    reason: str


@dataclass(frozen=True, slots=True)
class PairSignal:
    """What a price between bars, or a bar's close, says of a pair. Entries are the strategy's to decide."""

    time: datetime
    pair_id: str
    signal: TradingSignal


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person should look at. ``critical`` when money is exposed; ``of_health``: of the data or of a pair's
    own soundness, not of what the bot did."""

    time: datetime
    message: str
    pair_id: str | None = None
    critical: bool = False
    of_health: bool = False


Event = (
    EntryRefused
    | OrderSent
    | OrderFinished
    | LegFilled
    | PairOpened
    | PairClosed
    | LegsEven
    | OrderFailed
    | FundingBooked
    | BarMarked
    | StepMissed
    | ConnectionChanged
    | PairSignal
    | Alarm
    | RiskNotice
)
Listener = Callable[[Event], None]


class EventBus:
    """Tells every listener, in the order they were added. One that raises is dropped and reported to the rest."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def publish(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except (Exception, SystemExit) as error:  # a listener must never stop a trade
                self._listeners.remove(listener)
                if not isinstance(event, Alarm):
                    self.publish(Alarm(_time_of(event), f"a listener was dropped: {error!r}"))


def _time_of(event: Event) -> datetime:
    if isinstance(event, LegFilled):
        return ms_to_datetime(event.fill.time_ms)
    return event.time
