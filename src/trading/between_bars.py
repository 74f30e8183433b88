"""What a live run does with the prices between two bars: believe them or not, and hold open pairs against them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from ccxt_bt_bridge.aligner import Step
from ccxt_bt_bridge.words import Quote
from pairs.words import Pair
from trading.live_prices import LivePrices

Look = Callable[[str, Mapping[str, float]], object]


class BetweenBars:
    """``looks`` are called with a pair's id and its legs' prices whenever one of them has come.

    ``heard``: told of every symbol that a price came of, believed or not.
    """

    def __init__(
        self, pairs: Iterable[Pair], prices: LivePrices, *, looks: Iterable[Look], heard: Callable[[str], None]
    ) -> None:
        self._prices, self._looks, self._heard = prices, tuple(looks), heard
        self._pairs: dict[str, list[Pair]] = defaultdict(list)
        for pair in pairs:
            for symbol in pair.symbols:
                self._pairs[symbol].append(pair)

    def note_step(self, step: Step) -> None:
        """A pair's bars have closed."""
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
                for look in self._looks:
                    look(pair.pair_id, prices)
