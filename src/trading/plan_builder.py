"""From a loaded config to what a strategy and a risk guard are told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from ccxt_bt_bridge.series import interval_ms
from ccxt_bt_bridge.words import Market
from mixins.zscore import ZScoreEntryParams, ZScoreExitParams
from pairs.costs import TradingCosts
from pairs.sizing import SizingSpec
from pairs.spread_tracker import SpreadWindow
from strategies.custom_strategy import CustomStrategy
from strategies.desk_strategy import DeskStrategy
from strategies.pair_strategy import PairStrategy
from strategies.plan import StrategyPlan
from trading.config.model import Config, LoadedConfig
from trading.pair_health import HealthChange, HealthTerms, PairHealth
from trading.risk_guard import RiskLimits, TrailingStop
from trading.signal_terms import SignalTerms

HOURS_PER_YEAR = 8_760.0
STRATEGIES: dict[str, type[DeskStrategy]] = {"pair": PairStrategy, "custom": CustomStrategy}


def strategy_plan(
    config: LoadedConfig,
    *,
    rules: Mapping[str, Market],
    trade_after: datetime,
    last_exits: Mapping[str, tuple[datetime, str]] | None = None,
    decided: frozenset[str] = frozenset(),
) -> StrategyPlan:
    model = config.model
    stop_pct = model.risk_management.stop_loss_pct
    return StrategyPlan(
        pairs=config.pairs,
        entry=config.entry,
        exit=config.exit,
        sizing=sizing_spec(model),
        costs=TradingCosts(
            fee_rate=model.broker.commission,
            slippage_rate=model.broker.slippage_bps / 10_000.0,
            funding_rate_8h=model.data.funding_rate_8h if model.market == "usdm" else 0.0,
        ),
        markets=rules,
        interval_ms=interval_ms(model.data.interval),
        trade_after=trade_after,
        stop_distance=None if stop_pct is None else stop_pct / 100.0,
        last_exits=last_exits,
        decided=decided,
    )


def risk_limits(config: LoadedConfig, *, backtest: bool) -> RiskLimits:
    model = config.model
    risk, trailing = model.risk_management, model.risk_management.trailing_stop
    return RiskLimits(
        max_positions=model.trading.max_positions,
        max_exposure=model.trading.max_exposure,
        max_pair_exposure=model.trading.max_pair_exposure,
        max_leverage=risk.max_leverage,
        account_leverage=model.broker.account.leverage if model.market == "usdm" else 1.0,
        min_liquidation_distance_pct=risk.min_liquidation_distance_pct,
        max_drawdown_pct=model.trading.max_drawdown_pct,
        max_daily_loss=risk.max_daily_loss,
        max_daily_loss_pct=risk.max_daily_loss_pct,
        max_daily_trades=risk.max_daily_trades,
        max_stops_per_pair=risk.max_stops_per_pair,
        quarantine_hours=risk.quarantine_hours,
        max_failed_orders=risk.max_failed_orders,
        failed_orders_hours=risk.failed_orders_hours,
        cooldown_s=risk.cooldown_s,
        stop_loss_pct=risk.stop_loss_pct,
        take_profit_pct=risk.take_profit_pct,
        trailing_stop=TrailingStop(trailing.activation_pct, trailing.trailing_pct) if trailing.enabled else None,
        maintenance_margin_pct=model.broker.maintenance_margin_pct,
        rearm_daily=backtest and model.backtest_rearm,
    )


def pair_health(config: LoadedConfig, trade_after: datetime, tell: Callable[[HealthChange], None]) -> PairHealth:
    wanted = config.model.pair_health
    terms = HealthTerms(
        every_bars=wanted.every_bars,
        window=wanted.window,
        max_pvalue=wanted.max_pvalue,
        max_hedge_drift=wanted.max_hedge_drift,
        max_half_life_ratio=wanted.max_half_life_ratio,
        max_half_lives=wanted.max_half_lives,
    )
    length_ms = interval_ms(config.model.data.interval)
    return PairHealth(terms, interval_ms=length_ms, trade_after=trade_after, kept=config.kept, tell=tell)


def stop_levels(config: LoadedConfig) -> dict[str, float]:
    """Pair → the |z| at which a trade is stopped, by the statistics of its entry; infinite for none."""
    spec = config.exit
    return {pair.pair_id: spec.rule.frozen_stop(spec.params, pair) for pair in config.pairs}  # type: ignore[attr-defined]


def stop_levels_alone(config: LoadedConfig) -> dict[str, float]:
    """The same once no rule decides any more."""
    spec = config.exit
    return {pair.pair_id: spec.rule.stop_alone(spec.params, pair) for pair in config.pairs}  # type: ignore[attr-defined]


def signal_terms(config: LoadedConfig) -> dict[str, SignalTerms]:
    """Pair → its levels and window, where entry and exit are by z; nothing of other rules."""
    entry, leave, model = config.entry.params, config.exit.params, config.model
    if not (isinstance(entry, ZScoreEntryParams) and isinstance(leave, ZScoreExitParams)):
        return {}
    window = SpreadWindow(entry.e_window, entry.e_statistics_window == "inclusive", entry.e_ddof)
    common = replace(SignalTerms.of(model), exit_z=leave.x_exit_z, window=window)
    return {
        pair.pair_id: replace(common, entry_z=pair.entry_z or entry.e_entry_z, stop_z=pair.stop_z or leave.x_stop_z)
        for pair in config.pairs
    }


def sizing_spec(model: Config) -> SizingSpec:
    wanted = model.strategy.sizing
    return SizingSpec(
        method=wanted.method,
        neutrality=wanted.neutrality,
        position_size=min(model.position_size, model.execution.max_position_size),
        risk_per_trade=model.risk_per_trade,
        target_volatility=wanted.target_volatility / math.sqrt(HOURS_PER_YEAR / model.bar_hours),
        kelly_shrink=wanted.kelly_shrink,
        kelly_cap=wanted.kelly_cap,
        scale_by_strength=wanted.scale_by_strength,
        max_pair_fraction=model.execution.max_position_size,
        max_leverage=model.risk_management.max_leverage,
    )
