"""The sections of a config as frozen values, strict to the letter: unknown keys, booleans for numbers and numbers as
texts are refused. Defaults are those of a config that does not say. Per cents (0 to 100) are named ``_pct``; every
other share is a fraction. Times are seconds where named ``_s``.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from brokers.simulated.fault_kinds import FOREVER_MS, KINDS, OPERATIONS

ORDERS_A_SLICE = 6  # both legs in and out, and two for what went wrong
INTERVAL_HOURS = {
    "1m": 1 / 60, "3m": 0.05, "5m": 1 / 12, "15m": 0.25, "30m": 0.5, "1h": 1.0, "2h": 2.0, "4h": 4.0, "6h": 6.0,
    "8h": 8.0, "12h": 12.0, "1d": 24.0,
}  # fmt: skip

SYMBOL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9.]{0,19}([/-][A-Za-z0-9]{1,12}(:[A-Za-z0-9]{1,12})?)?$"
NAME_PATTERN = r"^[A-Za-z0-9_-]{1,48}$"


class Section(BaseModel):
    """What every section has in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _utc(value: object) -> datetime:
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        when = None
    if when is None or not datetime(1980, 1, 1) <= when.replace(tzinfo=None) <= datetime(2200, 1, 1):
        raise PydanticCustomError("utc_time", "is no time", {"expected": "a time such as 2024-01-31T00:00:00Z"})
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _speed(value: object) -> float:
    """Times real time; infinity for "max" (virtual time)."""
    if value == "max" and isinstance(value, str):
        return math.inf
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1e9:
        return float(value)
    raise PydanticCustomError("speed", "is no speed", {"expected": '"max" or a number above 0 (times real time)'})


def _speed_text(value: float) -> float | str:
    return "max" if math.isinf(value) else value


def _moment(value: object) -> int | datetime:
    """The number of a call, or a time."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**9:
        return value
    if isinstance(value, str):
        return _utc(value)
    raise PydanticCustomError("moment", "is no moment", {"expected": "the number of a call (from 1) or a time"})


UtcTime = Annotated[datetime, BeforeValidator(_utc), WithJsonSchema({"type": "string", "format": "date-time"})]
Speed = Annotated[
    float,
    PlainValidator(_speed),
    PlainSerializer(_speed_text),
    WithJsonSchema({"anyOf": [{"const": "max"}, {"type": "number", "exclusiveMinimum": 0, "maximum": 1e9}]}),
]
Moment = Annotated[
    int | datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "format": "date-time"}]}),
]
Symbol = Annotated[str, Field(pattern=SYMBOL_PATTERN)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Text = Annotated[str, Field(max_length=10_000)]
PathText = Annotated[str, Field(min_length=1, max_length=1_000)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/?#]+\S*$", max_length=500)]
FaultKindName = Literal[tuple(KINDS)]  # type: ignore[valid-type]
FaultPlace = Literal[OPERATIONS]  # type: ignore[valid-type]
Interval = Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
PositivePercent = Annotated[float, Field(gt=0, le=100)]
Money = Annotated[float, Field(gt=0, le=1e12)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Bars = Annotated[int, Field(ge=1, le=10_000_000)]
Threshold = Annotated[float, Field(gt=0, le=100)]


class Account(Section):
    margin_mode: Literal["cross", "isolated"] = "cross"
    position_mode: Literal["one_way", "hedge"] = "one_way"
    leverage: float = Field(default=2.0, ge=1, le=125)


class Fault(Section):
    """A fault that the simulated exchange plays: at a call (or a time) ``times`` times, or with ``rate`` by seed."""

    kind: FaultKindName  # type: ignore[valid-type]
    on: FaultPlace | None = Field(default=None, description="default: the first that the kind can strike")
    symbol: Symbol | None = None
    at: Moment | None = None
    times: int | None = Field(default=None, ge=1, le=1_000_000, description="default: once; with a rate, without end")
    rate: Fraction | None = None
    fill_ratio: float | None = Field(default=None, ge=0, lt=1)
    delay_ms: int | None = Field(default=None, ge=0, le=FOREVER_MS)
    factor: float | None = Field(default=None, ge=0, le=1_000_000)


class Broker(Section):
    type: Literal["mock", "binance_paper", "binance", "ibkr"]
    market: Literal["usdm", "spot"] | None = Field(default=None, description="default: usdm with pairs, else spot")
    initial_balance: Money = Field(default=10_000.0, description="quote currency; simulation only")
    capital: Money | None = Field(default=None, description="live: a cap on what the bot may use, quote currency")
    commission: float = Field(default=0.0005, ge=0, le=0.1, description="fraction of notional per fill")
    slippage_bps: float = Field(default=1.0, ge=0, le=1_000)
    testnet: bool | None = None
    use_testnet: bool | None = Field(default=None, description="another name of testnet")
    exchange_url: Url | None = None
    ca_file: PathText | None = None
    latency_ms: float = Field(default=0.0, ge=0, le=600_000)
    allow_shared_symbols: bool = False
    maintenance_margin_pct: Percent = 0.5
    account: Account = Account()
    faults: Annotated[tuple[Fault, ...], Field(strict=False, max_length=1_000)] = ()


class Mock(Section):
    """The shape of the mock exchange's own market."""

    seed: int = Field(default=7, ge=0, le=2**63 - 1)
    bars: Bars = 2_000
    speed: Speed = Field(default=math.inf, json_schema_extra={"default": "max"})
    symbols: Annotated[tuple[Symbol, ...], Field(strict=False, min_length=1, max_length=500)] | None = None


