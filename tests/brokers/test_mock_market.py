from __future__ import annotations

import math

import numpy as np
import pytest

from brokers.market_rules import tick_and_step
from brokers.mock_market import MockMarket, MockPair
from brokers.simulated.source import MarketSource
from feeds.history import align
from pairs.words import HedgeSpec, Pair

PAIRS = (
    MockPair("ETH/USDT", "BTC/USDT", 0.85, 24),
    MockPair("SOLUSDT", "AVAXUSDT", 1.1, 18),
    MockPair("LTCUSDT", "BCHUSDT", 0.9, 12),
    MockPair("ADAUSDT", "DOTUSDT", 1.0, 16),
)
ROUND_TRIP_COST = 0.0024


def made(seed: int = 7, bars: int = 1500, pairs=PAIRS, **options):
    return MockMarket(seed, bars, "1h", pairs=pairs, **options).series()


def digest(seed: int = 7, **options) -> str:
    return MarketSource(made(seed, **options)).digest()


def log_spread(market, pair: MockPair) -> np.ndarray:
    a, b, _ = align(*(market[leg.replace("/", "")] for leg in (pair.leg_a, pair.leg_b)))
    return np.log(a.close) - pair.hedge_ratio * np.log(b.close)


def round_trips(spread: np.ndarray, *, window: int = 100) -> int:
    """Trips of the default rule: enter at 2, leave at 0.5, stop at 4, when the reversion pays for its costs."""
    trips, side, frozen = 0, 0.0, (0.0, 1.0)
    for at in range(window, len(spread)):
        past = spread[at - window : at]
        mean, std = (past.mean(), past.std(ddof=1)) if not side else frozen
        z = (spread[at] - mean) / std
        if not side and 2.0 <= abs(z) < 4.0 and (abs(z) - 0.5) * std > ROUND_TRIP_COST:
            side, frozen = math.copysign(1.0, z), (mean, std)
        elif side and (z * side <= 0.5 or abs(z) >= 4.0):
            trips, side = trips + 1, 0.0
    return trips


def test_the_same_seed_makes_the_same_market_and_another_seed_another():
    assert digest(7) == digest(7) != digest(8)


def test_a_symbol_s_bars_do_not_depend_on_the_others():
    alone = made(pairs=PAIRS[:1])["BTCUSDT"]
    assert np.array_equal(alone.close, made()["BTCUSDT"].close)


def test_without_gaps_every_bar_is_there_from_the_first_hour_on():
    market = made(bars=400, gaps_per_1000=0.0)
    assert {len(series) for series in market.values()} == {400}
    assert market["ETHUSDT"].time_ms[0] == market["BTCUSDT"].time_ms[0] == 1_704_067_200_000 + 3_600_000


@pytest.mark.parametrize("seed", [1, 2, 3, 7, 11])
def test_the_default_rule_finds_clearly_more_than_five_round_trips(seed):
    market = made(seed)
    trips = [round_trips(log_spread(market, pair)) for pair in PAIRS[:3]]
    assert min(trips) >= 5 and sum(trips) >= 30


@pytest.mark.parametrize("pair", PAIRS)
def test_the_spread_reverts_with_the_half_life_asked_for(pair):
    spread = log_spread(made(3, bars=20_000, jumps_per_1000=0.0, gaps_per_1000=0.0), pair)
    phi = np.polyfit(spread[:-1] - spread.mean(), np.diff(spread), 1)[0] + 1.0
    assert -math.log(2) / math.log(phi) == pytest.approx(pair.half_life_bars, rel=0.25)
    assert spread.std() == pytest.approx(pair.spread_std, rel=0.15)


def test_legs_without_cointegration_drift_apart():
    loose = MockPair("XUSDT", "YUSDT", cointegrated=False)
    spread = log_spread(made(pairs=[loose], bars=20_000), loose)
    assert spread.std() > 5 * loose.spread_std


def test_bars_are_consistent_and_on_the_tick():
    for symbol, series in made(jumps_per_1000=5.0).items():
        tick = float(tick_and_step(series.close[0])[0])
        assert (series.low <= np.minimum(series.open, series.close)).all() and (series.low > 0).all()
        assert (series.high >= np.maximum(series.open, series.close)).all() and (series.volume > 0).all()
        for prices in (series.open, series.high, series.low, series.close):
            assert np.allclose(prices / tick, np.round(prices / tick), atol=1e-6), symbol
            assert [float(f"{price:.8f}") for price in prices] == prices.tolist()


def test_a_bar_opens_near_the_close_before_it():
    series = made(gaps_per_1000=0.0)["ETHUSDT"]
    assert np.abs(series.open[1:] / series.close[:-1] - 1.0).max() < 0.001


def test_volatility_clusters():
    returns = np.diff(np.log(made(bars=20_000, pairs=(), symbols=["BTCUSDT"], jumps_per_1000=0.0)["BTCUSDT"].close))
    squares = returns**2
    assert np.corrcoef(squares[1:], squares[:-1])[0, 1] > 0.05
    assert abs(np.corrcoef(returns[1:], returns[:-1])[0, 1]) < 0.03


def test_gaps_take_single_legs_and_the_whole_exchange():
    market = made(bars=5_000, gaps_per_1000=4.0)
    present = [set(series.time_ms.tolist()) for series in market.values()]
    everyone, anyone = set.intersection(*present), set.union(*present)
    assert len(anyone) < 5_000 and len(everyone) < len(anyone)
    steps = np.diff(sorted(anyone)) // 3_600_000
    assert 1 < steps.max() <= 8


def test_jumps_can_be_turned_off():
    def differing_hours(rate: float) -> int:
        calm, other = (made(bars=5_000, jumps_per_1000=one)["BTCUSDT"].close for one in (0.0, rate))
        return int((np.abs(np.diff(np.log(other)) - np.diff(np.log(calm))) > 0.015).sum())

    assert 10 <= differing_hours(5.0) <= 50 and differing_hours(0.0) == 0


def test_pairs_may_share_symbols_in_any_order():
    chain = [MockPair("AUSDT", "BUSDT", 1.2), MockPair("AUSDT", "CUSDT", 0.8), MockPair("DUSDT", "CUSDT")]
    market = made(pairs=chain, bars=5_000)
    assert list(market) == ["BUSDT", "AUSDT", "CUSDT", "DUSDT"]
    assert all(log_spread(market, pair).std() < 0.03 for pair in chain)


def test_single_symbols_walk_by_themselves():
    assert list(made(pairs=(), symbols=["BTC/USDT", "ETHUSDT"])) == ["BTCUSDT", "ETHUSDT"]


def test_a_config_pair_becomes_a_mock_pair():
    pair = Pair("E_B", "ETHUSDT", "BTCUSDT", HedgeSpec("fixed", ratio=0.85), half_life_bars=30.0)
    assert MockPair.of(pair) == MockPair("ETHUSDT", "BTCUSDT", 0.85, 30.0)
    assert MockPair.of(Pair("E_B", "ETHUSDT", "BTCUSDT", HedgeSpec("ols"))).hedge_ratio == 1.0
    with pytest.raises(ValueError, match="one leg"):
        MockPair.of(Pair("E", "ETHUSDT", None))


@pytest.mark.parametrize(("seed", "bars"), [(1, 0), (-1, 10)])
def test_impossible_markets_are_refused(seed, bars):
    with pytest.raises(ValueError, match="at least one bar"):
        MockMarket(seed, bars, "1h", symbols=["X"])
