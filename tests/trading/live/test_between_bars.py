"""A whole bot whose market jumps between two bars, and whose data fall silent."""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.step_driver import StepDriver
from mixins.zscore import ZScoreExitMixin
from tests.trading.patient_desk import patient_desk
from tests.trading.runs import backtest, write_config
from tests.trading.test_wire import Run as WireRun
from trading.config.loader import load_config
from trading.events import Alarm, BarMarked, Event, PairClosed, PairSignal
from trading.journal.reads import JournalReader
from trading.live.spreads import LIVE_KEY
from trading.live.stale_watch import StaleWatch
from trading.live_trading_bot import LiveTradingBot
from trading.market_input import DataChoice, market_input
from trading.records import RunResult
from trading.signals import SignalType

T0 = datetime(2024, 1, 1, tzinfo=UTC)
HISTORY, ENTRY_BAR, JUMP_BAR, BARS = 80, 100, 104, 140
Bar = tuple[float, float] | None


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def leg_a(jump: float) -> list[Bar]:
    """One per mille up and down around 100; a step up to z 2.8 or so, where it stays for 12 bars; in them, a bar that
    opens ``jump`` away and comes back before it closes."""
    closes = [100.0 + 0.1 * (1 if at % 2 else -1) for at in range(BARS)]
    closes[ENTRY_BAR : ENTRY_BAR + 12] = [100.28] * 12
    found: list[Bar] = [(close, close) for close in closes]
    found[JUMP_BAR] = (100.28 + jump, 100.28)
    return found


def write_market(folder: Path, prices: Sequence[Bar]) -> Path:
    """A as given, B at 50; in files of hourly bars. None is a hole in A."""
    folder.mkdir()
    for symbol, rows in (("ETHUSDT", prices), ("BTCUSDT", [(50.0, 50.0)] * len(prices))):
        with (folder / f"{symbol}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("timestamp", "open", "high", "low", "close", "volume"))
            for at, row in enumerate(rows):
                if row is not None:
                    opened = f"{T0 + timedelta(hours=at):%Y-%m-%dT%H:%M:%SZ}"
                    writer.writerow((opened, row[0], max(row), min(row), row[1], 1_000_000))
    return folder


def config_of(
    folder: Path,
    *,
    speed: float | str = "max",
    data: dict | None = None,
    broker: dict | None = None,
    **trading: object,
) -> Path:
    pair = {"pair_id": "ETH_BTC", "leg_a": "ETH/USDT", "leg_b": "BTC/USDT", "hedge_ratio": 1.0}
    return write_config(
        folder,
        mock={"speed": speed},
        broker=broker or {},
        data={"data_source": "replay", "lookback_bars": HISTORY} | (data or {}),
        trading={"max_price_jump_pct": 50.0} | trading,
        pairs=[pair],
        strategy={
            "entry_logic": {"params": {"e_window": 60, "e_entry_z": 2.0, "e_min_edge": 0.0}},
            "exit_logic": {"params": {"x_exit_z": 0.5, "x_stop_z": 6.0, "x_max_half_lives": 0.0}},
        },
    )


class Run:
    def __init__(self, config: Path, market: Path) -> None:
        self.events: list[Event] = []
        self.bot = LiveTradingBot(config, environ={}, choice=DataChoice(market))
        self.bot.add_listener(self.events.append)

    def result(self) -> RunResult:
        return self.bot.run()

    @property
    def alarms(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Alarm)]


def live_spreads() -> dict | None:
    with JournalReader.open("state/0001_mock.journal.sqlite") as journal:
        return journal.risk_state(LIVE_KEY)


def reasons(result: RunResult) -> list[tuple[str, datetime]]:
    return [(trade.exit_reason, trade.exit_time) for trade in result.trades]


def test_a_jump_between_two_bars_stops_the_pair_where_a_backtest_sees_nothing(tmp_path):
    market = write_market(tmp_path / "bars", leg_a(1.5))
    closes_only = backtest(config_of(tmp_path), DataChoice(market))
    run = Run(config_of(tmp_path, stops_between_bars=True), market)
    result = run.result()
    assert [reason for reason, _ in reasons(closes_only)] == ["reversion"]
    assert reasons(result) == [("stop", T0 + timedelta(hours=JUMP_BAR))]
    assert float(result.trades[0].legs[0].exit_price or 0) == pytest.approx(101.78, abs=0.02)
    assert result.open == () and result.signals == 2
    assert live_spreads() is None, "virtual time has nobody who could look"
    assert not run.bot.was_halted


def test_without_prices_between_bars_a_bot_is_its_backtest(tmp_path):
    market = write_market(tmp_path / "bars", leg_a(1.5))
    config = config_of(tmp_path)
    assert Run(config, market).result().trades == backtest(config, DataChoice(market)).trades


