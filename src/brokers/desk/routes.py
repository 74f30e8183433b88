"""How an endpoint is described: what it answers, who may ask, what it costs, which operation a fault would hit."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from brokers.desk.params import Params

Handler = Callable[[Params], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """``security``: "open", "key" (header alone) or "signed". ``orders``: how many it counts as in the order limits."""

    answer: Handler
    operation: str
    security: str = "open"
    permission: str | None = None
    weight: int = 1
    orders: int = 0


Routes = dict[tuple[str, str], Route]
