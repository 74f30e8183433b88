"""Signals between bars: which z, when, how strong, told to whom."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from brokers.mock_market import MockMarket
from ccxt_bt_bridge.bt_time import datetime_to_ms
from ccxt_bt_bridge.words import Bar
from pairs.hedge import hedge_series
from pairs.spread import transform
from pairs.spread_tracker import SpreadWindow
from pairs.words import Direction, HedgeSpec, PairPosition, PairState, SpreadStatistics
from tests.brokers.desk.desks import minutes, until
from tests.brokers.markets import HOUR_MS, bars, hours, open_exchange, source
from tests.ccxt_bt_bridge.sessions import desk_session, run
from tests.tasks import end_all
from tests.trading import engines
from tests.trading.runs import CONFIGS
from tests.virtual_time import run_virtual
from trading.config.loader import load_config
from trading.signal_generator import MultiPairSignalGenerator, SignalGenerator, market_symbol
from trading.signal_terms import SignalTerms
from trading.signals import SignalAction, SignalStrength, SignalType, TradingSignal

BUY, SELL, EXIT = SignalType.BUY, SignalType.SELL, SignalType.EXIT
TERMS = SignalTerms(window=SpreadWindow(20), max_jump_pct=50.0)
T0 = datetime(2024, 1, 1, tzinfo=UTC)
OPENED = T0 + timedelta(hours=40)


def step_at(
    hour: int, price: float, other: float = 50.0, *, of: tuple[str, str] = ("AUSDT", "BUSDT")
) -> tuple[Bar, Bar]:
    return (
        Bar(of[0], hours(hour), price, price, price, price, 1.0),
        Bar(of[1], hours(hour), other, other, other, other, 1.0),
    )


class Case:
    """A at 100, one per mille up and down: a z of 1 is about a tenth of a unit of its price."""

    def __init__(self, terms: SignalTerms = TERMS, **more) -> None:
        self.generator = SignalGenerator("A", "B", 1.0, terms, **more)
        for hour in range(1, 41):
            self.generator.take_step(step_at(hour, 100.1 if hour % 2 else 99.9))
        self.seconds = 0

    def at_z(self, z: float, *, after_s: float = 60.0) -> TradingSignal | None:
        """The signal of prices that make this z by the last bar's statistics, some time later."""
        self.seconds += after_s
        bar = self.generator._bar
        price = math.exp(bar.mean + z * bar.std + math.log(50.0))
        time_ms = datetime_to_ms(OPENED) + round(self.seconds * 1000)
        return self.generator.take_prices({"AUSDT": price, "BUSDT": 50.0}, time_ms)

    def kinds(self, *zs: float, after_s: float = 60.0) -> list[SignalType | None]:
        signals = [self.at_z(z, after_s=after_s) for z in zs]
        return [None if signal is None else signal.signal_type for signal in signals]


# which z


