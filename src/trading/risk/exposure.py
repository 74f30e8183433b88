"""Gross notional by pair and symbol, with everything in flight counted as if it had filled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from pairs.words import PairOrder, PairPosition, PairState

LEAVING = (PairState.EXITING, PairState.UNWINDING)


class Exposure:
    """What is held at the last marks, and in full what is approved and not yet seen open. Quote currency.

    Of a symbol that a pair both holds and has reserved, the larger counts. NaN where a price is.
    """

    def __init__(self) -> None:
        self._reserved: dict[str, PairOrder] = {}
        self._positions: Mapping[str, PairPosition] = {}
        self._by_pair: dict[str, dict[str, float]] = {}

    def mark(self, positions: Mapping[str, PairPosition], prices: Mapping[str, float]) -> None:
        """The positions at a bar's close: a pair that is open is what it holds, one that is gone is nothing."""
        if not positions and not self._reserved:
            self._positions, self._by_pair = {}, {}
            return
        for pair_id in [p for p in self._reserved if p in positions and positions[p].is_open]:
            del self._reserved[pair_id]
        self._positions = dict(positions)
        self._by_pair = {p: self._worst_case(p, prices) for p in positions.keys() | self._reserved.keys()}

    def reserve(self, order: PairOrder) -> None:
        """An entry that may fill from now on."""
        self._reserved[order.pair_id] = order
        self._by_pair[order.pair_id] = self._worst_case(order.pair_id, {})

    def release(self, pair_id: str) -> None:
        """An approved entry came to nothing."""
        self._reserved.pop(pair_id, None)
        self._by_pair.pop(pair_id, None)

    def settle(self, pair_id: str) -> None:
        """The pair is flat again: nothing more of it can fill. It counts until the next bar shows it gone."""
        self._reserved.pop(pair_id, None)

    @property
    def pairs(self) -> frozenset[str]:
        return frozenset(self._by_pair)

    @property
    def gross(self) -> float:
        return sum(self.of(pair_id) for pair_id in sorted(self._by_pair))

    @property
    def gross_to_stay(self) -> float:
        """Without pairs that are being left."""
        return sum(self.of(p) for p in sorted(self._by_pair) if not self._is_leaving(p))

    def of(self, pair_id: str) -> float:
        return sum(self._by_pair.get(pair_id, {}).values())

    def by_symbol(self) -> dict[str, float]:
        """Gross over all pairs: what two pairs hold against each other is not netted."""
        gross: dict[str, float] = defaultdict(float)
        for pair_id in sorted(self._by_pair):
            for symbol, notional in self._by_pair[pair_id].items():
                gross[symbol] += notional
        return dict(gross)

    def largest_open(self) -> list[str]:
        """Pairs that can be left now, the one with the largest gross first."""
        open_pairs = [pair_id for pair_id, position in self._positions.items() if position.is_open]
        return sorted(open_pairs, key=lambda pair_id: (-self.of(pair_id), pair_id))

    def only(self, is_wanted: Callable[[str], bool]) -> Exposure:
        """Of these pairs alone, as it is now."""
        part = Exposure()
        part._reserved = {pair_id: order for pair_id, order in self._reserved.items() if is_wanted(pair_id)}
        part._positions = {pair_id: held for pair_id, held in self._positions.items() if is_wanted(pair_id)}
        part._by_pair = {pair_id: gross for pair_id, gross in self._by_pair.items() if is_wanted(pair_id)}
        return part

    def _is_leaving(self, pair_id: str) -> bool:
        position = self._positions.get(pair_id)
        return position is not None and position.state in LEAVING

    def _worst_case(self, pair_id: str, prices: Mapping[str, float]) -> dict[str, float]:
        position, order = self._positions.get(pair_id), self._reserved.get(pair_id)
        worst: dict[str, float] = {}
        for leg in position.legs if position else ():
            price = prices.get(leg.symbol, float(leg.entry_price))
            worst[leg.symbol] = abs(float(leg.quantity)) * price
        for wanted in order.legs if order else ():
            notional = abs(float(wanted.quantity)) * prices.get(wanted.symbol, wanted.reference_price)
            held = worst.get(wanted.symbol, 0.0)
            worst[wanted.symbol] = held if held > notional else notional
        return worst
