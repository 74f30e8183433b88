"""The bot over the wire: the real ccxt client against an exchange on this machine."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from ccxt_bt_bridge.bt_time import ms_to_datetime
from tests.trading.desk_thread import DeskThread, desk_thread
from tests.trading.runs import backtest, write_config
from trading.config.loader import load_config
from trading.events import Alarm, BarMarked, Event
from trading.live_trading_bot import LiveTradingBot
from trading.market_input import DataChoice, MarketInput, market_input
from trading.records import RunResult

BARS, HISTORY = 420, 250


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def config_of(folder: Path, url: str | None, broker: str = "binance", **changes) -> Path:
    """The shipped config on a short market: for its backtest, or at an exchange on this machine."""
    data = {"lookback_bars": HISTORY, "funding_rate_8h": 0.0}
    if url is None:
        return write_config(folder, name="plan.json", mock={"bars": BARS, "seed": 7}, data=data, **changes)
    return write_config(
        folder,
        name="wire.json",
        mock={"bars": BARS, "seed": 7},
        broker={"type": broker, "exchange_url": url},
        data=data | {"data_source": "binance"},
        **changes,
    )


def market_of(path: Path) -> MarketInput:
    return market_input(load_config(path, environ={}), DataChoice())


def desk_for(market: MarketInput) -> object:
    return desk_thread(
        market.source,
        warmup_bars=HISTORY,
        markets=market.rules,
        funding=market.funding,
    )


class Run:
    """A bot on a desk, stopped when the market is over."""

    def __init__(self, path: Path, desk: DeskThread, *, until: datetime) -> None:
        self.events: list[Event] = []
        self._desk, self._until = desk, until
        self._bot = LiveTradingBot(path, environ={})
        self._bot.add_listener(self._on_event)

    def result(self) -> RunResult:
        return self._bot.run(showing=self._showing)

    @property
    def alarms(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Alarm)]

    @contextmanager
    def _showing(self, path):
        """The market takes its next step when nothing of the last is left to do."""

        def is_quiet() -> bool:
            has_heard = path.venue.now_ms >= self._desk.desk.exchange.market_ms
            has_decided = not path.board.has_bars() and not path.gateway._tickets
            return has_heard and has_decided and path.floor.engine.is_idle

        self._desk.is_quiet = is_quiet
        self._desk.walk()
        yield

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, BarMarked) and event.time >= self._until:
            self._bot.stop()


def assert_same_trades(result: RunResult, expected: RunResult) -> None:
    assert [(t.pair_id, t.direction, t.entry_time, t.exit_time, t.exit_reason) for t in result.trades] == [
        (t.pair_id, t.direction, t.entry_time, t.exit_time, t.exit_reason) for t in expected.trades
    ]
    assert result.trades
    for ours, theirs in zip(result.trades, expected.trades, strict=True):
        for leg, wanted in zip(ours.legs, theirs.legs, strict=True):
            assert (leg.symbol, leg.quantity) == (wanted.symbol, wanted.quantity)
            assert float(leg.entry_price) == pytest.approx(float(wanted.entry_price), rel=1e-9)
            assert float(leg.fees) == pytest.approx(float(wanted.fees), rel=1e-6)


def open_quantities(result: RunResult) -> dict:
    return {leg.symbol: leg.quantity for pair in result.open for leg in pair.legs}


def test_the_bot_trades_over_the_wire_as_its_backtest_does(tmp_path):
    plan = config_of(tmp_path, None)
    expected, market = backtest(plan), market_of(plan)
    with desk_for(market) as desk:
        run = Run(config_of(tmp_path, desk.url), desk, until=ms_to_datetime(market.source.end_ms))
        result = run.result()
        held = desk.ask(lambda exchange: exchange.venue.account.ledger.report())
    assert_same_trades(result, expected)
    assert run.alarms == []
    assert {position.symbol: position.amount for position in held} == open_quantities(result)


def test_paper_fills_at_the_real_markets_prices_and_sends_it_no_order(tmp_path):
    plan = config_of(tmp_path, None)
    expected, market = backtest(plan), market_of(plan)
    with desk_for(market) as desk:
        run = Run(config_of(tmp_path, desk.url, "binance_paper"), desk, until=ms_to_datetime(market.source.end_ms))
        result = run.result()
        orders = desk.ask(lambda exchange: exchange.venue.fills)
    assert_same_trades(result, expected)
    assert run.alarms == []
    assert orders == []
