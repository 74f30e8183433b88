"""From bars to chosen pairs: planted pairs are found, the others are told by how much they fail, chance is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pairs.all_pairs import Terms, pairwise_cointegration
from pairs.cointegration import adf, engle_granger
from pairs.costs import TradingCosts
from pairs.false_discovery import q_values
from pairs.johansen import johansen_trace
from research.scan.chance import measured
from research.scan.data_care import universe
from research.scan.errors import ScanError
from research.scan.figures import Line, figures, round_trip_cost
from research.scan.folder import read_folder
from research.scan.scan import Scan, scan
from research.scan.settings import Gates, ScanSettings, days_of_bars, settings_of
from tests.research.markets import QUICK, compared, market, planted, reverting, walk
from tests.trading.runs import write_config
from trading.config.loader import load_config


@cache
def found(pairs: int = 2, walks: int = 4, settings: ScanSettings = QUICK) -> Scan:
    return scan(compared(market(pairs, walks)), settings)


def gated(**gates: object) -> ScanSettings:
    return replace(QUICK, gates=replace(QUICK.gates, **gates))  # type: ignore[arg-type]


def reason_of(scanned: Scan, name: str) -> str:
    return scanned.choice.reasons[scanned.names.index(name)]


# what is found


def test_planted_pairs_are_chosen_and_walks_are_not() -> None:
    scanned = found()
    assert len(scanned.tests) == 28
    assert {scanned.names[row] for row in scanned.choice.chosen} == {"A0_B0", "A1_B1"}
    assert all(bool(reason) == (row not in scanned.choice.chosen) for row, reason in enumerate(scanned.choice.reasons))


def test_the_best_pair_comes_first() -> None:
    pvalues = [found().tests.coint_p[row] for row in found().choice.chosen]
    assert pvalues == sorted(pvalues)


def test_false_discovery_is_controlled_over_every_tested_pair() -> None:
    scanned = found()
    assert scanned.q_values.tolist() == q_values(scanned.tests.coint_p).tolist()
    larger = np.maximum(scanned.tests.coint_p, scanned.tests.coint_p_reverse)
    assert scanned.q_values_both.tolist() == q_values(larger).tolist()
    strict = scan(scanned.universe, gated(false_discovery="by"))
    assert strict.q_values.tolist() == q_values(scanned.tests.coint_p, "by").tolist()


def test_walks_alone_give_no_pair_and_the_nearest_are_told() -> None:
    scanned = found(pairs=0, walks=7)
    assert scanned.choice.chosen == () == scanned.choice.passing
    assert len(scanned.choice.near) == 10
    assert "q_value" in scanned.choice.reasons[scanned.choice.near[0]]


def test_little_data_is_said() -> None:
    short = scan(compared({symbol: logs[:300] for symbol, logs in market().items()}, 300), QUICK)
    (note,) = short.notes
    assert note.startswith("little data: to find half-lives up to 24 h takes about 1,440 bars of 1h, and there are 300")
    assert found().notes == ()


def test_near_identical_series_are_left_out_before_the_false_discovery_control() -> None:
    prices = market(0, 4)
    twin = prices["W0USDT"] + 1e-9 * walk(1)
    scanned = scan(compared(prices | {"XUSDT": twin}), QUICK)
    assert [one.name for one in scanned.excluded] == ["W0_X"]
    assert "near-identical" in scanned.excluded[0].reason
    assert "W0_X" not in scanned.names and len(scanned.names) == len(scanned.q_values) == 9


def test_symbols_that_are_all_doubles_leave_nothing_to_test() -> None:
    one = walk(1)
    with pytest.raises(ScanError, match="no pair is left"):
        scan(compared({"AUSDT": one, "BUSDT": 2.0 * one}), QUICK)


# gates

GATES: dict[str, tuple[dict[str, object], str]] = {
    "false discovery": ({"max_q_value": 1e-30}, "q_value"),
    "the other direction": ({"max_pvalue": 1e-30}, "coint_p_reverse"),
    "half-life": ({"max_half_life_hours": 3.0}, "half_life_hours"),
    "correlation": ({"min_correlation": 0.999}, "correlation 0."),
    "costs": ({"min_edge": 1_000.0}, "edge 12 times the round-trip cost"),
    "out of sample": ({"max_holdout_pvalue": 1e-30}, "holdout_p"),
    "stability": ({"max_hedge_drift": 1e-9}, "hedge_drift"),
}


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_says_by_how_much_a_pair_fails(gate: str) -> None:
    limits, words = GATES[gate]
    scanned = found(1, 2, gated(**limits))
    assert scanned.choice.chosen == ()
    assert reason_of(scanned, "A0_B0").startswith(words.split()[0])
    assert words in reason_of(scanned, "A0_B0") and "wanted" in reason_of(scanned, "A0_B0")


def test_a_pair_that_moves_against_its_leg_is_no_hedge() -> None:
    log_b = walk(3)
    prices = {"AUSDT": 9.0 - 0.8 * log_b + reverting(4), "BUSDT": log_b, "CUSDT": walk(5)}
    scanned = scan(compared(prices), gated(min_correlation=-1.0))
    assert "hedge_ratio -0.8" in reason_of(scanned, "A_B") and scanned.choice.chosen == ()


def test_the_half_life_gate_is_in_hours_whatever_the_bar() -> None:
    days = replace(QUICK, interval="1d")
    bars = compared(market(1, 2))
    scanned = scan(replace(bars, interval_ms=86_400_000), days)
    life = scanned.tests.half_life_bars[scanned.names.index("A0_B0")]
    assert f"half_life_hours {24.0 * life:.3g}, wanted above 0 and below 24" in reason_of(scanned, "A0_B0")
    assert scanned.notes[0].startswith("a half-life below 24 h is 1 bars of 1d: hardly a spread returns so fast")


def shared_symbol_market() -> dict[str, np.ndarray]:
    """B with two companions: every two of the three keep together."""
    log_a, log_b = planted(100)
    return {"AUSDT": log_a, "BUSDT": log_b, "CUSDT": 0.9 * log_b + reverting(77), "DUSDT": walk(9)}


def test_no_symbol_is_used_twice_unless_that_is_allowed() -> None:
    bars = compared(shared_symbol_market())
    alone, shared = scan(bars, QUICK), scan(bars, replace(QUICK, allow_shared_symbols=True))
    assert len(alone.choice.passing) == 3 and len(alone.choice.chosen) == 1 and len(shared.choice.chosen) == 3
    best = alone.names[alone.choice.chosen[0]]
    left = [alone.choice.reasons[row] for row in alone.choice.passing if row not in alone.choice.chosen]
    assert left == [f"passes, but shares a symbol with {best}, which is better"] * 2


def test_no_more_pairs_are_chosen_than_wanted() -> None:
    scanned = scan(found().universe, replace(QUICK, top_n=1))
    assert len(scanned.choice.chosen) == 1 and len(scanned.choice.passing) == 2
    assert scanned.choice.reasons[scanned.choice.passing[1]] == "passes, but is not among the best 1"


def test_pairs_of_one_base_in_two_quotes_have_names_of_their_own() -> None:
    prices = {"BTCUSDT": walk(1), "BTCUSDC": walk(2), "ETHUSDT": walk(3)}
    assert scan(compared(prices), QUICK).names == ("BTCUSDT_BTCUSDC", "BTCUSDT_ETH", "BTCUSDC_ETH")


# the dear figures


def test_the_figures_of_a_pair_are_what_they_say() -> None:
    log_a, log_b = planted(100)
    test = engle_granger(log_a, log_b)
    line = Line(test.hedge_ratio, test.intercept, 0.02, 10.0)
    made = figures(log_a, log_b, line, QUICK)
    cut = 960
    before = engle_granger(log_a[:cut], log_b[:cut])
    after = log_a[cut:] - before.intercept - before.hedge_ratio * log_b[cut:]
    assert made.holdout_pvalue == adf(after).pvalue
    assert made.edge == pytest.approx(1.5 * 0.02 / made.cost)
    own = [engle_granger(log_a[at : at + 480], log_b[at : at + 480]) for at in (0, 480, 960)]
    assert [part.pvalue for part in made.parts] == [one.pvalue for one in own]
    assert made.hedge_drift == max(abs(one.hedge_ratio / test.hedge_ratio - 1.0) for one in own)
    assert 0.3 < made.hurst < 0.4


def test_johansen_is_asked_on_request() -> None:
    log_a, log_b = planted(100)
    line = Line(0.8, 1.0, 0.02, 10.0)
    assert figures(log_a, log_b, line, QUICK).johansen_trace is None
    asked = figures(log_a, log_b, line, replace(QUICK, johansen=True)).johansen_trace
    assert asked == johansen_trace(log_a, log_b).trace[0] > 15.49


def test_a_round_trip_costs_four_fills_and_the_funding_of_a_half_life() -> None:
    settings = replace(QUICK, costs=TradingCosts(0.001, 0.0005, 0.0002))
    cost = round_trip_cost(Line(0.5, 0.0, 0.02, 16.0), settings)
    assert cost == pytest.approx(2.0 * 1.5 * 0.0015 + 0.5 * 0.0002 * 16.0 / 8.0)
    assert round_trip_cost(Line(0.5, 0.0, 0.02, float("inf")), settings) == float("inf")


@pytest.mark.parametrize("bars", [60, 61, 65, 100])
def test_the_shortest_history_that_is_taken_can_be_tested_to_the_end(bars: int) -> None:
    short = {symbol: logs[:bars] for symbol, logs in market(2, 2).items()}
    scanned = scan(compared(short, bars), QUICK)
    assert len(scanned.tests) == 15 and len(scanned.choice.figures) >= 10


def test_more_lags_than_a_part_of_the_history_bears_are_cut_there() -> None:
    log_a, log_b = (logs[:90] for logs in planted(100))
    settings = replace(QUICK, test=Terms(max_lag=20))
    assert len(figures(log_a, log_b, Line(0.8, 1.0, 0.02, 10.0), settings).parts) == 3


# chance


def test_the_rate_of_chance_is_that_of_the_tables_where_the_noise_is_calm() -> None:
    prices = np.array([walk(seed) for seed in range(12)])
    chance = measured(prices, Terms(), tests=3_000, seed=7)
    assert len(chance.pvalues) >= 3_000
    assert 0.03 < chance.rate(0.05) < 0.07 and chance.rate(1.0) == 1.0


def clustered(seed: int, bars: int = 1_440) -> np.ndarray:
    """A walk whose volatility comes in clusters: GARCH(1,1) with 0.12 and 0.87, and fat tails."""
    generator = np.random.default_rng(seed)
    shocks, variance, moves = generator.standard_t(4, bars) / np.sqrt(2.0), 1.0, np.empty(bars)
    for at, shock in enumerate(shocks):
        moves[at] = shock * np.sqrt(variance)
        variance = 0.01 + 0.12 * moves[at] ** 2 + 0.87 * variance
    return np.cumsum(0.01 * moves)


def test_doubles_among_the_symbols_are_no_finds_of_chance() -> None:
    prices = np.array([walk(seed) for seed in range(6)])
    alone = measured(prices, Terms(), tests=1_000, seed=7)
    doubled = measured(np.vstack([prices, prices[:1] + 0.5, prices[:1] - 0.5]), Terms(), tests=1_000, seed=7)
    assert alone.rate(1e-9) == doubled.rate(1e-9) == 0.0


def test_clusters_of_volatility_let_more_pairs_through_and_that_is_measured() -> None:
    prices = np.array([clustered(seed) for seed in range(12)])
    assert measured(prices, Terms(), tests=3_000, seed=7).rate(0.05) > 0.06


def test_pairs_that_keep_together_do_so_no_more_in_the_simulated_markets() -> None:
    prices = np.array([logs for seed in range(4) for logs in planted(seed)])
    assert (pairwise_cointegration(prices).coint_p < 1e-5).sum() == 4
    assert measured(prices, Terms(), tests=1_000, seed=7).rate(1e-5) == 0.0


def test_chance_is_the_same_for_the_same_seed() -> None:
    prices = np.array([walk(seed) for seed in range(5)])
    first, again, other = (measured(prices, Terms(), tests=50, seed=seed).pvalues for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


# settings

WRONG: list[tuple[Callable[[], ScanSettings], str]] = [
    (lambda: ScanSettings(interval="7h"), "unknown interval '7h'; known: 1m"),
    (lambda: ScanSettings(bars=0), "0 bars"),
    (lambda: ScanSettings(test=Terms(max_lag=-1)), "a largest lag of -1"),
    (lambda: ScanSettings(gates=Gates(false_discovery="bonferroni")), "known: bh, by"),
    (lambda: ScanSettings(gates=Gates(max_q_value=1.5)), "is not between 0 and 1"),
    (lambda: ScanSettings(gates=Gates(max_half_life_hours=0.0)), "a largest half-life of 0 h"),
    (lambda: ScanSettings(gates=Gates(min_correlation=2.0)), "a correlation of 2 is not in -1 to 1"),
    (lambda: ScanSettings(top_n=0), "the best 0 pairs"),
    (lambda: ScanSettings(seed=-1), "a seed of 0 or more"),
]


@pytest.mark.parametrize(("make", "words"), WRONG)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], ScanSettings], words: str) -> None:
    with pytest.raises(ScanError, match=words):
        make()


def test_a_config_gives_its_section_its_costs_and_its_thresholds(tmp_path: Path) -> None:
    section = {"lookback_days": 30, "autolag": "none", "max_lag": 1}
    settings = settings_of(load_config(write_config(tmp_path, cointegration=section), environ={}).model)
    assert settings.bars == 720 and settings.test == Terms(max_lag=1, autolag=None)
    assert settings.costs == TradingCosts(0.0005, 0.0001, 0.0001)
    assert (settings.gates.entry_z, settings.gates.exit_z, settings.gates.stop_z) == (2.0, 0.5, 4.0)


def test_days_are_counted_in_bars_of_any_length() -> None:
    assert [days_of_bars(60, one) for one in ("1h", "5m", "1d")] == [1_440, 17_280, 60]
    with pytest.raises(ScanError, match="unknown interval"):
        days_of_bars(60, "1w")


# real data


def test_a_wrapped_coin_is_found_and_does_not_pay_its_costs(shared_data: Callable[[str], Path]) -> None:
    """WBTC/BTC, 2023-07-20 to 10-10: true, and too close together to earn four fills."""
    read = read_folder(shared_data("spot_1h"), "1h", symbols=["BTC/USDT", "WBTC/USDT", "ETH/USDT", "LTC/USDT"])
    bars = universe(read.series, bars=1_992, end_ms=1_696_982_400_000)
    scanned = scan(bars, QUICK)
    assert scanned.q_values[scanned.names.index("BTC_WBTC")] < 0.05
    assert reason_of(scanned, "BTC_WBTC").startswith("edge 0.7")
    assert [scanned.names[row] for row in scanned.choice.near][0] == "BTC_WBTC"
    assert scanned.choice.chosen == ()


def test_every_accident_of_real_bars_is_named(shared_data: Callable[[str], Path]) -> None:
    read = read_folder(shared_data("spot_1h"), "1h")
    bars = universe(read.series, bars=6_000, end_ms=1_703_966_400_000)
    said = {one.name: one.reason for one in bars.excluded}
    assert said["WBTCUSDT"].startswith("listed late: lacks 86 of 6000 bars, its first is 2023-04-28T11:00Z")
    assert {"TUSDUSDT", "USTUSDT", "BUSDUSDT", "EURUSDT"} < set(said)
    assert bars.closes.shape == (16, 6_000)
