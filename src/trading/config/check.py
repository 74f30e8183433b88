"""What a rule of the validator may look at: the whole config, its pairs and its two rules, however broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pairs.symbols import compact_symbol
from trading.config.model import LIVE_BROKERS
from trading.config.params import RuleFacts
from trading.config.position_json import Path
from trading.config.report import ERROR, Problem
from trading.config.source import Facts, Source, finite


@dataclass(frozen=True)
class PairFacts:
    """What is known of one pair; it may stand in the config or in its pairs file."""

    source: Source
    path: Path
    values: Mapping[str, Any]

    def number(self, *keys: str) -> float | None:
        """The first of ``keys`` that holds a finite number."""
        return next((value for key in keys if (value := finite(self.values.get(key))) is not None), None)

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        return value if isinstance(value, str) and value else None

    def given(self, key: str) -> bool:
        return self.values.get(key) is not None

    def hedge(self) -> Mapping[str, Any] | None:
        value = self.values.get("hedge")
        return value if isinstance(value, dict) else None

    def symbol(self, key: str) -> str | None:
        """``leg_a`` or ``leg_b`` in the compact notation."""
        text = self.text(key)
        return compact_symbol(text) or None if text else None

    @property
    def entry_key(self) -> str:
        return "z_score_threshold" if self.given("z_score_threshold") else "entry_threshold"

    def problem(self, key: str, message: str, *, severity: str = ERROR, expected: str | None = None) -> Problem:
        return self.source.problem((*self.path, key), message, severity=severity, expected=expected)


@dataclass(frozen=True)
class Check:
    """One config under examination. ``environ`` tells which secrets are there."""

    source: Source
    facts: Facts
    pairs: tuple[PairFacts, ...]
    entry: RuleFacts
    exit: RuleFacts
    environ: Mapping[str, str]

    @property
    def broker(self) -> str | None:
        return self.facts.text("broker", "type")

    @property
    def is_live(self) -> bool:
        return self.broker in LIVE_BROKERS

    @property
    def names_pairs(self) -> bool:
        return self.facts.given("pairs") or self.facts.given("pairs_file")

    @property
    def equity(self) -> float | None:
        """What sizes are a share of: the cap of a live bot, else the balance of the simulation. Quote currency."""
        return self.facts.number("broker", "capital" if self.is_live else "initial_balance")

    @property
    def position_size(self) -> float | None:
        sizes = (self.facts.number("trading", "position_size"), self.facts.number("strategy", "position_size"))
        return next((size for size in sizes if size is not None), 0.1)

    @property
    def size_path(self) -> Path:
        in_strategy = self.facts.given("strategy", "position_size") and not self.facts.given("trading", "position_size")
        return ("strategy" if in_strategy else "trading", "position_size")

    def hedge_method(self, pair: PairFacts) -> str | None:
        """The method that a pair would use; None when it is not a text."""
        own = pair.hedge()
        if own is not None:
            return _text(own.get("method", "ols"))
        if self.facts.given("strategy", "hedge"):
            return self.facts.text("strategy", "hedge", "method") or "ols"
        return "kalman" if self.facts.flag("signal", "use_kalman_filter") else "fixed"

    def symbols(self) -> tuple[str, ...]:
        """Every symbol that the config trades, in compact notation, in order."""
        names = [symbol for pair in self.pairs for key in ("leg_a", "leg_b") if (symbol := pair.symbol(key))]
        single = self.facts.text("trading", "symbol") or self.facts.text("data", "symbol")
        return tuple(dict.fromkeys([*names, *([compact_symbol(single)] if single and not self.names_pairs else [])]))

    def market_info(self, symbol: str) -> Mapping[str, Any] | None:
        """The filters that the config gives for a compact symbol."""
        for name, info in self.facts.members("data", "market_info").items():
            if compact_symbol(name) == symbol and isinstance(info, dict):
                return info
        return None


def read_pairs(source: Source) -> Iterator[PairFacts]:
    """The pairs that stand in ``source``, those that are objects."""
    pairs = source.value(("pairs",))
    for index, values in enumerate(pairs if isinstance(pairs, list) else []):
        if isinstance(values, dict):
            yield PairFacts(source, ("pairs", index), values)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
