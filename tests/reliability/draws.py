"""What a seed draws for one virtual day of a bot: its market, what goes wrong in it, and when the bot dies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brokers.simulated.source import MarketSource
from pairs.words import Pair
from tests.brokers.markets import bars, source
from trading.execution.settings import ExecutionSettings

FIRST_PRICES = {"A": 100.0, "B": 50.0, "C": 20.0, "D": 400.0}
PAIRS = (Pair("A_B", "A", "B"), Pair("C_D", "C", "D"), Pair("C_A", "C", "A"))
TRADED_HOURS, MARKET_HOURS = 24, 40

# kind → where it strikes, and the range of what it takes
ORDER_FAULTS: dict[str, dict[str, tuple[float, float]]] = {
    "reject": {},
    "balance_too_small": {},
    "below_minimum": {},
    "overloaded": {},
    "clock_off": {},
    "timeout_before_execution": {},
    "timeout_after_execution": {},
    "late_execution": {"delay_ms": (200, 2_900)},
    "backend_timeout": {},
    "duplicate": {},
    "partial_fill": {"fill_ratio": (0.02, 0.98)},
    "overfill": {"factor": (1.01, 1.04)},
    "fill_before_ack": {"delay_ms": (100, 3_000)},
    "query_lag": {"delay_ms": (100, 8_000)},
}
EVENT_FAULTS: dict[str, dict[str, tuple[float, float]]] = {
    "event_late": {"delay_ms": (100, 30_000)},
    "event_lost": {},
    "event_twice": {},
    "event_out_of_order": {"delay_ms": (100, 5_000)},
    "user_stream_down": {"delay_ms": (1_000, 600_000)},
}
FEED_FAULTS: dict[str, dict[str, tuple[float, float]]] = {
    "bar_late": {"delay_ms": (100, 60_000)},
    "bar_missing": {},
    "bar_twice": {},
    "bar_revised": {},
    "market_stream_down": {"delay_ms": (1_000, 600_000)},
}
OUTAGES: dict[str, dict[str, tuple[float, float]]] = {
    "rate_limit": {"delay_ms": (1_000, 60_000)},
    "ban": {"delay_ms": (60_000, 1_200_000)},
    "maintenance": {"delay_ms": (10_000, 600_000)},
}
LATENCIES_MS = (0, 0, 100, 800)  # at once, too: then nothing of the bot runs between a question and its answer
COMMANDS = ("halt", "flatten", "close A_B", "close C_D")
STRANGERS = ("by-hand-", "adl_autoclose-")  # what the ids of a person's and of the exchange's own orders begin with
READS = ("fetch_order", "fills", "account", "quote", "funding")


@dataclass(frozen=True, slots=True)
class Day:
    """``crashes``: the point at which each life dies; ``kill_s``: seconds of the day at which one is killed anyhow.

    ``dead_s``: how long each stays dead; ``disk_s``: when the disk refuses, and for how long; ``clock_jumps``: when the
    bot's clock is set, and by how many milliseconds it is off then; ``latency_ms``: there and back; ``losses``: from
    when on somebody else closes a part of a leg, of which symbol, what share, and what that order's id begins with;
    ``settings``: how the bot sends its orders; ``commands``: when a person gives which.
    """

    seed: int
    market: MarketSource
    pairs: tuple[Pair, ...]
    faults: tuple[dict[str, Any], ...]
    crashes: tuple[int, ...]
    kill_s: tuple[float, ...]
    dead_s: tuple[float, ...]
    disk_s: tuple[tuple[float, float], ...]
    clock_jumps: tuple[tuple[float, int], ...]
    latency_ms: int
    losses: tuple[tuple[float, str, str, str], ...]
    settings: ExecutionSettings
    commands: tuple[tuple[float, str], ...]


def draw(seed: int, *, density: int = 1, latency_ms: int | None = None) -> Day:
    """``density``: how many times as many faults and deaths; ``latency_ms`` instead of what the seed draws."""
    rng = np.random.default_rng([seed, 7])
    return Day(
        seed=seed,
        market=_market(rng),
        pairs=PAIRS[: 2 + int(rng.random() < 0.5)],
        faults=tuple(fault for _ in range(density) for fault in fault_draws(rng, list(FIRST_PRICES))),
        crashes=tuple(int(one) for one in rng.integers(1, 70, size=density * int(rng.integers(0, 5)))),
        kill_s=tuple(float(one) for one in rng.uniform(600, 80_000, size=density * int(rng.integers(0, 3)))),
        dead_s=tuple(float(one) for one in rng.choice([0.0, 1.0, 20.0, 600.0], size=12)),
        disk_s=tuple((float(rng.uniform(0, 80_000)), float(rng.uniform(5, 600))) for _ in range(rng.integers(0, 3))),
        clock_jumps=tuple(
            (float(rng.uniform(0, 80_000)), int(rng.integers(-3_000, 3_000))) for _ in range(rng.integers(0, 3))
        ),
        latency_ms=int(rng.choice(LATENCIES_MS)) if latency_ms is None else latency_ms,
        losses=tuple(_losses(np.random.default_rng([seed, 13]), density)),
        settings=_settings(np.random.default_rng([seed, 17])),
        commands=tuple(_commands(np.random.default_rng([seed, 19]), density)),
    )


def _commands(rng: np.random.Generator, density: int) -> Iterable[tuple[float, str]]:
    for _ in range(density * int(rng.integers(0, 3))):
        yield float(rng.uniform(600, 80_000)), str(rng.choice(COMMANDS))


def _settings(rng: np.random.Generator) -> ExecutionSettings:
    """Half of all bots send everything at once to the market."""
    has_slices, has_limits = rng.random() < 0.3, rng.random() < 0.3
    return ExecutionSettings(
        slice_notional=float(rng.uniform(200, 1_500)) if has_slices else None,
        order_type="limit" if has_limits else "market",
        limit_offset_bps=float(rng.choice([-5.0, 0.0, 5.0])),
        limit_fallback=str(rng.choice(["market", "unwind"])),
    )


def _losses(rng: np.random.Generator, density: int) -> Iterable[tuple[float, str, str, str]]:
    """Of symbols that one pair alone trades: there it is plain whose it was."""
    symbols = [symbol for symbol in FIRST_PRICES if sum(symbol in pair.symbols for pair in PAIRS) == 1]
    for _ in range(density * int(rng.integers(0, 3))):
        share = str(rng.choice(["0.3", "0.8", "1"]))
        yield float(rng.uniform(600, 80_000)), str(rng.choice(symbols)), share, str(rng.choice(STRANGERS))


def _market(rng: np.random.Generator) -> MarketSource:
    series = []
    for symbol, price in FIRST_PRICES.items():
        closes = np.round(price * np.exp(np.cumsum(rng.normal(0, 0.006, MARKET_HOURS + 1))), 2)
        series.append(bars(symbol, [(closes[at], closes[at + 1]) for at in range(MARKET_HOURS)]))
    return source(*series)


def fault_draws(rng: np.random.Generator, symbols: Sequence[str]) -> Iterable[dict[str, Any]]:
    """Entries of a script of faults, of every kind that a bot must survive without a person."""
    for kind in rng.choice(list(ORDER_FAULTS), size=int(rng.integers(1, 7))):
        yield _fault(rng, kind, ORDER_FAULTS, on="create_order") | _rate(rng, 0.05, 0.4)
    for kind in rng.choice(list(EVENT_FAULTS), size=int(rng.integers(0, 4))):
        yield _fault(rng, kind, EVENT_FAULTS) | _rate(rng, 0.01, 0.2)
    for kind in rng.choice(list(FEED_FAULTS), size=int(rng.integers(0, 3))):
        yield _fault(rng, kind, FEED_FAULTS) | _rate(rng, 0.01, 0.1)
    for kind in rng.choice(list(OUTAGES), size=int(rng.integers(0, 3))):
        yield _fault(rng, kind, OUTAGES, on=str(rng.choice(READS))) | {"at": int(rng.integers(1, 120))}
    for on in rng.choice(READS, size=int(rng.integers(0, 3))):
        yield {"kind": "timeout_before_execution", "on": str(on)} | _rate(rng, 0.01, 0.2)
    if rng.random() < 0.3:
        symbol, at = str(rng.choice(symbols)), int(rng.integers(2, 40))
        yield {"kind": "halt", "symbol": symbol, "at": at, "delay_ms": int(rng.integers(60_000, 5_400_000))}


def _fault(rng: np.random.Generator, kind: str, table, **where: str) -> dict[str, Any]:
    drawn: dict[str, Any] = {name: rng.uniform(*table[str(kind)][name]) for name in table[str(kind)]}
    drawn |= {name: round(value) for name, value in drawn.items() if name == "delay_ms"}
    return {"kind": str(kind), **where, **drawn}


def _rate(rng: np.random.Generator, least: float, most: float) -> dict[str, Any]:
    return {"rate": float(rng.uniform(least, most)), "times": int(rng.integers(1, 12))}
