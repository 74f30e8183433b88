"""``CcxtStore`` in plain Backtrader scripts: the real ccxt client, over the wire, against an exchange on the desk."""

from __future__ import annotations

import asyncio
import json
import runpy
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import ccxt_bt_bridge
from brokers.desk.api_key import DeskKey
from brokers.desk.desk import Desk
from brokers.mock_market import MockMarket
from brokers.simulated.source import MarketSource
from ccxt_bt_bridge import CcxtStore
from ccxt_bt_bridge.bt_time import num_to_ms
from ccxt_bt_bridge.errors import (
    AccountRefused,
    BridgeError,
    ExchangeUnreachable,
    KeyRefused,
    MarketClosed,
    MarketUnknown,
)
from tests.brokers.desk.desks import BTC, ETH, halt
from tests.brokers.desk.markets import spot_rules
from tests.ccxt_bt_bridge.desk_thread import DeskThread

KEY = ("desk-key", "desk-secret")
MINUTE_MS, HISTORY = 60_000, 20
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ccxt_live.py"
FAST = 1_200.0  # a minute in 50 ms


class Script(bt.Strategy):
    """``plan[n]`` is done at the n-th live step; ends after ``live`` of them, once every order is over."""

    params: Any = (("plan", {}), ("live", 6))

    def __init__(self) -> None:
        self.log: list[str] = []
        self.times: list[int] = []
        self.orders: list[Any] = []
        self.live_steps = 0
        self.is_live = False

    def next(self) -> None:
        assert len({data.datetime[0] for data in self.datas}) == 1
        self.times.append(num_to_ms(self.datetime[0]))
        self.live_steps += self.is_live
        if self.is_live and self.live_steps <= self.p.live:
            order = self.p.plan.get(self.live_steps, lambda strategy: None)(self)
            self.orders += [order] if order is not None else []
        if self.live_steps >= self.p.live and not any(order.alive() for order in self.orders):
            self.env.runstop()

    def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
        self.log.append(f"{data._name} {data._getstatusname(status)}")
        self.is_live = status == data.LIVE

    def notify_order(self, order: Any) -> None:
        self.log.append(f"{order.ref - self.orders[0].ref if self.orders else 0} {order.getstatusname()}")

    def notify_store(self, message: str, *args: Any, **kwargs: Any) -> None:
        self.log.append(f"store: {message}")


def run(store: CcxtStore, *symbols: str, trades: bool = True, strategy: type = Script, **params: Any) -> Any:
    cerebro = bt.Cerebro()
    for symbol in symbols:
        cerebro.adddata(store.getdata(symbol, "1m", history=HISTORY))
    if trades:
        cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(strategy, **params)
    with store:
        return cerebro.run()[0]


def store_at(desk: DeskThread, exchange: str = "binanceusdm", key: tuple[str, str] = KEY, **options: Any) -> CcxtStore:
    return CcxtStore(exchange, *key, url=desk.url, **options)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_data_alone_needs_no_key_and_comes_without_a_gap():
    with DeskThread(speed=FAST) as desk:
        strategy = run(CcxtStore("binanceusdm", url=desk.url), BTC, ETH, trades=False)
    assert len(strategy.times) >= 26
    assert {later - earlier for earlier, later in zip(strategy.times, strategy.times[1:], strict=False)} == {MINUTE_MS}
    assert strategy.log[:4] == [f"{BTC} DELAYED", f"{ETH} DELAYED", f"{BTC} LIVE", f"{ETH} LIVE"]


def of(strategy: Any, number: int) -> list[str]:
    """What was told of its n-th order."""
    return [line.split()[1] for line in strategy.log if line.startswith(f"{number} ")]


@pytest.mark.parametrize(("exchange", "symbols"), [("binanceusdm", (BTC, ETH)), ("binance", ("BTC/USDT", "ETH/USDT"))])
def test_every_kind_of_order_over_the_wire(exchange, symbols):
    def at(data: int, factor: float) -> Any:
        return lambda s: s.datas[data].close[0] * factor

    def limit(data: int, factor: float, **words: Any) -> Any:
        return lambda s: s.buy(
            data=s.datas[data], size=0.05, exectype=bt.Order.Limit, price=at(data, factor)(s), **words
        )

    plan = {
        1: lambda s: s.buy(data=s.datas[0], size=0.02),
        2: limit(0, 0.8),
        3: limit(1, 1.05),
        4: lambda s: s.cancel(s.orders[1]),
        5: limit(1, 0.8, valid=timedelta(minutes=2)),
        6: lambda s: s.sell(data=s.datas[0], size=0.01, exectype=bt.Order.Stop, price=at(0, 0.9998)(s)),
        7: lambda s: s.buy(data=s.datas[0], size=1e6),
    }
    with DeskThread(speed=FAST, dialects={exchange: 0}) as desk:
        strategy = run(store_at(desk, exchange), *symbols, plan=plan, live=9)
        again = run(store_at(desk, exchange), *symbols, live=1)
    assert of(strategy, 0) == of(strategy, 2) == of(strategy, 4) == ["Submitted", "Accepted", "Completed"]
    assert of(strategy, 1) == ["Submitted", "Accepted", "Canceled"]
    assert of(strategy, 3) == ["Submitted", "Accepted", "Expired"]
    assert of(strategy, 5) in (["Submitted", "Margin"], ["Submitted", "Rejected"])
    for after in (strategy, again):
        held = [after.getposition(data).size for data in after.datas]
        assert held == pytest.approx([0.01, 0.05], rel=0.002)
    fees = sum(order.executed.comm for order in strategy.orders)
    assert fees > 0
    assert again.broker.startingcash == pytest.approx(strategy.broker.getcash(), rel=1e-3)


