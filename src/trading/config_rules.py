"""Every rule that a config is held against beyond the form of its values, in the order they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trading import config_pair_rules, config_venue_rules
from trading.config_check import Check
from trading.config_report import Problem

Rule = Callable[[Check], Iterable[Problem]]

RULES: tuple[Rule, ...] = (
    config_pair_rules.pairs_or_symbol,
    config_pair_rules.legs,
    config_pair_rules.shared_symbols,
    config_pair_rules.pair_ids,
    config_pair_rules.hedge_ratios,
    config_pair_rules.kalman,
    config_pair_rules.pair_words_said_twice,
    config_pair_rules.formation,
    config_pair_rules.thresholds,
    config_pair_rules.reachable,
    config_pair_rules.warm_up,
    config_pair_rules.rules_fit_the_strategy,
    config_venue_rules.words_said_twice,
    config_venue_rules.source_of_data,
    config_venue_rules.history_leaves_bars,
    config_venue_rules.mock_symbols,
    config_venue_rules.shorts,
    config_venue_rules.leverage,
    config_venue_rules.simulation_or_live,
    config_venue_rules.exchange_address,
    config_venue_rules.faults,
    config_venue_rules.exposure,
    config_venue_rules.minimum_sizes,
    config_venue_rules.known_filters,
    config_venue_rules.trailing,
    config_venue_rules.written_paths,
    config_venue_rules.percents_and_secrets,
    config_venue_rules.secrets_there,
)
