"""Scripted faults of the wire, and how far each has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import numpy as np

from brokers.desk.wire_kinds import WIRE_KINDS
from ccxt_bt_bridge.bt_time import datetime_to_ms
from pairs.symbols import compact_symbol

ANY = "any"


@dataclass(frozen=True, slots=True)
class WireFault:
    """One scripted fault, in the words of ``broker.faults``. ``symbol`` None and ``on`` "any" mean every one.

    ``at``: the matching call from which on it happens, counted from 1 (a time in a script: from then on); it happens
    ``times`` times, once by default. ``rate``: the share of matching calls, by seed. ``delay_ms`` and ``executed``: see
    the kind.
    """

    kind: str
    on: str = "create_order"
    symbol: str | None = None
    at: int | None = None
    after_ms: int | None = None
    times: int | None = None
    rate: float | None = None
    delay_ms: int = 1_000
    executed: bool | None = None

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> WireFault:
        """From one entry of a script. Raises ``ValueError`` that names what is wrong."""
        known = [field.name for field in fields(cls) if field.name != "after_ms"]
        if "kind" not in raw or any(name not in known for name in raw):
            raise ValueError(f"fault {dict(raw)}: needs 'kind' and knows {', '.join(known)}; found {', '.join(raw)}")
        values = dict(raw)
        if isinstance(values.get("at"), str):
            values["after_ms"] = datetime_to_ms(datetime.fromisoformat(values.pop("at")))
        if values.get("symbol") is not None:
            values["symbol"] = compact_symbol(values["symbol"])
        if "on" not in values and values["kind"] in WIRE_KINDS:
            values["on"] = WIRE_KINDS[values["kind"]].on[0]
        return cls(**values)

    def __post_init__(self) -> None:
        kind = WIRE_KINDS.get(self.kind)
        if kind is None:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(WIRE_KINDS)}")
        if self.on not in (*kind.on, ANY):
            raise ValueError(f"fault {self.kind} cannot happen on {self.on!r}; it can on {', '.join(kind.on)}")
        given = [name for name in ("at", "after_ms", "rate") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"fault {self.kind} needs either 'at' or 'rate', found {' and '.join(given) or 'neither'}")
        if self.rate is not None and not 0.0 <= self.rate <= 1.0:
            raise ValueError(f"fault {self.kind}: rate is {self.rate}; expected a share between 0 and 1")
        if self.delay_ms < 0:
            raise ValueError(f"fault {self.kind}: delay_ms is {self.delay_ms}; expected 0 or more")
        if self.executed is not None and kind.executed is None:
            raise ValueError(f"fault {self.kind} has no 'executed': it is not about a request")

    @property
    def delay_s(self) -> float:
        return self.delay_ms / 1000.0

    @property
    def is_executed(self) -> bool:
        """Whether the request has its effect before the fault."""
        return bool(WIRE_KINDS[self.kind].executed) if self.executed is None else self.executed

    @property
    def most(self) -> int | None:
        """How often it happens at most, None without end."""
        return self.times if self.times is not None or self.rate is not None else 1

    def matches(self, operation: str, symbol: str | None) -> bool:
        here = self.on == operation or (self.on == ANY and operation in WIRE_KINDS[self.kind].on)
        return here and self.symbol in (None, symbol)


class WirePlan:
    """The scripted faults of one server. More may be added while it runs."""

    def __init__(self, faults: Iterable[WireFault | Mapping[str, Any]] = (), *, seed: int = 0) -> None:
        self._faults: list[WireFault] = []
        self._counts: list[tuple[int, int]] = []
        self._seed = seed
        for fault in faults:
            self.add(fault)

    def add(self, fault: WireFault | Mapping[str, Any]) -> None:
        self._faults.append(fault if isinstance(fault, WireFault) else WireFault.parse(fault))
        self._counts.append((0, 0))

    def strike(self, operation: str, symbol: str | None, now_ms: int) -> WireFault | None:
        """Count this call on every fault that matches it; the first that happens, or None."""
        struck = None
        for index, fault in enumerate(self._faults):
            if fault.matches(operation, symbol):
                calls, fired = self._counts[index]
                fires = struck is None and self._fires(index, calls + 1, fired, now_ms)
                self._counts[index] = calls + 1, fired + fires
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
        """One number per fault and call, whatever happened before it."""
        return float(np.random.Generator(np.random.PCG64([self._seed, index, call])).random())