class MarketInfo(Section):
    """One symbol's filters: ``tick`` in quote, ``step`` and ``min_amount`` in base, ``min_notional`` in quote."""

    tick: float | None = Field(default=None, gt=0, le=1e9)
    step: float | None = Field(default=None, gt=0, le=1e9)
    min_amount: float | None = Field(default=None, ge=0, le=1e12)
    min_notional: float | None = Field(default=None, ge=0, le=1e12)


class Data(Section):
    data_source: Literal["mock", "replay", "binance", "yahoo", "ibkr"]
    dir: PathText | None = None
    funding_dir: PathText | None = None
    symbol: Symbol | None = None
    interval: Interval = "1h"
    lookback_bars: Bars = Field(default=500, description="history before the first decision, in bars")
    retry_interval: float = Field(default=60.0, gt=0, le=86_400, description="seconds")
    missing_leg: Literal["wait", "skip", "carry"] = "wait"
    grace_s: Seconds = 10.0
    funding_rate_8h: float = Field(default=0.0001, ge=-0.05, le=0.05, description="fraction, where no series is known")
    market_info: dict[Symbol, MarketInfo] = Field(default={}, max_length=5_000)


class Trading(Section):
    symbol: Symbol | None = None
    position_size: float | None = Field(default=None, gt=0, le=100, description="gross notional / equity; default 0.1")
    max_positions: int = Field(default=5, ge=1, le=10_000)
    max_drawdown_pct: PositivePercent = 20.0
    max_exposure: float = Field(default=1.0, gt=0, le=100, description="gross notional of all positions / equity")
    max_pair_exposure: float | None = Field(default=None, gt=0, le=100, description="gross notional of a pair / equity")
    on_shutdown: Literal["keep", "close"] = "keep"
    on_stale: Literal["hold", "flatten"] = Field(default="hold", description="what becomes of an open pair then")
    stale_after_s: float = Field(default=300.0, ge=1, le=86_400, description="a bar so late, or prices silent so long")
    stops_between_bars: bool | None = Field(
        default=None, description="stops at every price, not at closes only; default: with a real market's prices"
    )
    max_price_jump_pct: PositivePercent = Field(
        default=5.0, description="a price between bars that jumps further needs a second one to stop a pair"
    )


class Hedge(Section):
    """How the hedge ratio is found. ``window`` and ``refit_every`` in bars."""

    method: Literal["fixed", "ols", "tls", "johansen", "kalman"] = "ols"
    prices: Literal["log", "level"] | None = None
    window: int = Field(default=500, ge=10, le=1_000_000)
    refit_every: int = Field(default=24, ge=1, le=1_000_000)


class PairEntry(Section):
    """One pair in the format of ``pairs_config.json``. ``leg_a`` is the dependent variable, ``leg_b`` the regressor."""

    pair_id: Name
    leg_a: Symbol
    leg_b: Symbol
    hedge_ratio: float | None = Field(default=None, gt=0, le=1e12)
    z_score_threshold: Threshold | None = None
    entry_threshold: Threshold | None = Field(default=None, description="another name of z_score_threshold")
    stop_loss_z: Threshold | None = None
    half_life_candles: float | None = Field(default=None, gt=0, le=1e9)
    intercept: float | None = Field(default=None, ge=-1e15, le=1e15)
    prices: Literal["log", "level"] | None = None
    interval: Interval | None = None
    formation_start: UtcTime | None = None
    formation_end: UtcTime | None = None
    hedge: Hedge | None = None


