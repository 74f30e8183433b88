"""Faults on request: what the exchange or the wire does wrong, and at which call.

``reject``                     the exchange refuses (create, cancel)
``timeout_before_execution``   no answer, and nothing happened
``timeout_after_execution``    no answer, and it happened
``partial_fill``               a part fills, the rest expires (create)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import numpy as np

from ccxt_bt_bridge.bt_time import datetime_to_ms
from pairs.symbols import compact_symbol

WRITES = ("create_order", "cancel_order")
READS = ("fetch_order", "open_orders", "fills", "funding", "account", "quote", "history", "markets")
KINDS = {
    "reject": WRITES,
    "timeout_before_execution": (*WRITES, *READS),
    "timeout_after_execution": (*WRITES, *READS),
    "partial_fill": ("create_order",),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One scripted fault. ``symbol`` None means any.

    ``at``: the matching call from which on it fires, counted from 1, or a time from which on it does; it fires
    ``times`` times. ``rate``: the share of matching calls, drawn by seed, without end unless ``times`` is given.
    """

    kind: str
    on: str = "create_order"
    symbol: str | None = None
    at: int | None = None
    after_ms: int | None = None
    times: int | None = None
    rate: float | None = None
    fill_ratio: Decimal = Decimal("0.5")

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Fault:
        """From one entry of ``broker.faults``. Raises ``ValueError`` that names what is wrong."""
        known = [field.name for field in fields(cls) if field.name != "after_ms"]
        unknown = [name for name in raw if name not in known]
        if unknown or "kind" not in raw:
            raise ValueError(f"fault {dict(raw)}: needs 'kind' and knows {', '.join(known)}; found {', '.join(raw)}")
        values = dict(raw)
        if isinstance(values.get("at"), str):
            values["after_ms"] = datetime_to_ms(datetime.fromisoformat(values.pop("at")))
        if values.get("symbol") is not None:
            values["symbol"] = compact_symbol(values["symbol"])
        if "fill_ratio" in values:
            values["fill_ratio"] = Decimal(str(values["fill_ratio"]))
        return cls(**values)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")
        if self.on not in KINDS[self.kind]:
            raise ValueError(f"fault {self.kind} cannot happen on {self.on!r}; it can on {', '.join(KINDS[self.kind])}")
        given = [name for name in ("at", "after_ms", "rate") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"fault {self.kind} needs either 'at' or 'rate', found {' and '.join(given) or 'neither'}")
        if self.rate is not None and not 0.0 <= self.rate <= 1.0:
            raise ValueError(f"fault {self.kind}: rate is {self.rate}; expected a share between 0 and 1")
        if not 0 <= self.fill_ratio < 1:
            raise ValueError(f"fault {self.kind}: fill_ratio is {self.fill_ratio}; expected 0 or more and less than 1")

    @property
    def most(self) -> int | None:
        """How often it fires at most, None without end."""
        return self.times if self.times is not None or self.rate is not None else 1

    def matches(self, operation: str, symbol: str | None) -> bool:
        return self.on == operation and (self.symbol is None or self.symbol == symbol)


class FaultMemory(Protocol):
    """Where the counts live, so that a restart neither repeats nor forgets a fault."""

    def fault_counts(self) -> dict[int, tuple[int, int]]: ...
    def save_fault_count(self, index: int, calls: int, fired: int) -> None: ...


class FaultPlan:
    """The scripted faults of one exchange and how far each has come."""

    def __init__(self, faults: Iterable[Fault | Mapping[str, Any]], *, seed: int, memory: FaultMemory) -> None:
        self._faults: Sequence[Fault] = [one if isinstance(one, Fault) else Fault.parse(one) for one in faults]
        self._seed = seed
        self._memory = memory
        self._counts = {index: (0, 0) for index in range(len(self._faults))} | memory.fault_counts()

    def strike(self, operation: str, symbol: str | None, now_ms: int) -> Fault | None:
        """Count this call on every fault that matches it; the first that fires, or None."""
        struck = None
        for index, fault in enumerate(self._faults):
            if not fault.matches(operation, symbol):
                continue
            calls, fired = self._counts[index]
            fires = struck is None and self._fires(index, calls + 1, fired, now_ms)
            self._counts[index] = calls + 1, fired + fires
            self._memory.save_fault_count(index, *self._counts[index])
            struck = fault if fires else struck
        return struck

    def _fires(self, index: int, call: int, fired: int, now_ms: int) -> bool:
        fault = self._faults[index]
        if fault.most is not None and fired >= fault.most:
            return False
        if fault.at is not None:
            return call >= fault.at
        if fault.after_ms is not None:
            return now_ms >= fault.after_ms
        return fault.rate is not None and self._draw(index, call) < fault.rate

    def _draw(self, index: int, call: int) -> float:
        """One number per fault and call, whatever happened before it: a resumed run draws the same."""
        return float(np.random.Generator(np.random.PCG64([self._seed, index, call])).random())
