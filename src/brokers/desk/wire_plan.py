"""Scripted faults of the wire, and how far each has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from brokers.desk.wire_kinds import WIRE_KINDS
from brokers.simulated.faults import FaultScript, check_schedule, entry_values

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
        values = entry_values(raw, [field.name for field in fields(cls)])
        if "on" not in values and values["kind"] in WIRE_KINDS:
            values["on"] = WIRE_KINDS[values["kind"]].on[0]
        return cls(**values)

    def __post_init__(self) -> None:
        kind = WIRE_KINDS.get(self.kind)
        if kind is None:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(WIRE_KINDS)}")
        if self.on not in (*kind.on, ANY):
            raise ValueError(f"fault {self.kind} cannot happen on {self.on!r}; it can on {', '.join(kind.on)}")
        check_schedule(self)
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

    def matches(self, operation: str, symbol: str | None) -> bool:
        here = self.on == operation or (self.on == ANY and operation in WIRE_KINDS[self.kind].on)
        return here and self.symbol in (None, symbol)


class WirePlan(FaultScript[WireFault]):
    """The scripted faults of one server, which forgets them when it ends. More may be added while it runs."""

    def __init__(self, faults: Iterable[WireFault | Mapping[str, Any]] = (), *, seed: int = 0) -> None:
        super().__init__((), seed=seed, memory=NoFaultMemory())
        for fault in faults:
            self.add(fault)

    def add(self, fault: WireFault | Mapping[str, Any]) -> None:
        self._faults.append(fault if isinstance(fault, WireFault) else WireFault.parse(fault))


class NoFaultMemory:
    """A wire has no file: counts begin afresh with each server."""

    def fault_counts(self) -> dict[int, tuple[int, int]]:
        return {}

    def save_fault_count(self, index: int, calls: int, fired: int) -> None:
        """Kept nowhere."""
