"""A plain Backtrader script on a store: data, a broker, statuses, refusals, errors at the start, and the end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from decimal import Decimal
from typing import Any

import backtrader as bt
import numpy as np
import pytest

from brokers.simulated.source import MarketSource
from ccxt_bt_bridge.bridge_store import BridgeStore, NoGateway
from ccxt_bt_bridge.bt_time import num_to_ms
from ccxt_bt_bridge.errors import BridgeClosed, ExchangeUnreachable, MarketUnknown
from ccxt_bt_bridge.series import BarSeries
from ccxt_bt_bridge.words import Connection, Fill, OrderRequest, Side
from tests.brokers.markets import HOUR_MS, bars, flat, hours, source
from tests.ccxt_bt_bridge.store_harness import simulated_store

RISING = [(100.0 + at, 101.0 + at) for at in range(12)]
HOLED = [*RISING[:5], None, *RISING[6:]]


class Script(bt.Strategy):
    """Writes down every step and all that it is told; ``plan[n]`` is done at its n-th step."""

    params: Any = (("plan", {}), ("log", None))

    def __init__(self) -> None:
        self.log: list[str] = [] if self.p.log is None else self.p.log
        self.orders: list[Any] = []
        self.steps = 0

    def next(self) -> None:
        self.steps += 1
        now = self.datetime[0]
        fresh = [data._name for data in self.datas if data.datetime[0] == now]
        self.log.append(f"{round((num_to_ms(now) - hours(0)) / HOUR_MS, 2):g}: {''.join(fresh)}")
        order = self.p.plan.get(self.steps, lambda strategy: None)(self)
        self.orders += [order] if order is not None else []

    def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
        self.log.append(f"{data._name} {data._getstatusname(status)}")

    def notify_order(self, order: Any) -> None:
        self.log.append(f"{order.getstatusname()} {order.executed.size:g}")

    def notify_store(self, message: str, *args: Any, **kwargs: Any) -> None:
        self.log.append(f"store: {message}")


def market(**prices: Any) -> dict[str, MarketSource]:
    return {"1h": source(*(bars(symbol, each) for symbol, each in prices.items()))}


def script(store: BridgeStore, *symbols: str, plan: dict | None = None, trades: bool = False, **data: Any) -> Any:
    cerebro = bt.Cerebro()
    for symbol in symbols:
        cerebro.adddata(store.getdata(symbol, "1h", **data))
    if trades:
        cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Script, plan=plan or {})
    (strategy,) = cerebro.run()
    return strategy


def steps(strategy: Any) -> list[str]:
    return [line for line in strategy.log if line[0].isdigit()]


def loop_of(strategy: Any) -> asyncio.AbstractEventLoop:
    return strategy.data.p.store._loop.loop


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_three_lines_give_history_and_live_bars_aligned():
    strategy = script(simulated_store(market(A=RISING, B=RISING)), "A", "B")
    assert steps(strategy) == [f"{hour}: AB" for hour in range(1, 13)]
    live = strategy.log.index("A LIVE")
    assert strategy.log[live - 1 : live + 3] == ["3: AB", "A LIVE", "B LIVE", "4: AB"]


def test_history_is_as_long_as_was_asked_for():
    assert steps(script(simulated_store(market(A=RISING)), "A", history=1))[0] == "3: A"
    assert steps(script(simulated_store(market(A=RISING)), "A", history=0))[0] == "4: A"


def test_a_missing_leg_drops_the_step_and_the_strategy_is_told():
    strategy = script(simulated_store(market(A=RISING, B=HOLED)), "A", "B")
    assert steps(strategy) == [f"{hour}: AB" for hour in range(1, 13) if hour != 6]
    (told,) = [line for line in strategy.log if line.startswith("store")]
    assert told == "store: the bar of 2024-01-01 06:00 UTC was left out for want of B"


def test_a_missing_leg_may_be_carried():
    strategy = script(simulated_store(market(A=RISING, B=HOLED), group_policy="carry"), "A", "B")
    assert steps(strategy) == [f"{hour}: AB" for hour in range(1, 13)]
    assert [line for line in strategy.log if "carried on without B" in line]


def test_groups_do_not_wait_for_each_other():
    store = simulated_store(market(A=RISING, B=HOLED))
    cerebro = bt.Cerebro()
    cerebro.adddata(store.getdata("A", "1h", group="a"))
    cerebro.adddata(store.getdata("B", "1h", group="b"))
    cerebro.addstrategy(Script)
    (strategy,) = cerebro.run()
    assert steps(strategy)[5] == "6: A"


def test_a_group_of_a_name_comes_together_in_several_groups():
    store = simulated_store(market(A=RISING, B=HOLED))
    cerebro = bt.Cerebro()
    for symbol, group in (("A", 1), ("B", 1), ("A", 2)):
        cerebro.adddata(store.getdata(symbol, "1h", group=group, name=f"{symbol}{group}"))
    cerebro.addstrategy(Script)
    (strategy,) = cerebro.run()
    assert [line for line in steps(strategy) if line.startswith(("5:", "6:", "7:"))] == [
        "5: A1B1A2", "6: A2", "7: A1B1A2"
    ]  # fmt: skip


def test_several_intervals_come_each_by_its_own():
    closes = np.array([hours(0) + 900_000 * (at + 1) for at in range(48)], dtype=np.int64)
    ones = np.full(48, 100.0)
    quarters = BarSeries("A", 900_000, closes, ones, ones, ones, ones, np.ones(48))
    sources = {"1h": source(flat("A", 12)), "15m": MarketSource({"A": quarters})}
    store = simulated_store(sources)
    cerebro = bt.Cerebro()
    cerebro.adddata(store.getdata("A", "1h", name="H"))
    cerebro.adddata(store.getdata("A", "15m", name="Q"))
    cerebro.addstrategy(Script)
    (strategy,) = cerebro.run()
    assert (len(strategy.datas[0]), len(strategy.datas[1])) == (12, 48)
    times = [float(line.split(":")[0]) for line in steps(strategy)]
    assert times == sorted(times)


def test_orders_are_filled_at_the_exchange_and_the_books_agree():
    plan = {
        4: lambda s: s.buy(data=s.datas[0], size=2.0),
        5: lambda s: s.sell(data=s.datas[1], size=1.0),
        8: lambda s: s.close(data=s.datas[0]),
    }
    opened: list[Any] = []
    strategy = script(simulated_store(market(A=RISING, B=RISING), opened=opened), "A", "B", plan=plan, trades=True)
    assert [line for line in strategy.log if line.split()[0] in bt.Order.Status] == [
        *("Submitted 0", "Accepted 0", "Completed 2"),
        *("Submitted 0", "Accepted 0", "Completed -1"),
        *("Submitted 0", "Accepted 0", "Completed -2"),
    ]
    assert [strategy.getposition(data).size for data in strategy.datas] == [0.0, -1.0]
    bought, sold, closed = strategy.orders
    assert (bought.executed.price, closed.executed.price) == (104.0, 108.0)
    fees = sum(order.executed.comm for order in strategy.orders)
    assert fees == pytest.approx((2 * 104 + 105 + 2 * 108) * 0.0005)
    profit = 2 * (108 - 104) + 1 * (105 - 112)
    assert strategy.broker.getvalue() == pytest.approx(10_000 + profit - fees)
    assert strategy.broker.startingcash == 10_000


def test_a_position_from_before_is_there_at_the_first_step():
    def prepare(ports):
        ports.exchange.venue.place(OrderRequest("old", "A", Side.BUY, Decimal(3)), now_ms=ports.clock.now_ms())

    seen: list[float] = []
    plan = {1: lambda s: seen.append(s.position.size)}
    script(simulated_store(market(A=RISING), prepare=prepare), "A", plan=plan, trades=True)
    assert seen == [3.0]


def test_what_is_not_taken_is_told_by_order_and_store():
    plan = {4: lambda s: s.buy(size=1e9), 5: lambda s: s.buy(size=1e-9), 6: lambda s: s.buy(exectype=bt.Order.Close)}
    strategy = script(simulated_store(market(A=RISING)), "A", plan=plan, trades=True)
    margin, dust, kind = strategy.orders
    assert (margin.getstatusname(), dust.getstatusname(), kind.getstatusname()) == ("Margin", "Rejected", "Rejected")
    assert "margin" in margin.info["reason"].lower()
    assert "rounds to 0" in dust.info["reason"]
    told = [line for line in strategy.log if line.startswith("store: order")]
    assert len(told) == 3
    assert "Close orders do not exist" in told[2]


def test_a_broken_connection_is_told_to_every_feed():
    opened: list[Any] = []

    def breaks(strategy):
        """Now, for one hour and a half."""
        loop, link = loop_of(strategy), opened[0].markets["1h"].links.put_nowait
        loop.call_soon_threadsafe(link, Connection("market", False, 0, "cable cut"))
        loop.call_soon_threadsafe(loop.call_later, 1.5 * 3600, link, Connection("market", True, 0))

    strategy = script(simulated_store(market(A=RISING), opened=opened), "A", plan={5: breaks})
    after = strategy.log[strategy.log.index("5: A") + 1 :]
    after.remove("store: no bars of 1h at the moment: cable cut")
    assert after[:6] == ["A CONNBROKEN", "A DELAYED", "6: A", "A LIVE", "7: A", "8: A"]


def test_no_key_is_needed_for_data_alone_and_backtraders_own_broker_works_on_it():
    plan = {4: lambda s: s.buy(size=1.0)}
    strategy = script(simulated_store(market(A=RISING)), "A", plan=plan)
    assert strategy.position.size == 1.0
    assert strategy.broker.__class__ is bt.brokers.BackBroker


# errors


def test_an_error_at_the_start_comes_out_of_cerebro_and_leaves_nothing():
    opened: list[Any] = []
    store = simulated_store(market(A=RISING), opened=opened)
    with pytest.raises(MarketUnknown, match="no market Z; it has A"):
        script(store, "A", "Z")
    assert opened[0].is_closed


def test_an_exchange_that_cannot_be_reached_is_a_sentence():
    async def nobody(loop):
        raise ExchangeUnreachable("no exchange answers at http://127.0.0.1:1")

    with pytest.raises(ExchangeUnreachable, match="no exchange answers"):
        script(BridgeStore(nobody), "A")


def test_an_exchange_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr("ccxt_bt_bridge.bridge_store.START_LIMIT_S", 0.1)

    async def sleeps(loop):
        await asyncio.sleep(3600)

    with pytest.raises(ExchangeUnreachable, match="not ready within"):
        script(BridgeStore(sleeps), "A")


def test_an_unknown_policy_or_interval_and_a_feed_asked_for_twice_are_refused():
    with pytest.raises(ValueError, match="maybe"):
        simulated_store({}, group_policy="maybe")
    store = simulated_store({})
    with pytest.raises(ValueError, match="unknown interval '7m'"):
        store.getdata("A", "7m")
    store.getdata("A", "1h")
    with pytest.raises(ValueError, match="asked for before"):
        store.getdata("A", "1h")


def test_orders_before_the_start_are_refused():
    gateway = NoGateway()
    for act in (gateway.submit, gateway.cancel):
        with pytest.raises(BridgeClosed, match="not been started"):
            act(1)  # type: ignore[arg-type]
    assert simulated_store({}).getbroker().getcash() == 0.0


def test_a_defect_in_the_bridge_ends_the_run_and_the_context_cleans_up():
    with simulated_store(market(A=RISING)) as store, pytest.raises(BridgeClosed, match="died"):
        script(store, "A", plan={4: lambda s: store._run._fail(RuntimeError("broken"))})


def test_a_strategy_that_raises_leaves_nothing_behind_a_context():
    with pytest.raises(ZeroDivisionError), simulated_store(market(A=RISING)) as store:
        script(store, "A", plan={4: lambda s: 1 / 0})


# the end


def test_a_store_may_run_again():
    store = simulated_store(market(A=RISING))
    cerebro = bt.Cerebro()
    cerebro.adddata(store.getdata("A", "1h"))
    cerebro.addstrategy(Script)
    first, second = (steps(cerebro.run()[0]) for _ in range(2))
    assert first == second


def test_two_stores_share_nothing():
    one, two = (simulated_store(market(A=prices)) for prices in (RISING, [(5.0, 5.0)] * 12))
    brokers = one.getbroker(), two.getbroker()
    assert brokers[0] is one.getbroker() is not brokers[1]
    closes = []
    for store in (one, two):
        closes.append(script(store, "A", trades=True).data.close[0])
    assert closes == [112.0, 5.0]


def stops_within(act) -> float:
    """Seconds from ``act(cerebro)``, in another thread while cerebro waits for a bar that is an hour away."""
    store = simulated_store(market(A=RISING), speed=1.0)
    cerebro = bt.Cerebro()
    cerebro.adddata(store.getdata("A", "1h"))
    cerebro.setbroker(store.getbroker())
    began, asked = threading.Event(), []

    class Says(bt.Strategy):
        def next(self) -> None:
            began.set()

    cerebro.addstrategy(Says)

    def later():
        assert began.wait(30)
        asked.append(time.monotonic())
        act(cerebro)

    other = threading.Thread(target=later)
    other.start()
    cerebro.run()
    ended = time.monotonic()
    other.join()
    return ended - asked[0]


def test_ctrl_c_ends_the_run_in_order_within_a_second():
    assert min(stops_within(lambda cerebro: os.kill(os.getpid(), signal.SIGINT)) for _ in range(2)) < 1.0


def test_a_stop_from_another_thread_ends_the_run_within_a_second():
    assert min(stops_within(lambda cerebro: cerebro.runstop()) for _ in range(2)) < 1.0


def test_stopping_twice_or_without_a_start_does_nothing():
    store = simulated_store(market(A=RISING))
    store.stop()
    store.stop()


def test_a_foreign_fill_moves_the_position_of_every_feed_of_its_symbol():
    opened: list[Any] = []

    def stranger(strategy):
        exchange = opened[0].exchange
        request = OrderRequest("stranger", "A", Side.SELL, Decimal(2))
        loop_of(strategy).call_soon_threadsafe(lambda: exchange.venue.place(request, now_ms=opened[0].clock.now_ms()))

    strategy = script(simulated_store(market(A=RISING), opened=opened), "A", plan={5: stranger}, trades=True)
    assert isinstance(opened[0].exchange.venue.fills[0], Fill)
    assert strategy.position.size == -2.0