@pytest.mark.parametrize("kind", ["exclusive", "inclusive"])
@pytest.mark.parametrize(
    "hedge",
    [HedgeSpec("fixed", ratio=0.85), HedgeSpec("ols", window=60, refit_every=12), HedgeSpec("kalman"),
     HedgeSpec("tls", prices="level", window=60, refit_every=24)],
    ids=lambda spec: spec.method,
)  # fmt: skip
def test_at_a_bars_close_z_is_the_bars_own_to_the_last_bit(hedge, kind):
    window = SpreadWindow(50, inclusive=kind == "inclusive")
    market = MockMarket(7, 300, "1h", symbols=("ETHUSDT", "BTCUSDT"), gaps_per_1000=0.0).series()
    eth, btc = market["ETHUSDT"], market["BTCUSDT"]
    generator = SignalGenerator("ETH", "BTC", hedge, replace(TERMS, window=window), position=lambda: None)
    found = []
    for at in range(300):
        generator.take_step((eth.bar(at), btc.bar(at)))
        found.append(generator.zscore)
    y, x = transform(eth.close, hedge.prices), transform(btc.close, hedge.prices)
    whole = window.statistics(hedge, y, x, hedge_series(hedge, y, x, eth.time_ms // HOUR_MS)).zscore
    assert np.array_equal(np.array(found), whole, equal_nan=True)
    assert np.isfinite(whole).sum() > 150


def test_between_bars_z_is_by_the_last_closed_bars_statistics():
    case = Case()
    known = case.generator._bar
    case.at_z(1.25)
    assert case.generator.zscore == pytest.approx(1.25)
    assert case.generator._bar is known


def test_while_a_position_is_open_z_is_by_its_frozen_statistics():
    frozen = SpreadStatistics(1.0, math.log(2.0), 0.0, 0.01)
    held: list[PairPosition] = []
    case = Case(position=lambda: held[0] if held else None)
    held.append(PairPosition("A_B", PairState.OPEN, Direction.LONG, (), T0, None, frozen, None, 1.0))
    signal = case.generator.take_prices({"AUSDT": 96.0, "BUSDT": 50.0}, hours(41))
    assert case.generator.zscore == frozen.zscore(96.0, 50.0)
    assert signal is not None and (signal.signal_type, signal.reason) == (EXIT, "stop")
    case.generator.take_step(step_at(42, 97.0))
    assert case.generator.zscore == frozen.zscore(97.0, 50.0), "at a close too"
    assert case.generator.get_current_state()["in_trade"] == "long"


def test_a_position_that_is_being_left_asks_for_nothing():
    frozen = SpreadStatistics(1.0, math.log(2.0), 0.0, 0.01)
    leaving = PairPosition("A_B", PairState.EXITING, Direction.LONG, (), T0, None, frozen, None, 1.0)
    case = Case(position=lambda: leaving)
    assert case.kinds(-5.0, -6.0) == [None, None]


def test_nothing_is_said_before_the_window_is_full():
    generator = SignalGenerator("A", "B", 1.0, TERMS)
    assert generator.take_prices({"AUSDT": 200.0, "BUSDT": 50.0}, hours(1)) is None
    assert math.isnan(generator.zscore)


# when


@pytest.mark.parametrize(("sign", "kind"), [(1, SELL), (-1, BUY)])
def test_a_crossing_enters_and_a_return_leaves(sign, kind):
    case = Case()
    assert case.kinds(sign * 1.9, sign * 2.1, sign * 2.5, sign * 0.6, sign * 0.4) == [None, kind, None, None, EXIT]


def test_a_return_that_overshoots_leaves_too():
    assert Case().kinds(0.0, 2.5, -3.0) == [None, SELL, EXIT]


def test_a_stop_leaves_and_nothing_enters_before_z_was_near_again():
    case = Case()
    assert case.kinds(0.0, 2.5, 4.5, 3.0, 2.2) == [None, SELL, EXIT, None, None]
    assert case.kinds(1.0, 2.2) == [None, SELL]


def test_what_is_far_off_when_the_window_fills_is_no_crossing():
    generator = SignalGenerator("A", "B", 1.0, TERMS)
    signals = [generator.take_step(step_at(hour, 100.1 if hour % 2 else 99.9)) for hour in range(1, 21)]
    signals += [generator.take_step(step_at(21, 100.3)), generator.take_step(step_at(22, 100.32))]
    assert abs(generator.zscore) > 2.0
    assert not any(signals)


def test_what_is_beyond_the_stop_enters_nothing():
    assert Case().kinds(0.0, 5.0) == [None, None]


def test_the_own_trade_is_measured_by_the_statistics_of_its_entry():
    case = Case()
    case.at_z(0.0)
    entry = case.at_z(2.5)
    assert entry is not None
    frozen = case.generator._own_trade
    for hour in range(41, 60):
        case.generator.take_step(step_at(hour, 100.1 if hour % 2 else 99.9))
        assert frozen is None or case.generator.zscore == frozen.statistics.zscore(100.1 if hour % 2 else 99.9, 50.0)
        frozen = case.generator._own_trade


def test_the_same_signal_within_the_time_of_suppression_is_told_once():
    case = Case()
    assert case.kinds(0.0, 2.5, 0.0, after_s=5.0) == [None, SELL, EXIT]
    assert case.kinds(2.5, 2.5, 2.5, after_s=5.0) == [None, None, None]
    assert case.kinds(2.5, after_s=11.0) == [SELL], "31 seconds after the first"


def test_another_kind_is_no_duplicate_and_an_exit_of_a_new_trade_is_none_either():
    assert Case().kinds(0.0, 2.5, 0.0, -2.5, 0.0, after_s=5.0) == [None, SELL, EXIT, BUY, EXIT]


# what it says


def test_a_signal_carries_what_an_engine_needs():
    case = Case()
    case.at_z(0.0)
    signal = case.at_z(-3.0)
    assert signal is not None
    assert (signal.pair_x, signal.pair_y, signal.signal_type, signal.reason) == ("A", "B", BUY, "entry")
    assert signal.z_score == pytest.approx(-3.0)
    assert signal.confidence == pytest.approx(0.75)
    assert (signal.stop_loss_z, signal.take_profit_z, signal.suggested_position_size) == (4.0, 0.5, 0.1)
    assert signal.strength is SignalStrength.STRONG
    assert signal.timestamp == OPENED + timedelta(seconds=120)
    assert signal.is_of_pair


@pytest.mark.parametrize("terms", [TERMS, replace(TERMS, exit_z=0.0, stop_z=math.inf)])
def test_an_engine_takes_what_a_generator_says(terms, tmp_path):
    async def main():
        exchange = engines.open_exchange(engines.market([50_000.0] * 30))
        async with engines.started(exchange, tmp_path) as engine:
            generator = SignalGenerator("ETH", "BTC", 1.0, terms)
            for hour in range(1, 41):
                close = 2_002.5 + (1.0 if hour % 2 else -1.0)
                generator.take_step(step_at(hour, close, 50_000.0, of=generator.symbols))
            now_ms = exchange.clock.now_ms()
            assert generator.take_prices({"ETHUSDT": 2_002.5, "BTCUSDT": 50_000.0}, now_ms) is None
            signal = generator.take_prices({"ETHUSDT": 2_000.0, "BTCUSDT": 50_000.0}, now_ms + 1)
            assert signal is not None and signal.signal_type is BUY
            result = await engine.execute_signal(signal)
            assert result.success, result.error

    run_virtual(main())


@pytest.mark.parametrize(
    ("z", "strength"),
    [
        (0.0, "weak"),
        (2.49, "weak"),
        (2.5, "normal"),
        (2.99, "normal"),
        (3.0, "strong"),
        (3.5, "extreme"),
        (9, "extreme"),
    ],
)
def test_strength_has_four_classes_between_entry_and_stop(z, strength):
    assert SignalStrength.of(z, entry=2.0, stop=4.0).value == strength


def test_without_a_stop_the_way_is_as_long_as_the_entry():
    assert SignalStrength.of(3.0, entry=2.0, stop=math.inf) is SignalStrength.STRONG


@pytest.mark.parametrize(
    "fields",
    [{}, {"symbol": "A"}, {"pair_x": "A", "pair_y": "B"},
     {"symbol": "A", "action": SignalAction.BUY, "pair_x": "A", "pair_y": "B", "signal_type": BUY}],
)  # fmt: skip
def test_a_signal_is_of_a_symbol_or_of_a_pair(fields):
    with pytest.raises(ValueError, match="wanted symbol and action, or pair_x"):
        TradingSignal(**fields)


def test_the_state_is_json_at_any_time():
    empty = SignalGenerator("A", "B", 1.0, TERMS).get_current_state()
    assert (empty["z_score"], empty["mean"], empty["last_signal"], empty["bars"]) == (None, None, None, 0)
    case = Case()
    case.at_z(0.0)
    case.at_z(2.6)
    state = case.generator.get_current_state()
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert (state["z_score"], state["in_trade"]) == (pytest.approx(2.6), "short")
    assert (state["last_signal"], state["strength"], state["statistics"]) == ("sell", "normal", "frozen")
    assert state["time"] == (OPENED + timedelta(seconds=120)).isoformat()


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("BTC", "BTCUSDT"), ("eth/usdt:usdt", "ETHUSDT"), ("1000CAT/USDT", "1000CATUSDT"), ("ETHBTC", "ETHBTC")],
)
def test_any_notation_names_a_market(name, symbol):
    assert market_symbol(name) == symbol