class Locks(Script):
    """A limit order that rests until its cash is locked, is cancelled, and is over when the cash is free again."""

    patience = 200  # steps

    def next(self) -> None:
        cash = self.broker.getcash()
        assert len(self) < self.patience
        if self.is_live and not self.orders:
            self.before, price = cash, self.data.close[0] * 0.9
            self.orders.append(self.buy(size=0.05, exectype=bt.Order.Limit, price=price))
        elif self.is_live and self.orders[0].alive() and cash < self.before - 1.0:
            self.cancel(self.orders[0])
        elif self.is_live and not self.orders[0].alive() and cash == self.before:
            self.env.runstop()


@pytest.mark.parametrize(("exchange", "symbol"), [("binanceusdm", BTC), ("binance", "BTC/USDT")])
def test_cash_is_without_what_open_orders_lock(exchange, symbol):
    rules = {"markets": spot_rules()} if exchange == "binance" else {}
    with DeskThread(speed=FAST, dialects={exchange: 0}, **rules) as desk:
        strategy = run(store_at(desk, exchange), symbol, strategy=Locks)
        assert not desk.desk.walk().done()  # else the market's end has ended the run
    assert of(strategy, 0) == ["Submitted", "Accepted", "Canceled"]


# what goes wrong at the start


def refused(kind: type[BridgeError], words: str, desk: DeskThread | None = None, *symbols: str, **options: Any) -> None:
    store = store_at(desk, **options) if desk else CcxtStore("binanceusdm", *KEY, **options)
    with pytest.raises(kind, match=words) as caught:
        run(store, *(symbols or (BTC,)))
    assert KEY[1] not in str(caught.value)


def test_a_wrong_key_is_a_sentence_and_no_half_started_bot():
    with DeskThread() as desk:
        refused(KeyRefused, "key", desk, key=("wrong", "key"))


def test_a_key_that_may_withdraw_is_refused():
    keys = [DeskKey("rich", "s", permissions=frozenset(("read", "futures", "withdraw")), ips=("127.0.0.1",))]
    with DeskThread(server={"keys": keys}) as desk:
        refused(AccountRefused, "may withdraw. Switch withdrawals off", desk, key=("rich", "s"))


def test_a_symbol_that_does_not_exist_is_named_with_those_that_are_near():
    with DeskThread() as desk:
        refused(MarketUnknown, "no market BTX/USDT:USDT; did you mean BTCUSDT", desk, "BTX/USDT:USDT")


@pytest.mark.parametrize("exchange", ["binanceusdm", "binance"])
def test_a_market_that_does_not_trade_is_refused_by_name(exchange):
    with DeskThread(dialects={exchange: 0}) as desk:
        desk.do(lambda opened: halt(opened, "ETHUSDT"))
        refused(MarketClosed, "lists ETHUSDT, but nothing trades there", desk, "BTCUSDT", "ETHUSDT", exchange=exchange)


@pytest.mark.parametrize("groups", [(None, None), ("one", "other")])
def test_two_names_of_one_market_are_refused(groups):
    with DeskThread() as desk, store_at(desk) as store:
        cerebro = bt.Cerebro()
        for name, group in zip((BTC, "BTCUSDT"), groups, strict=True):
            cerebro.adddata(store.getdata(name, "1m", history=5, group=group))
        cerebro.setbroker(store.getbroker())
        with pytest.raises(MarketUnknown, match=f"{BTC} and BTCUSDT are one market: use one name"):
            cerebro.run()