class Stuck:
    """Backtrader's thread, stuck in a rule from the second bar after the entry until ``is_over``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, is_over: Callable[[], bool]) -> None:
        self.begun, self.since = threading.Event(), T0
        self.was_freed = False
        self._freed = threading.Event()
        decide = ZScoreExitMixin.decide
        stuck = self

        def stuck_decide(rule: ZScoreExitMixin):
            if not stuck.begun.is_set():
                stuck.since = rule.view.time
                stuck.begun.set()
                stuck.was_freed = stuck._freed.wait(60.0)
            return decide(rule)

        monkeypatch.setattr(ZScoreExitMixin, "decide", stuck_decide)
        self._is_over = is_over

    def look(self, event: Event) -> None:
        if self._is_over():
            self._freed.set()


def test_a_stop_works_while_backtraders_thread_is_stuck_for_hours(tmp_path, monkeypatch):
    market = write_market(tmp_path / "bars", leg_a(1.5))
    run = Run(config_of(tmp_path, speed=20_000, stops_between_bars=True), market)
    stuck = Stuck(monkeypatch, lambda: any(isinstance(event, PairClosed) for event in run.events))
    run.bot.add_listener(stuck.look)
    result = run.result()
    assert stuck.was_freed, "the pair was closed while the thread was stuck"
    ((reason, left_at),) = reasons(result)
    assert reason == "stop"
    assert left_at - stuck.since >= timedelta(seconds=60)
    assert result.open == (), "what the strategy decided late doubles nothing"
    spread = (live_spreads() or {})["ETH_BTC"]
    assert datetime.fromisoformat(spread["time"]) > T0 and abs(spread["z"]) < 10.0 and abs(spread["spread"]) < 1.0
    assert not run.bot.was_halted


def silent(hours: int) -> list[Bar]:
    prices = leg_a(0.0)
    prices[JUMP_BAR : JUMP_BAR + hours] = [None] * hours
    return prices


def test_a_held_pair_whose_data_are_stale_is_alarmed_and_traded_as_before(tmp_path):
    market = write_market(tmp_path / "bars", silent(3))
    config = config_of(tmp_path)
    run = Run(config, market)
    result = run.result()
    assert result.trades == backtest(config, DataChoice(market)).trades
    assert [alarm for alarm in run.alarms if "stale" in alarm or "fresh" in alarm] == [
        "the data of ETH_BTC are stale: nothing new for too long; it is held, without looking",
        "the data of ETH_BTC are fresh again",
    ]


def test_a_held_pair_whose_data_are_stale_is_left_on_request(tmp_path):
    market = write_market(tmp_path / "bars", silent(3))
    run = Run(config_of(tmp_path, on_stale="flatten"), market)
    result = run.result()
    ((reason, _),) = reasons(result)
    assert reason == "stale_data"
    assert result.open == ()


@pytest.mark.parametrize(
    ("terms", "hours", "reason"),
    [({"on_shutdown": "close"}, 0, "shutdown"), ({"on_stale": "flatten"}, 3, "stale_data")],
)
def test_a_held_pair_is_left_also_before_a_price_of_it_is_known(tmp_path, monkeypatch, terms, hours, reason):
    market = write_market(tmp_path / "bars", silent(hours))
    first, until = Run(config_of(tmp_path), market), T0 + timedelta(hours=JUMP_BAR)
    first.bot.add_listener(lambda one: first.bot.stop() if isinstance(one, BarMarked) and one.time == until else None)
    assert len(first.result().open) == 1
    monkeypatch.setattr(StepDriver, "history", AsyncMock(return_value=[]))
    run = Run(config_of(tmp_path, **terms), market)
    if reason == "shutdown":
        run.bot.stop()
    result = run.result()
    assert [trade.exit_reason for trade in result.trades] == [reason] and result.open == ()
    assert not run.bot.was_halted


@pytest.mark.parametrize("broker", ["binance", "binance_paper"])
def test_over_the_wire_the_exchanges_own_prices_stop_a_pair_without_being_asked_for(tmp_path, broker):
    bars = write_market(tmp_path / "bars", leg_a(1.5))
    market = market_input(load_config(config_of(tmp_path), environ={}), DataChoice(bars))
    with patient_desk(market.source, warmup_bars=HISTORY, markets=market.rules, funding=market.funding) as desk:
        plan = config_of(tmp_path, data={"data_source": "binance"}, broker={"type": broker, "exchange_url": desk.url})
        result = WireRun(plan, desk, until=ms_to_datetime(market.source.end_ms)).result()
    ((reason, left_at),) = reasons(result)
    assert reason == "stop"
    assert T0 + timedelta(hours=JUMP_BAR) <= left_at < T0 + timedelta(hours=JUMP_BAR + 1)
    assert result.open == ()


def test_a_pair_whose_data_are_stale_enters_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(StaleWatch, "is_stale", lambda watch, pair_id: True)
    market = write_market(tmp_path / "bars", leg_a(0.0))
    result = Run(config_of(tmp_path), market).result()
    assert result.trades == () == result.open
    assert {refusal.reasons for refusal in result.refused} == {("stale_data",)}


def test_a_bot_tells_the_signals_of_its_pairs(tmp_path):
    market = write_market(tmp_path / "bars", leg_a(1.5))
    run = Run(config_of(tmp_path, stops_between_bars=True), market)
    trade = run.result().trades[0]
    signals = [event for event in run.events if isinstance(event, PairSignal)]
    first, second = signals[0], next(one for one in signals if one.signal.signal_type is SignalType.EXIT)
    assert (first.pair_id, first.signal.signal_type) == ("ETH_BTC", SignalType.SELL)
    # A bar's open is a price too: the strategy decides when the bar has closed.
    assert trade.entry_time - first.time == timedelta(hours=1)
    assert (second.signal.reason, second.time) == ("stop", trade.exit_time)


def test_the_stops_of_a_real_market_are_watched_between_bars_unless_the_config_says_no(tmp_path):
    def wanted(**changes: object) -> bool:
        return load_config(write_config(tmp_path, **changes), environ={}).model.stops_between_bars

    real = {"broker": {"type": "binance_paper"}, "data": {"data_source": "binance"}}
    assert not wanted()
    assert wanted(**real)
    assert wanted(trading={"stops_between_bars": True})
    assert not wanted(**real, trading={"stops_between_bars": False})
