"""Puts the checked parts of a config together: pairs in compact symbols, rule specs, the hash a live run asks for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from pairs.symbols import compact_symbol
from pairs.words import HedgeSpec, Pair
from trading.config.model import Config, LoadedConfig, RuleSpec
from trading.config.report import Problem
from trading.config.sections import Hedge, PairEntry

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")


def assemble(
    config: Config,
    entries: Iterable[PairEntry],
    entry: RuleSpec,
    exit_: RuleSpec,
    *,
    path: Path,
    warnings: Iterable[Problem],
) -> LoadedConfig:
    """The loaded config; its parts have been checked against each other before."""
    names_pairs = config.pairs is not None or config.pairs_file is not None
    pairs = tuple(_pair(each, config) for each in entries) if names_pairs else (_single(config),)
    return LoadedConfig(
        model=config,
        path=path,
        name=path.name,
        bot_id=config.bot_id or _NOT_IN_NAMES.sub("_", path.stem)[:48] or "bot",
        sha256=_fingerprint(config, pairs, entry, exit_),
        pairs=pairs,
        entry=entry,
        exit=exit_,
        warnings=tuple(warnings),
    )


def _pair(entry: PairEntry, config: Config) -> Pair:
    return Pair(
        pair_id=entry.pair_id,
        leg_a=compact_symbol(entry.leg_a),
        leg_b=compact_symbol(entry.leg_b),
        hedge=_hedge(entry, config),
        entry_z=entry.z_score_threshold or entry.entry_threshold,
        stop_z=entry.stop_loss_z,
        half_life_bars=entry.half_life_candles,
        formation_start=entry.formation_start,
        formation_end=entry.formation_end,
    )


def _hedge(entry: PairEntry, config: Config) -> HedgeSpec:
    chosen = entry.hedge or config.strategy.hedge or _implied(config)
    prices = (entry.prices, entry.hedge and entry.hedge.prices, config.strategy.hedge and config.strategy.hedge.prices)
    return HedgeSpec(
        method=chosen.method,
        prices=next((each for each in prices if each), "log"),
        window=chosen.window,
        refit_every=chosen.refit_every,
        ratio=entry.hedge_ratio,
        intercept=entry.intercept or 0.0,
    )


def _implied(config: Config) -> Hedge:
    return Hedge(method="kalman" if config.signal.use_kalman_filter else "fixed")


def _single(config: Config) -> Pair:
    symbol = compact_symbol(config.trading.symbol or config.data.symbol or "")
    return Pair(pair_id=symbol, leg_a=symbol, leg_b=None)


def _fingerprint(config: Config, pairs: tuple[Pair, ...], entry: RuleSpec, exit_: RuleSpec) -> str:
    rules = [(rule.name, repr(rule.params)) for rule in (entry, exit_)]
    return hashlib.sha256(f"{config.model_dump_json()}\n{pairs!r}\n{rules!r}".encode()).hexdigest()
