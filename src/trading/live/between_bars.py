"""What a live run does with the prices between two bars: believe them or not, and hold open pairs against them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from ccxt_bt_bridge.aligner import Step
from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.words import Quote
from pairs.words import Pair
from trading.events import EventBus, PairSignal
from trading.execution.floor import Floor
from trading.execution.pair_stops import PairStops
from trading.live.prices import LivePrices
from trading.signal_generator import SignalGenerator
from trading.signal_terms import SignalTerms
from trading.signals import TradingSignal


class PairSignals:
    """The signals of a bot's pairs, published on its bus."""

    def __init__(self, generators: Mapping[str, SignalGenerator], clock: Clock, bus: EventBus) -> None:
        self._generators, self._clock, self._bus = generators, clock, bus

    def note_step(self, pair_id: str, step: Step, *, is_past: bool) -> None:
        """What the past would have said is told to nobody."""
        if pair_id in self._generators:
            signal = self._generators[pair_id].take_step(step)
            self._tell(pair_id, None if is_past else signal)

    def look(self, pair_id: str, prices: Mapping[str, float]) -> None:
        if pair_id in self._generators:
            self._tell(pair_id, self._generators[pair_id].take_prices(prices, self._clock.now_ms()))

    def now(self) -> dict[str, dict[str, Any]]:
        """Pair → ``time``, ``z``, ``spread`` at the last prices, of those that are known."""
        states = {pair_id: generator.get_current_state() for pair_id, generator in self._generators.items()}
        return {
            pair_id: {"time": state["time"], "z": state["z_score"], "spread": state["spread"]}
            for pair_id, state in states.items()
            if state["z_score"] is not None
        }

    def _tell(self, pair_id: str, signal: TradingSignal | None) -> None:
        if signal is not None:
            self._bus.publish(PairSignal(ms_to_datetime(self._clock.now_ms()), pair_id, signal))


class BetweenBars:
    """Each price of a pair's leg goes to its stops first, then to its signals.

    ``heard``: told of every symbol that a price came of, believed or not.
    """

    def __init__(
        self,
        pairs: Iterable[Pair],
        prices: LivePrices,
        *,
        stops: PairStops,
        signals: PairSignals,
        heard: Callable[[str], None],
    ) -> None:
        self._prices, self._stops, self._signals, self._heard = prices, stops, signals, heard
        self._pairs: dict[str, list[Pair]] = defaultdict(list)
        for pair in pairs:
            for symbol in pair.symbols:
                self._pairs[symbol].append(pair)

    def note_step(self, pair_id: str, step: Step, *, is_past: bool = False) -> None:
        """A pair's bars have closed, now or before the run."""
        self._signals.note_step(pair_id, step, is_past=is_past)
        for bar in step:
            self._prices.note_close(bar.symbol, bar.close)

    async def run(self, quotes: AsyncIterator[Quote]) -> None:
        """Until the prices end."""
        async for quote in quotes:
            self._take(quote)

    def _take(self, quote: Quote) -> None:
        pairs = self._pairs.get(quote.symbol, ())
        self._heard(quote.symbol)
        if not pairs or not self._prices.admit(quote):
            return
        for pair in pairs:
            prices = self._prices.together(pair.symbols)
            if prices is not None:
                self._stops.check(pair.pair_id, prices)
                self._signals.look(pair.pair_id, prices)


def signals_of(pairs: Iterable[Pair], terms: Mapping[str, SignalTerms], floor: Floor) -> PairSignals:
    """Of the pairs that have terms, with the floor's positions."""

    def generator(pair: Pair) -> SignalGenerator:
        leg_a, leg_b = pair.symbols
        return SignalGenerator(
            leg_a,
            leg_b,
            pair.hedge,
            terms[pair.pair_id],
            pair_id=pair.pair_id,
            position=lambda: floor.ledger.position(pair.pair_id),
        )

    generators = {pair.pair_id: generator(pair) for pair in pairs if pair.pair_id in terms}
    return PairSignals(generators, floor.clock, floor.bus)