class Rule(Section):
    name: str = Field(min_length=1, max_length=200, description="a registered rule, or module:Class")
    params: dict[str, Any] = {}


class Sizing(Section):
    method: Literal["fixed", "risk", "kelly", "volatility"] = "fixed"
    neutrality: Literal["beta", "dollar"] = "beta"
    scale_by_strength: bool = False
    risk_per_trade: float | None = Field(default=None, gt=0, le=1, description="fraction; default execution's")
    target_volatility: float = Field(default=0.1, gt=0, le=10, description="a year, as a fraction")
    kelly_shrink: float = Field(default=0.5, gt=0, le=1)
    kelly_cap: float = Field(default=0.1, gt=0, le=1)


class Strategy(Section):
    type: Literal["pair", "custom"]
    entry_logic: Rule
    exit_logic: Rule
    sizing: Sizing = Sizing()
    hedge: Hedge | None = None
    position_size: float | None = Field(default=None, gt=0, le=100)


class Execution(Section):
    order_type: Literal["market", "limit"] = Field(default="market", description="of the first leg of an entry")
    limit_offset_bps: float = Field(
        default=0.0, ge=-1_000, le=1_000, description="better than the last price by so much"
    )
    limit_timeout_s: float = Field(default=10.0, gt=0, le=3_600)
    limit_fallback: Literal["market", "unwind"] = Field(default="market", description="for what did not fill in time")
    slice_notional: Money | None = Field(default=None, description="gross of a pair per slice, quote currency")
    slice_pause_s: float = Field(default=2.0, ge=0, le=60, description="between slices")
    risk_per_trade: float = Field(default=0.01, gt=0, le=1, description="fraction of equity")
    max_position_size: float = Field(default=0.1, gt=0, le=100, description="fraction of equity, per pair")
    min_order_value: float = Field(default=10.0, ge=0, le=1e9, description="quote currency")
    min_fill_ratio: float = Field(default=0.5, gt=0, le=1)
    max_unhedged_s: float = Field(default=30.0, gt=0, le=3_600)
    reconcile_s: float = Field(default=30.0, ge=1, le=3_600, description="between looks at the account")
    max_orders_per_minute: int = Field(default=600, ge=8, le=100_000, description="a quarter is kept for closing")
    max_orders_per_trade: int = Field(default=60, ge=4, le=10_000)
    max_order_notional: Money | None = Field(default=None, description="default: 10 x opening equity x max_leverage")
    max_notional_per_minute: Money | None = Field(default=None, description="default: 4 x max_order_notional")
    price_band_pct: PositivePercent = Field(default=10.0, description="limit orders, from the last price")
    slippage_alert_pct: PositivePercent | None = Field(
        default=0.5, description="an alarm when an order, or a pair between its legs, cost more; null: never"
    )

    @property
    def max_slices(self) -> int:
        return max(1, self.max_orders_per_trade // ORDERS_A_SLICE)


class Cointegration(Section):
    """The scan for pairs (``tandem scan --config``)."""

    lookback_days: int = Field(default=60, ge=1, le=36_500)
    min_volume_usdt: float = Field(default=1_000_000.0, ge=0, le=1e15, description="traded a day, of an exchange's own")
    universe_size: int = Field(default=30, ge=2, le=5_000, description="the most traded symbols of an exchange")
    top_n_pairs: int = Field(default=10, ge=1, le=100_000)
    autolag: Literal["aic", "bic", "t-stat", "none"] = Field(default="aic", description="none: exactly max_lag lags")
    max_lag: int | None = Field(default=None, ge=0, le=1_000, description="default: 12 (n/100)^(1/4)")
    false_discovery: Literal["bh", "by"] = Field(default="bh", description="Benjamini-Hochberg or Benjamini-Yekutieli")
    max_q_value: float = Field(default=0.05, gt=0, lt=1, description="false pairs allowed, as a share of those chosen")
    adf_pvalue_threshold: float = Field(default=0.05, gt=0, lt=1, description="p with the legs exchanged")
    max_half_life_hours: float = Field(default=24.0, gt=0, le=100_000)
    min_correlation: float = Field(default=0.5, ge=-1, le=1, description="of returns")
    min_edge: float = Field(default=1.0, ge=0, le=1_000, description="reversion from entry to exit / round-trip cost")
    holdout: float = Field(default=1 / 3, gt=0, lt=1, description="last part of the bars, for the test out of sample")
    max_holdout_pvalue: float = Field(default=0.20, gt=0, le=1)
    max_hedge_drift: float = Field(default=0.5, gt=0, le=1_000, description="of a sub-window's hedge ratio, relative")
    max_jump: float = Field(default=3.0, gt=1, le=1e9, description="between two closes; beyond: another coin")


class PairHealth(Section):
    """Traded pairs, tested anew: one that no longer keeps together takes no more entries."""

    every_bars: int | None = Field(default=None, ge=1, le=1_000_000, description="between two tests; default: never")
    window: int = Field(default=300, ge=60, le=1_000_000, description="bars of a test")
    max_pvalue: float = Field(default=0.2, gt=0, le=1, description="of the Engle-Granger test")
    max_hedge_drift: float = Field(default=0.5, gt=0, le=1_000, description="fitted hedge ratio / traded one, less 1")
    max_half_life_ratio: float = Field(default=3.0, gt=0, le=1_000, description="fitted half-life / the pair's own")
    max_half_lives: float = Field(default=5.0, gt=0, le=1_000, description="time in a trade / the pair's half-life")


class Signal(Section):
    """Thresholds by the signal generator's names; they stand for the z rules' parameters where those are silent."""

    entry_threshold: Threshold | None = None
    exit_threshold: float | None = Field(default=None, ge=0, le=100)
    stop_loss_threshold: Threshold | None = None
    lookback_bars: int | None = Field(default=None, ge=2, le=1_000_000)
    use_kalman_filter: bool | None = None
    duplicate_suppression_seconds: Seconds = 30.0


class TrailingStop(Section):
    enabled: bool = False
    activation_pct: PositivePercent = 3.0
    trailing_pct: PositivePercent = 2.0


class RiskManagement(Section):
    stop_loss_pct: PositivePercent | None = Field(default=5.0, description="of the gross notional at entry")
    take_profit_pct: float | None = Field(default=10.0, gt=0, le=10_000)
    trailing_stop: TrailingStop = TrailingStop()
    max_daily_trades: int | None = Field(default=10, ge=1, le=1_000_000)
    max_daily_loss: Money | None = Field(default=None, description="quote currency")
    max_daily_loss_pct: PositivePercent | None = Field(default=2.0, description="of equity at the start of the UTC day")
    max_leverage: float = Field(default=2.0, gt=0, le=125)
    min_liquidation_distance_pct: PositivePercent | None = Field(
        default=None,
        description="move of the gross until the maintenance margin; below it whole pairs are left",
    )
    max_stops_per_pair: int | None = Field(default=None, ge=1, le=1_000, description="a UTC day; then quarantine")
    quarantine_hours: float | None = Field(default=None, gt=0, le=8_760, description="default: until the UTC day ends")
    max_failed_orders: int | None = Field(
        default=5, ge=1, le=1_000, description="entries in a row that came to nothing, then no more entries"
    )
    failed_orders_hours: float = Field(default=24.0, gt=0, le=8_760, description="within which they count")
    cooldown_s: float = Field(
        default=900.0, gt=0, le=86_400, description="no entries after failures that never reached the exchange"
    )
    backtest_rearm: bool | None = Field(default=None, description="let a backtest go on after a tripped limit")


class Risk(Section):
    backtest_rearm: bool | None = Field(default=None, description="another name of risk_management.backtest_rearm")


class Logging(Section):
    """Files are written inside the working directory."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    save_trades: bool = True
    save_equity_curve: bool = True
    log_file: PathText = "logs/live/trading_bot.log"
    json_dir: PathText = "logs/json"
    error_file: PathText = "logs/errors.log"
    max_mb: float = Field(default=10.0, gt=0, le=10_000)
    backups: int = Field(default=5, ge=0, le=1_000)


class State(Section):
    dir: PathText = Field(default="state", description="journal and the simulated exchange's files")
