"""The bot over the wire: the real ccxt client against an exchange on this machine."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.errors import AccountRefused, ExchangeUnreachable, KeyRefused
from ccxt_bt_bridge.hub import Hub
from tests.trading.patient_desk import PatientDesk, patient_desk
from tests.trading.runs import backtest, write_config
from trading.config.loader import load_config
from trading.events import Alarm, BarMarked, Event
from trading.execution_engine import ExecutionEngine, SignalType, TradingSignal
from trading.live_trading_bot import LiveTradingBot
from trading.market_input import DataChoice, MarketInput, market_input
from trading.preflight.exchange_sides import ExchangeSides
from trading.preflight.run import Preflight
from trading.records import RunResult
from trading.trading_bot import main

BARS, HISTORY = 420, 250


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def config_of(folder: Path, url: str | None, broker: str = "binance", **changes) -> Path:
    """The shipped config on a short market: for its backtest, or at an exchange on this machine.

    Over the wire with stops at closes only, which is when a backtest sees them.
    """
    data = {"lookback_bars": HISTORY, "funding_rate_8h": 0.0}
    if url is None:
        return write_config(folder, name="plan.json", mock={"bars": BARS, "seed": 7}, data=data, **changes)
    return write_config(
        folder,
        name="wire.json",
        mock={"bars": BARS, "seed": 7},
        broker={"type": broker, "exchange_url": url},
        data=data | {"data_source": "binance"},
        trading={"stops_between_bars": False},
        **changes,
    )


def edited(path: Path, section: str, changes: dict | list) -> Path:
    raw = json.loads(path.read_text())
    raw[section] = raw[section] | changes if isinstance(changes, dict) else changes
    path.write_text(json.dumps(raw))
    return path


def preflight(path: Path, check: str) -> list[str]:
    """What a preflight finds in one check: sentence and remedy."""
    report = asyncio.run(Preflight(ExchangeSides(), {}).check(path))
    return [f"{one.message}; {one.remedy}" for one in report.findings if one.check == check and one.remedy]


def market_of(path: Path) -> MarketInput:
    return market_input(load_config(path, environ={}), DataChoice())


def desk_for(market: MarketInput) -> object:
    return patient_desk(
        market.source,
        warmup_bars=HISTORY,
        markets=market.rules,
        funding=market.funding,
    )


class Run:
    """A bot on a desk, stopped when the market is over."""

    def __init__(self, path: Path, desk: PatientDesk, *, until: datetime) -> None:
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
        self.pace = path.venue.pace
        market = path.venue._ports.market if hasattr(path.venue, "_ports") else path.venue._quotes
        is_parked, pulse = watched(path.loop.hub), Pulse(path.loop.loop)

        def is_quiet() -> bool:
            has_heard = all(market._closed.last_ms(s) >= self._desk.newest_ms(s) for s in path.config.symbols)
            has_heard = has_heard and not market._ready and not on_their_way(market, path.floor.market)
            has_decided = is_parked.is_set() and not path.board.has_bars() and not path.gateway._tickets
            return pulse.has_beaten() and has_heard and has_decided and path.floor.engine.is_idle

        self._desk.is_quiet = is_quiet
        self._desk.walk()
        yield

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, BarMarked) and event.time >= self._until:
            self._bot.stop()


class Pulse:
    """Whether a loop has come round since the last question: on a busy machine a thread may rest for long."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._asked, self._answered = loop, 0, 0

    def has_beaten(self) -> bool:
        if self._answered < self._asked:
            return False
        is_first, self._asked = not self._asked, self._asked + 1
        with suppress(RuntimeError):  # the loop is closed: it never beats again, and the market stands
            self._loop.call_soon_threadsafe(self._answer)
        return not is_first

    def _answer(self) -> None:
        self._answered += 1


def on_their_way(*markets) -> bool:
    """Bars that one task has published and the next has not taken."""
    return any(not queue.empty() for market in markets for queue in market._bars._queues)


def watched(hub: Hub) -> threading.Event:
    """Set while Backtrader's thread waits: a strategy that is still thinking has decided nothing yet."""
    is_parked, wait = threading.Event(), hub.wait

    def waiting(timeout_s: float) -> None:
        is_parked.set()
        try:
            wait(timeout_s)
        finally:
            is_parked.clear()

    hub.wait = waiting  # type: ignore[method-assign]
    return is_parked


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


@pytest.mark.parametrize("broker", ["binance", "binance_paper"])
def test_an_engine_alone_opens_and_closes_a_pair_over_the_wire(tmp_path, broker):
    market = market_of(config_of(tmp_path, None))
    first = load_config(config_of(tmp_path, None), environ={}).pairs[0]

    async def main(path: Path) -> None:
        engine = ExecutionEngine.from_config(path)
        assert await engine.connect()
        signal = TradingSignal(pair_x=first.leg_a, pair_y=first.leg_b, signal_type=SignalType.SELL)
        opened = await engine.execute_signal(signal)
        assert opened.success, opened.error
        closed = await engine.close_position(opened.position)
        assert closed.success, closed.error
        assert engine.get_summary()["open_positions"] == []
        await engine.disconnect()

    with desk_for(market) as desk:
        desk.walk()
        asyncio.run(main(config_of(tmp_path, desk.url, broker)))
        fills = desk.ask(lambda exchange: list(exchange.venue.fills))
    assert len(fills) == (4 if broker == "binance" else 0), "paper sends no order"


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
    assert run.pace == f"at the prices of the exchange at {desk.url}"
    assert_same_trades(result, expected)
    assert run.alarms == []
    assert orders == []