def test_a_config_says_the_terms():
    model = load_config(CONFIGS / "0001.json", environ={}).model
    signal = model.signal.model_copy(update={"entry_threshold": 1.5, "lookback_bars": 77, "use_kalman_filter": True})
    terms = SignalTerms.of(model.model_copy(update={"signal": signal}))
    assert (terms.entry_z, terms.exit_z, terms.stop_z, terms.window.bars) == (1.5, 0.5, 4.0, 77)
    assert (terms.suppress_s, terms.interval, terms.market) == (30.0, "1h", "usdm")
    assert SignalGenerator("A", "B", 1.0, terms).hedge.method == "kalman"


# who hears it


def test_callbacks_of_both_kinds_hear_every_signal_and_one_that_raises_harms_none(caplog):
    async def main() -> None:
        case, heard = Case(), []

        async def later(signal: TradingSignal) -> None:
            await asyncio.sleep(1.0)
            heard.append(("later", signal))

        def broken(signal: TradingSignal) -> None:
            raise RuntimeError("no")

        for callback in (broken, lambda signal: heard.append(("now", signal)), later):
            case.generator.register_signal_callback(callback)
        await case.generator.on_price_update("B", 50.0, OPENED)
        assert await case.generator.on_price_update("A/USDT", Decimal(100), OPENED) is None
        signal = await case.generator.on_price_update("A", 100.25, OPENED + timedelta(seconds=1))
        assert signal is not None and signal.signal_type is SELL
        assert heard == [("now", signal), ("later", signal)]
        assert "signal_callback_failed" in caplog.text

    run_virtual(main())