def test_no_network_is_a_sentence():
    refused(ExchangeUnreachable, "no exchange answers at", url="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "http://example.com:80"}, "this machine"),
        ({"url": "http://127.0.0.1:1", "testnet": True}, "exclude each other"),
        ({"api_key": "alone"}, "belong together"),
        ({"id_prefix": "much-too-long-a-prefix"}, "1 to 16"),
        ({"group_policy": "hope"}, "'hope' is no policy .* use one of wait, skip, carry"),
        ({"grace_s": -1}, "grace_s is -1; it must be 0 or more"),
        ({"grace_s": float("nan")}, "grace_s is nan"),
        ({"api_key": "", "secret": " "}, "the API key and the secret are empty: .* environment variable"),
        ({"api_key": "a", "secret": ""}, "the secret is empty"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(options, words):
    with pytest.raises(ValueError, match=words):
        CcxtStore("binanceusdm", **options)


def test_a_broker_needs_a_key():
    with pytest.raises(ValueError, match="needs api_key and secret"):
        CcxtStore("binanceusdm").getbroker()


def test_neither_key_nor_secret_is_in_any_repr():
    store = CcxtStore("binanceusdm", "the-key", "the-secret")
    shown = f"{store!r} {store} {vars(store)!r} {store.getbroker()!r}"
    assert "the-key" not in shown
    assert "the-secret" not in shown


def test_the_package_alone_loads_neither_ccxt_nor_backtrader():
    code = "import sys, ccxt_bt_bridge; assert not {'ccxt', 'backtrader'} & set(sys.modules), 'heavy'"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        ccxt_bt_bridge.Nothing  # noqa: B018


# disconnects


class Turns(Script):
    """Turns its position around every tenth step, late ones too; ends after ``live`` steps beyond the history."""

    def next(self) -> None:
        self.times.append(num_to_ms(self.datetime[0]))
        assert len({data.datetime[0] for data in self.datas}) == 1
        done = len(self.times) - HISTORY
        if 0 < done <= self.p.live and done % 10 == 1:
            side = self.buy if done % 20 == 1 else self.sell
            self.orders += [side(data=data, size=0.1) for data in self.datas]
        if done >= self.p.live and not any(order.alive() for order in self.orders):
            self.env.runstop()


def cut_every(desk: DeskThread, seconds: float, *, times: int, done: threading.Event) -> int:
    """Close the connections to the desk, again and again: the user's every fourth time. How often it was done."""
    made = 0
    while made < times and not done.wait(seconds):
        desk.do(cut_all if made % 4 == 0 else cut_market)
        made += 1
    return made


def cut_all(desk: Desk) -> None:
    for socket in desk.server.sockets:
        socket.close(1012)


def cut_market(desk: Desk) -> None:
    for socket in desk.server.sockets:
        if socket.streams:
            socket.close(1012)


def test_thirty_disconnects_lose_no_bar_no_step_and_no_fill():
    market = MockMarket(7, 1_100, "1m", symbols=["BTCUSDT", "ETHUSDT"], gaps_per_1000=0.0)
    done = threading.Event()
    with DeskThread(source=MarketSource(market.series()), speed=3_000.0) as desk, ThreadPoolExecutor(1) as other:
        cuts = other.submit(cut_every, desk, 0.55, times=30, done=done)
        strategy = run(store_at(desk), BTC, ETH, strategy=Turns, live=1_000)
        done.set()
        fills = asyncio.run_coroutine_threadsafe(desk.desk.exchange.fills(since_ms=0), desk.loop).result(30)
    assert cuts.result() == 30
    times = strategy.times
    assert times == list(range(times[0], times[0] + len(times) * MINUTE_MS, MINUTE_MS))
    assert len(times) >= 1_000 + HISTORY
    assert all(order.status == order.Completed for order in strategy.orders)
    assert len(strategy.orders) == len(fills) == 200
    for data, name in zip(strategy.datas, ("BTCUSDT", "ETHUSDT"), strict=True):
        there = sum(fill.signed_amount for fill in fills if fill.symbol == name)
        assert strategy.getposition(data).size == pytest.approx(float(there), abs=1e-9)
    assert strategy.log.count(f"{BTC} CONNBROKEN") >= 10


# the example


def test_the_example_trades_on_an_exchange_in_another_process():
    """As a user runs it: ``tandem exchange`` in one terminal, the script in another."""
    command = [sys.executable, "-m", "management.cli", "exchange", "--speed", "600", "--symbols", "BTCUSDT,ETHUSDT"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as exchange:
        assert exchange.stdout is not None
        try:
            url = json.loads(exchange.stdout.readline())["rest"]
            script = [sys.executable, str(EXAMPLE), "--url", url, "--bars", "8"]
            done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
        finally:
            exchange.terminate()
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"{BTC} is DELAYED", f"{BTC} is LIVE"]
    assert any("Completed" in line for line in lines)
    assert lines[-1].startswith("stopped after 8 live bars, position ")
    assert not lines[-1].endswith("position 0")


@pytest.mark.parametrize(
    ("arguments", "key", "said"),
    [
        (["--url", "http://127.0.0.1:9"], "desk-key", "no exchange answers at http://127.0.0.1:9"),
        (["--symbol", "BTCUSD"], "desk-key", "has no market BTCUSD; did you mean BTCUSDT"),
        (["--url", "http://127.0.0.1:99999"], "desk-key", "an exchange url is http://127.0.0.1:PORT"),
        (["--interval", "7m"], "desk-key", "unknown interval '7m'"),
        ([], "wrong", "does not accept this API key"),
        ([], "", "the API key is empty"),
    ],
)
def test_what_the_example_cannot_run_is_one_sentence(arguments, key, said, monkeypatch):
    monkeypatch.setenv("EXCHANGE_API_KEY", key)
    with DeskThread() as exchange:
        monkeypatch.setattr(sys, "argv", ["ccxt_live.py", "--url", exchange.url, *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert said in ended.value.code  # Python prints a text that a program ends with, and its exit code is 1
    assert "\n" not in ended.value.code
