"""Every rule that a config is held against beyond the form of its values, in the order they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trading.config import execution_rules, pair_rules, risk_rules, venue_rules
from trading.config.check import Check
from trading.config.report import Problem

Rule = Callable[[Check], Iterable[Problem]]

RULES: tuple[Rule, ...] = (
    pair_rules.pairs_or_symbol,
    pair_rules.legs,
    pair_rules.shared_symbols,
    pair_rules.pair_ids,
    pair_rules.hedge_ratios,
    pair_rules.kalman,
    pair_rules.pair_words_said_twice,
    pair_rules.formation,
    pair_rules.thresholds,
    pair_rules.reachable,
    pair_rules.warm_up,
    pair_rules.rules_fit_the_strategy,
    venue_rules.words_said_twice,
    venue_rules.source_of_data,
    venue_rules.history_leaves_bars,
    venue_rules.mock_symbols,
    venue_rules.market_speed,
    venue_rules.shorts,
    venue_rules.position_mode,
    venue_rules.leverage,
    venue_rules.simulation_or_live,
    venue_rules.exchange_address,
    venue_rules.faults,
    venue_rules.exposure,
    venue_rules.minimum_sizes,
    venue_rules.known_filters,
    execution_rules.limit_orders,
    execution_rules.slices,
    venue_rules.trailing,
    risk_rules.liquidation_distance,
    risk_rules.quarantine,
    venue_rules.written_paths,
    venue_rules.files_of_their_own,
    venue_rules.percents_and_secrets,
    venue_rules.secrets_there,
    venue_rules.mail_server,
)