@pytest.mark.parametrize("doubted", [math.nan, Decimal("sNaN"), "abc", None])
def test_a_price_that_is_doubted_makes_no_signal(doubted):
    async def main() -> None:
        case = Case(replace(TERMS, max_jump_pct=0.2))
        await case.generator.on_price_update("B", 50.0, OPENED)
        await case.generator.on_price_update("A", 100.0, OPENED)
        assert await case.generator.on_price_update("A", 100.3, OPENED + timedelta(seconds=1)) is None
        assert await case.generator.on_price_update("A", doubted, OPENED + timedelta(seconds=2)) is None
        assert case.generator.zscore == pytest.approx(0.0, abs=0.1)

    run_virtual(main())


@pytest.mark.parametrize(("time", "error"), [(5, TypeError), (None, TypeError), (datetime(2024, 1, 1), ValueError)])
def test_what_is_no_time_of_a_price_is_an_error(time, error):
    with pytest.raises(error, match="a datetime with a time zone|expected a datetime with a time zone"):
        run_virtual(Case().generator.on_price_update("A", 100.0, time))


def crossing_market():
    """A crosses, comes back, and goes on swinging; B stands still."""
    closes = [100.1 if hour % 2 else 99.9 for hour in range(60)]
    closes[40], closes[41] = 100.3, 100.0
    return source(bars("AUSDT", [(one, one) for one in closes]), bars("BUSDT", [(50.0, 50.0)] * 60))


@pytest.mark.parametrize("streaming", ["start", "start_streaming"])
def test_on_a_market_of_its_own_it_runs_to_the_end(streaming):
    async def main() -> list[tuple[SignalType | None, int]]:
        exchange = open_exchange(crossing_market(), warmup_bars=30)
        heard: list[TradingSignal] = []
        generator = SignalGenerator("A", "B", 1.0, TERMS, market=exchange, clock=exchange.clock)
        generator.register_signal_callback(heard.append)
        walk = asyncio.ensure_future(_later(exchange.run_market()))
        await getattr(generator, streaming)()
        await end_all([walk])
        exchange.close()
        return [(one.signal_type, datetime_to_ms(one.timestamp)) for one in heard if one.timestamp]

    # The bar that closes away is heard of when it opens: this market's price is there at once.
    assert run_virtual(main()) == [(SELL, hours(40)), (EXIT, hours(41))]


async def _later(work) -> None:
    await asyncio.sleep(0.001)
    await work


def test_several_pairs_run_on_one_market_and_stop_on_request():
    async def main() -> None:
        exchange = open_exchange(crossing_market(), warmup_bars=30)
        heard: list[str | None] = []
        pairs = [("A", "B", 1.0), ("B", "A", 1.0)]
        generators = MultiPairSignalGenerator(pairs, TERMS, market=exchange, clock=exchange.clock)
        generators.register_signal_callback(lambda signal: heard.append(signal.strategy_id))
        running = asyncio.ensure_future(generators.start())
        walk = asyncio.ensure_future(_later(exchange.run_market()))
        await exchange.clock.sleep_until(hours(40.5))
        await generators.stop()
        await running
        assert sorted(map(str, heard)) == ["A_B", "B_A"]
        assert set(generators.get_current_state()) == {"A_B", "B_A"}
        await end_all([walk])
        exchange.close()

    run_virtual(main())


def test_a_price_of_a_shared_symbol_reaches_every_pair_of_it():
    async def main() -> None:
        generators = MultiPairSignalGenerator([("A", "B", 1.0), ("B", "C", 1.0), ("C", "D", 1.0)], TERMS)
        assert await generators.on_price_update("B", 50.0, OPENED) == ()
        assert [one._live.together(["BUSDT"]) for one in generators.generators] == [
            {"BUSDT": 50.0}, {"BUSDT": 50.0}, None
        ]  # fmt: skip

    run_virtual(main())


def test_a_market_without_its_clock_is_refused():
    async def main() -> None:
        exchange = open_exchange(crossing_market())
        with pytest.raises(ValueError, match="a market and its clock"):
            SignalGenerator("A", "B", 1.0, TERMS, market=exchange)
        exchange.close()

    run_virtual(main())


def test_by_itself_it_takes_binances_public_prices():
    async def main() -> None:
        async with desk_session(source=minutes(140), speed=1_200.0) as (desk, _):
            terms = replace(TERMS, interval="1m", url=desk.url)
            generator = SignalGenerator("ETH", "BTC", 0.85, terms)
            running = asyncio.ensure_future(generator.start())
            await until(lambda: desk.server.sockets)
            bars_before = generator.get_current_state()["bars"]
            desk.walk()
            await until(lambda: generator._time_ms > 0 and math.isfinite(generator.zscore))
            begun_ms = generator._time_ms
            await until(lambda: generator._time_ms > begun_ms)
            await generator.stop()
            await running
            assert bars_before >= 1

    run(main())
