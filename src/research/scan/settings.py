"""What a scan is asked for, as frozen values: the test, the gates, the costs, and how many pairs are wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ccxt_bt_bridge.series import INTERVALS
from pairs.all_pairs import Terms
from pairs.costs import TradingCosts
from pairs.unit_root import Autolag
from research.scan.data_care import Care
from research.scan.errors import ScanError
from trading.config.model import Config

HOUR_MS = 3_600_000
DAY_HOURS = 24.0
AUTOLAGS: dict[str, Autolag] = {"aic": "aic", "bic": "bic", "t-stat": "t-stat", "none": None}
FALSE_DISCOVERY = ("bh", "by")
BARS_A_HALF_LIFE = 60  # below so many half-lives a false-discovery control finds little of what is there


@dataclass(frozen=True, slots=True)
class Gates:
    """What a pair must be like to be chosen. Probabilities are fractions.

    ``max_q_value``: the share of false pairs allowed among those chosen, by ``false_discovery`` (bh, or by for a
    guarantee under any dependence) over all tested pairs, of leg_a on leg_b and of the larger p of both directions.
    ``max_pvalue``: of the test with the legs exchanged.
    ``min_correlation``: of returns. ``min_edge``: the reversion from ``entry_z`` to ``exit_z`` over the cost of a
    round trip. ``max_holdout_pvalue``: of a unit root in the last ``holdout`` of the bars, with the line fitted before.
    ``max_hedge_drift``: the greatest relative difference of a sub-window's hedge ratio.
    """

    max_q_value: float = 0.05
    false_discovery: str = "bh"
    max_pvalue: float = 0.05
    max_half_life_hours: float = 24.0
    min_correlation: float = 0.5
    min_edge: float = 1.0
    holdout: float = 1.0 / 3.0
    max_holdout_pvalue: float = 0.20
    max_hedge_drift: float = 0.5
    entry_z: float = 2.0
    exit_z: float = 0.5
    stop_z: float = 4.0


USUAL = Gates()


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """``bars`` of ``interval`` end at the newest bar, not after ``end_ms`` (a close). ``top_n``: the most pairs chosen.

    ``simulated_pairs``: how many measure the rate of false pairs, by ``seed``. ``johansen``: his trace too, for
    the pairs near passing. ``windows``: so many in a row, for how many pairs are found again. Raises ``ScanError``.
    """

    interval: str = "1h"
    bars: int = 1_440
    end_ms: int | None = None
    test: Terms = Terms()
    gates: Gates = USUAL
    care: Care = Care()
    costs: TradingCosts = field(default_factory=lambda: TradingCosts(0.0005, 0.0001, 0.0001))
    top_n: int = 10
    allow_shared_symbols: bool = False
    simulated_pairs: int = 12_000
    seed: int = 7
    johansen: bool = False
    windows: int = 1

    def __post_init__(self) -> None:
        for is_wrong, sentence in _complaints(self):
            if is_wrong:
                raise ScanError(sentence)

    @property
    def interval_ms(self) -> int:
        return INTERVALS[self.interval]

    @property
    def bar_hours(self) -> float:
        return self.interval_ms / HOUR_MS

    @property
    def bars_wanted(self) -> float:
        """How many bars it takes to find half-lives as long as the gate allows."""
        return BARS_A_HALF_LIFE * self.gates.max_half_life_hours / self.bar_hours


def settings_of(config: Config) -> ScanSettings:
    """What a bot's config says of a scan: section ``cointegration``, and the costs and thresholds it trades with."""
    wanted, broker = config.cointegration, config.broker
    entry, leave = config.strategy.entry_logic.params, config.strategy.exit_logic.params
    gates = Gates(
        max_q_value=wanted.max_q_value,
        false_discovery=wanted.false_discovery,
        max_pvalue=wanted.adf_pvalue_threshold,
        max_half_life_hours=wanted.max_half_life_hours,
        min_correlation=wanted.min_correlation,
        min_edge=wanted.min_edge,
        holdout=wanted.holdout,
        max_holdout_pvalue=wanted.max_holdout_pvalue,
        max_hedge_drift=wanted.max_hedge_drift,
        entry_z=_number(entry.get("e_entry_z"), USUAL.entry_z),
        exit_z=_number(leave.get("x_exit_z"), USUAL.exit_z),
        stop_z=_number(leave.get("x_stop_z"), USUAL.stop_z),
    )
    return ScanSettings(
        interval=config.data.interval,
        bars=days_of_bars(wanted.lookback_days, config.data.interval),
        test=Terms(wanted.max_lag, AUTOLAGS[wanted.autolag]),
        gates=gates,
        care=Care(max_jump=wanted.max_jump),
        costs=TradingCosts(
            broker.commission,
            broker.slippage_bps / 10_000.0,
            config.data.funding_rate_8h if config.market == "usdm" else 0.0,
        ),
        top_n=wanted.top_n_pairs,
        allow_shared_symbols=broker.allow_shared_symbols,
    )


def days_of_bars(days: int, interval: str) -> int:
    """Raises ``ScanError`` for an interval that is not known."""
    if interval not in INTERVALS:
        raise ScanError(f"unknown interval {interval!r}; known: {', '.join(INTERVALS)}")
    return int(days * DAY_HOURS * HOUR_MS) // INTERVALS[interval]


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default


def _complaints(settings: ScanSettings) -> list[tuple[bool, str]]:
    test, gates = settings.test, settings.gates
    return [
        (settings.interval not in INTERVALS, f"unknown interval {settings.interval!r}; known: {', '.join(INTERVALS)}"),
        (settings.bars < 1, f"{settings.bars} bars make no window"),
        (test.max_lag is not None and test.max_lag < 0, f"a largest lag of {test.max_lag} is none"),
        (
            gates.false_discovery not in FALSE_DISCOVERY,
            f"unknown false-discovery control {gates.false_discovery!r}; known: {', '.join(FALSE_DISCOVERY)}",
        ),
        (not 0.0 < gates.max_q_value < 1.0, f"a false-discovery rate of {gates.max_q_value:g} is not between 0 and 1"),
        (not 0.0 < gates.max_pvalue < 1.0, f"a largest p of {gates.max_pvalue:g} is not between 0 and 1"),
        (
            not 0.0 < gates.max_half_life_hours < math.inf,
            f"a largest half-life of {gates.max_half_life_hours:g} h is none",
        ),
        (not -1.0 <= gates.min_correlation <= 1.0, f"a correlation of {gates.min_correlation:g} is not in -1 to 1"),
        (not math.isfinite(gates.min_edge), f"a smallest edge of {gates.min_edge:g} is none"),
        (not 0.0 < gates.holdout < 1.0, f"a last part of {gates.holdout:g} is not between 0 and 1"),
        (settings.simulated_pairs < 1 or settings.seed < 0, "chance needs simulated pairs, and a seed of 0 or more"),
        (settings.windows < 1, f"{settings.windows} windows are none"),
        (settings.top_n < 1, f"the best {settings.top_n} pairs are none"),
        (not settings.care.max_jump > 1.0, f"a largest jump of {settings.care.max_jump:g} times must be above 1"),
        (not settings.care.min_volume >= 0.0, f"a smallest volume of {settings.care.min_volume:g} is none"),
    ]