def test_a_bot_that_stops_with_open_pairs_goes_on_with_them(tmp_path):
    plan = config_of(tmp_path, None)
    expected, market = backtest(plan), market_of(plan)
    entry = next(trade for trade in expected.trades if trade.exit_time - trade.entry_time >= timedelta(hours=4))
    with desk_for(market) as desk:
        config = config_of(tmp_path, desk.url)
        stopped = Run(config, desk, until=entry.entry_time + timedelta(hours=2)).result()
        assert entry.pair_id in [pair.pair_id for pair in stopped.open]
        run = Run(config, desk, until=ms_to_datetime(market.source.end_ms))
        result = run.result()
        fills = desk.ask(lambda exchange: [fill.client_order_id for fill in exchange.venue.fills])
        held = desk.ask(lambda exchange: exchange.venue.account.ledger.report())
    assert run.alarms == []
    (after,) = [
        trade for trade in result.trades if (trade.pair_id, trade.entry_time) == (entry.pair_id, entry.entry_time)
    ]
    assert (after.exit_time, after.exit_reason) == (entry.exit_time, entry.exit_reason)
    assert len(set(fills)) == len(fills), "an order was sent twice"
    assert {position.symbol: position.amount for position in held} == open_quantities(result)


@pytest.mark.parametrize(
    ("broker", "words"),
    [
        ({"account": {"leverage": 1}}, "leverage is 2, the config wants 1"),
        ({"account": {"margin_mode": "isolated"}}, "margin mode is cross, the config wants isolated"),
    ],
)
def test_an_account_that_is_not_as_the_config_says_is_refused_and_left_alone(broker, words, tmp_path):
    plan = config_of(tmp_path, None)
    with desk_for(market_of(plan)) as desk:
        path = edited(config_of(tmp_path, desk.url), "broker", broker)
        with pytest.raises(AccountRefused, match=words):
            LiveTradingBot(path, environ={}).run()
        assert desk.ask(lambda exchange: exchange.venue.orders.open) == {}
    assert not [thread for thread in threading.enumerate() if thread.name == "exchange-loop"]


def test_a_wrong_key_and_a_closed_door_are_told_in_a_sentence(tmp_path):
    plan = config_of(tmp_path, None)
    with desk_for(market_of(plan)) as desk:
        path = config_of(tmp_path, desk.url)
        with pytest.raises(KeyRefused, match="key"):
            LiveTradingBot(path, environ={"BINANCE_API_KEY": "wrong", "BINANCE_API_SECRET": "wrong"}).run()
    with pytest.raises(ExchangeUnreachable, match="no exchange answers at http://127.0.0.1"):
        LiveTradingBot(path, environ={}).run()


@pytest.mark.parametrize("broker", ["binance", "binance_paper"])
def test_a_market_that_does_not_trade_is_refused_by_name_and_leaves_nothing(broker, tmp_path, capsys):
    with desk_for(market_of(config_of(tmp_path, None))) as desk:
        desk.halt("LTCUSDT")
        assert main([str(config_of(tmp_path, desk.url, broker))]) == 2
    said = capsys.readouterr()
    assert "lists LTCUSDT, but nothing trades there" in said.err and "take the pairs with them out" in said.err
    assert "run 1 starts" not in said.out
    assert not [thread for thread in threading.enumerate() if thread.name == "exchange-loop"]


def test_a_bot_with_an_open_pair_starts_though_a_market_is_closed_and_says_so(tmp_path):
    plan = config_of(tmp_path, None)
    entry, market = backtest(plan).trades[0], market_of(plan)
    with desk_for(market) as desk:
        config = config_of(tmp_path, desk.url)
        held = Run(config, desk, until=entry.entry_time + timedelta(hours=1)).result().open
        symbol = held[0].legs[0].symbol
        desk.halt(symbol)
        run = Run(config, desk, until=entry.entry_time + timedelta(hours=3))
        run.result()
    (alarm,) = [event for event in run.events if isinstance(event, Alarm) and "does not trade" in event.message]
    assert (alarm.pair_id, alarm.critical) == (held[0].pair_id, True)
    assert alarm.message.startswith(f"{symbol} does not trade, {alarm.pair_id} is close-only until a later start")


def test_a_run_and_its_preflight_tell_a_short_history_in_the_same_words(tmp_path):
    plan = config_of(tmp_path, None)
    market = market_of(plan)
    begin = ms_to_datetime(market.source.start_ms(HISTORY))
    with desk_for(market) as desk:
        path = edited(config_of(tmp_path, desk.url), "data", {"lookback_bars": HISTORY + 60})
        told = preflight(path, "history")
        run = Run(path, desk, until=begin + timedelta(hours=2))
        run.result()
    assert "are missing: it is ready at" in told[0] and "lower data.lookback_bars to" in told[0]
    assert run.alarms == told


def test_a_run_and_its_preflight_tell_an_unknown_symbol_in_the_same_words(tmp_path, capsys):
    pair = {"pair_id": "X", "leg_a": "ETHX/USDT", "leg_b": "BTC/USDT", "hedge_ratio": 1.0}
    with desk_for(market_of(config_of(tmp_path, None))) as desk:
        path = edited(config_of(tmp_path, desk.url), "pairs", [pair])
        told = preflight(path, "symbols")
        assert main([str(path)]) == 2
    sentence, remedy = capsys.readouterr().err.strip().split("\nto do: ")
    assert told == [f"{sentence.splitlines()[-1]}; {remedy}"]  # after the warnings of the config
