"""When which order was sent: what "the exchange does not know it" proves depends on it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

REMEMBERED = 20_000


class SentOrders:
    """One for all clients of a session: the one that asks for an order need not be the one that sent it.

    ``loop_time`` in seconds. An order that it never heard of is an earlier process': sent before this began. Keeps the
    last ``REMEMBERED``, of which the oldest was sent long before any horizon.
    """

    def __init__(self, loop_time: Callable[[], float]) -> None:
        self._loop_time = loop_time
        self._begun_s = loop_time()
        self._under_way: set[tuple[str, str]] = set()
        self._sent_s: OrderedDict[tuple[str, str], float] = OrderedDict()

    def begin(self, symbol: str, cid: str) -> None:
        """From here on it may be sent at any moment."""
        self._under_way.add((symbol, cid))

    def end(self, symbol: str, cid: str) -> None:
        """It has left, if it ever did: from now, and not from when it began to queue, the exchange may take time."""
        self._under_way.discard((symbol, cid))
        self._sent_s[symbol, cid] = self._loop_time()
        self._sent_s.move_to_end((symbol, cid))
        if len(self._sent_s) > REMEMBERED:
            self._sent_s.popitem(last=False)

    def is_under_way(self, symbol: str, cid: str) -> bool:
        return (symbol, cid) in self._under_way

    def age_s(self, symbol: str, cid: str, *, at_s: float) -> float:
        """How long before the loop's ``at_s`` it was sent, at the least."""
        return at_s - self._sent_s.get((symbol, cid), self._begun_s)
