"""How well orders were executed: counted from the events, never asked from the exchange."""

from __future__ import annotations

from dataclasses import dataclass

from trading.events import EntryRefused, Event, LegFilled, LegsEven, OrderFinished, PairOpened


@dataclass(slots=True)
class ExecutionQuality:
    """A listener. Slippage in per cent of notional against the price of the decision, positive when it cost."""

    orders: int = 0
    fills: int = 0
    opened: int = 0
    refused: int = 0
    latency_sum_ms: int = 0
    slippage_sum_pct: float = 0.0
    longest_unhedged_s: float = 0.0

    def on_event(self, event: Event) -> None:
        match event:
            case OrderFinished():
                self.orders += 1
                self.latency_sum_ms += event.latency_ms
            case LegFilled(fill=fill, reference_price=reference):
                self.fills += 1
                self.slippage_sum_pct += 100.0 * fill.side.sign * float(fill.price / reference - 1)
            case LegsEven():
                self.longest_unhedged_s = max(self.longest_unhedged_s, event.unhedged_s)
            case PairOpened():
                self.opened += 1
            case EntryRefused():
                self.refused += 1

    @property
    def average_latency_ms(self) -> float:
        return self.latency_sum_ms / self.orders if self.orders else 0.0

    @property
    def average_slippage_pct(self) -> float:
        return self.slippage_sum_pct / self.fills if self.fills else 0.0
