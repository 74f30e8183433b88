"""Our client order ids by the exchange's order ids."""

from __future__ import annotations

from collections import OrderedDict

REMEMBERED = 20_000


class ClientIds:
    """Symbol and order id → client order id: an exchange's order ids are unique within one symbol only. Pure; keeps
    the last ``REMEMBERED`` learned."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()

    def learn(self, symbol: str, order_id: str, cid: str) -> None:
        self._known[symbol, order_id] = cid
        self._known.move_to_end((symbol, order_id))
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def of(self, symbol: str, order_id: str) -> str | None:
        """None for an order that was never heard of."""
        return self._known.get((symbol, order_id))
