"""Faults on request: when which of the ``KINDS`` strikes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from brokers.simulated.fault_kinds import KINDS, PARAMETERS, misuse
from ccxt_bt_bridge.bt_time import datetime_to_ms
from pairs.symbols import compact_symbol


class Scripted(Protocol):
    """What says when it fires: ``at`` a call, after a time, or at a ``rate``, and at most ``times`` times."""

    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> int | None: ...
    @property
    def after_ms(self) -> int | None: ...
    @property
    def rate(self) -> float | None: ...
    @property
    def times(self) -> int | None: ...
    def matches(self, operation: str, symbol: str | None) -> bool: ...


Struck = TypeVar("Struck", bound=Scripted)


def most_of(fault: Scripted) -> int | None:
    """How often it fires at most: once unless told otherwise, without end by rate."""
    return fault.times if fault.times is not None or fault.rate is not None else 1


def check_schedule(fault: Scripted) -> None:
    """Raises ``ValueError`` unless exactly one of call, time and rate says when, and says it sensibly."""
    given = [name for name in ("at", "after_ms", "rate") if getattr(fault, name) is not None]
    if len(given) != 1:
        raise ValueError(f"fault {fault.kind} needs either 'at' or 'rate', found {' and '.join(given) or 'neither'}")
    if fault.rate is not None and not 0.0 <= fault.rate <= 1.0:
        raise ValueError(f"fault {fault.kind}: rate is {fault.rate}; expected a share between 0 and 1")
    for name in ("times", "at"):
        value = getattr(fault, name)
        if value is not None and value < 1:
            raise ValueError(f"fault {fault.kind}: {name} is {value}; expected 1 or more")


def entry_values(raw: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """One entry of a script by field: a time in ``at`` goes to ``after_ms``, the symbol is compact.

    Raises ``ValueError`` for a missing kind or a name that is unknown.
    """
    known = [name for name in names if name != "after_ms"]
    if "kind" not in raw or any(name not in known for name in raw):
        raise ValueError(f"fault {dict(raw)}: needs 'kind' and knows {', '.join(known)}; found {', '.join(raw)}")
    values = dict(raw)
    if isinstance(values.get("at"), str):
        values["after_ms"] = datetime_to_ms(datetime.fromisoformat(values.pop("at")))
    if values.get("symbol") is not None:
        values["symbol"] = compact_symbol(values["symbol"])
    return values


@dataclass(frozen=True, slots=True)
class Fault:
    """One scripted fault. ``symbol`` None means any.

    ``at``: the matching call from which on it fires, counted from 1, or a time from which on it does; it fires
    ``times`` times. ``rate``: the share of matching calls, drawn by seed, without end unless ``times`` is given.
    What is not said is as the kind has it: read ``place``, ``ratio``, ``lasts_ms`` and ``multiple``.
    """

    kind: str
    on: str | None = None
    symbol: str | None = None
    at: int | None = None
    after_ms: int | None = None
    times: int | None = None
    rate: float | None = None
    fill_ratio: Decimal | None = None
    delay_ms: int | None = None
    factor: Decimal | None = None

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Fault:
        """From one entry of ``broker.faults``. Raises ``ValueError`` that names what is wrong."""
        values = entry_values(raw, [field.name for field in fields(cls)])
        for name in {"fill_ratio", "factor"} & values.keys():
            values[name] = Decimal(str(values[name]))
        return cls(**values)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")
        wrong = misuse(self.kind, self.on, [name for name in PARAMETERS if getattr(self, name) is not None])
        if wrong is not None:
            raise ValueError(wrong[1])
        check_schedule(self)
        if self.fill_ratio is not None and not 0 <= self.fill_ratio < 1:
            raise ValueError(f"fault {self.kind}: fill_ratio is {self.fill_ratio}; expected 0 or more and less than 1")
        for name, least in (("delay_ms", 0), ("factor", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"fault {self.kind}: {name} is {value}; expected {least} or more")

    @property
    def place(self) -> str:
        """Where it strikes."""
        return self.on or KINDS[self.kind].on[0]

    @property
    def ratio(self) -> Decimal:
        """The share that fills."""
        return Decimal("0.5") if self.fill_ratio is None else self.fill_ratio

    @property
    def lasts_ms(self) -> int:
        """How late, or for how long; 0 for a kind that knows no delay."""
        return (KINDS[self.kind].delay_ms or 0) if self.delay_ms is None else self.delay_ms

    @property
    def multiple(self) -> Decimal:
        """By what the thing is multiplied; 1 for a kind that multiplies nothing."""
        return Decimal(KINDS[self.kind].factor or 1) if self.factor is None else self.factor

    def matches(self, operation: str, symbol: str | None) -> bool:
        return self.place == operation and (self.symbol is None or self.symbol == symbol)


class FaultMemory(Protocol):
    """Where the counts live, so that a restart neither repeats nor forgets a fault."""

    def fault_counts(self) -> dict[int, tuple[int, int]]: ...
    def save_fault_count(self, index: int, calls: int, fired: int) -> None: ...


class FaultScript(Generic[Struck]):
    """Scripted faults of one kind of table, and how far each has come."""

    def __init__(self, faults: Sequence[Struck], *, seed: int, memory: FaultMemory) -> None:
        self._faults = list(faults)
        self._seed = seed
        self._memory = memory
        self._counts = memory.fault_counts()

    def strike(self, operation: str, symbol: str | None, now_ms: int) -> Struck | None:
        """Count this call on every fault that matches it; the first that fires, or None."""
        struck = None
        for index, fault in enumerate(self._faults):
            if not fault.matches(operation, symbol):
                continue
            calls, fired = self._counts.get(index, (0, 0))
            fires = struck is None and self._fires(index, calls + 1, fired, now_ms)
            self._counts[index] = calls + 1, fired + fires
            self._memory.save_fault_count(index, *self._counts[index])
            struck = fault if fires else struck
        return struck

    def _fires(self, index: int, call: int, fired: int, now_ms: int) -> bool:
        fault = self._faults[index]
        most = most_of(fault)
        if most is not None and fired >= most:
            return False
        if fault.at is not None:
            return call >= fault.at
        if fault.after_ms is not None:
            return now_ms >= fault.after_ms
        return fault.rate is not None and self._draw(index, call) < fault.rate

    def _draw(self, index: int, call: int) -> float:
        """One number per fault and call, whatever happened before it: a resumed run draws the same."""
        return float(np.random.Generator(np.random.PCG64([self._seed, index, call])).random())


class FaultPlan(FaultScript[Fault]):
    """The scripted faults of one exchange."""

    def __init__(self, faults: Iterable[Fault | Mapping[str, Any]], *, seed: int, memory: FaultMemory) -> None:
        parsed = [one if isinstance(one, Fault) else Fault.parse(one) for one in faults]
        super().__init__(parsed, seed=seed, memory=memory)

    def strikes_on(self, operation: str) -> bool:
        """Whether any fault may ever strike there."""
        return any(fault.place == operation for fault in self._faults)
