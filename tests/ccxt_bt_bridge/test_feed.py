"""Live feeds in a real Cerebro: history first, then bars as they come, and nothing in between."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import Any

import backtrader as bt
import pytest

from ccxt_bt_bridge.bt_time import num_to_ms
from ccxt_bt_bridge.feed import CONNBROKEN, IDLE_WAIT_S
from ccxt_bt_bridge.hub import Hub
from tests.ccxt_bt_bridge.board_harness import HOUR_MS, CountingFeed, bar, board_of, cerebro_on, put

TWO = ("A", "B")
FOUR = ("A", "B", "C", "D")


class Listener(bt.Strategy):
    """Writes down what it is told, in order: statuses of its datas, and at each step which datas stand at it."""

    params: Any = (("log", None),)

    def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
        self.p.log.append(f"{data._name} {data._getstatusname(status)}")

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        now = self.datetime[0]
        fresh = [data._name for data in self.datas if len(data) and data.datetime[0] == now]
        self.p.log.append(f"{round(num_to_ms(now) / HOUR_MS)}: {''.join(fresh)}")


def run(board, symbols) -> tuple[list[str], list[Any]]:
    log: list[str] = []
    if hasattr(board.hub, "on_wait"):
        board.hub.on_wait = lambda: log.append("wait")
    (strategy,) = cerebro_on(board, symbols, Listener, log=log).run()
    return log, strategy.datas


def test_history_comes_first_and_live_is_announced_before_the_first_live_bar():
    board = board_of(*TWO, history=2)
    board.hub.script = [put(board, TWO, 3), put(board, TWO, 4)]
    log, _ = run(board, TWO)
    assert log == [
        *("A DELAYED", "B DELAYED", "1: AB", "2: AB", "wait"),
        *("A LIVE", "B LIVE", "3: AB", "wait", "4: AB", "wait"),
    ]


def test_a_live_bar_arrives_whole_and_stamped_at_its_close():
    board = board_of("A")
    board.hub.script = [put(board, "A", 5)]
    _, (data,) = run(board, "A")
    assert num_to_ms(data.datetime[0]) == 5 * HOUR_MS
    assert [line[0] for line in (data.open, data.high, data.low, data.close, data.volume)] == [100, 101, 99, 100, 10]


def test_bars_of_one_moment_are_delivered_in_one_step():
    board = board_of(*FOUR, history=1)
    board.hub.script = [put(board, FOUR, number) for number in range(2, 20)]
    log, datas = run(board, FOUR)
    assert [line for line in log if ":" in line] == [f"{number}: ABCD" for number in range(1, 20)]
    assert [len(data) for data in datas] == [19] * 4


def test_a_silent_leader_does_not_hold_back_the_others_by_a_step():
    """Asked again in the middle of a step, the leader must not wait: the bar that is there would be a step late."""
    board = board_of(*FOUR, history=1)
    board.hub.script = [put(board, "CD", 2), put(board, "CD", 3), put(board, FOUR, 4), put(board, "AB", 5)]
    log, _ = run(board, FOUR)
    steps = [line for line in log if ":" in line or line == "wait"]
    assert steps == ["1: ABCD", "wait", "2: CD", "wait", "3: CD", "wait", "4: ABCD", "wait", "5: AB", "wait"]


def test_nobody_waits_while_any_feed_has_bars():
    board = board_of(*FOUR, history=1)
    board.hub.script = [lambda: [put(board, "CD", number)() for number in (2, 3, 4)]]
    log, _ = run(board, FOUR)
    steps = [line for line in log if ":" in line or line == "wait"]
    assert steps == ["1: ABCD", "wait", "2: CD", "3: CD", "4: CD", "wait"]


def test_history_of_unequal_length_is_merged_by_time():
    board = board_of("A", "B", history=3)
    board.take("B")
    log, _ = run(board, TWO)
    assert [line for line in log if ":" in line] == ["1: A", "2: AB", "3: AB"]


def test_a_leg_that_comes_in_a_step_of_its_own_makes_a_second_step_of_the_same_time():
    board = board_of(*FOUR)
    board.hub.script = [put(board, "AB", 1), put(board, "CD", 1)]
    log, _ = run(board, FOUR)
    assert [line for line in log if ":" in line] == ["1: AB", "1: ABCD"]


def test_the_end_comes_after_the_bars_that_are_still_there():
    board = board_of(*TWO)

    def last_bars():
        for number in (1, 2, 3):
            put(board, TWO, number)()
        board.end()

    board.hub.script = [last_bars]
    log, _ = run(board, TWO)
    assert [line for line in log if ":" in line] == ["1: AB", "2: AB", "3: AB"]
    assert board.hub.waits == 1


def test_a_board_that_has_ended_before_it_began_ends_the_run():
    board = board_of(*TWO, history=1)
    board.end()
    log, _ = run(board, TWO)
    assert log[-1] == "1: AB"


def test_idle_cycles_wait_once_each_and_leave_the_lines_alone():
    idle = 100
    board = board_of(*FOUR, history=2)
    board.hub.script = [lambda: None] * idle
    log, datas = run(board, FOUR)
    assert board.hub.waits == idle + 1
    assert [len(data) for data in datas] == [2] * 4
    for data in datas:
        assert data.loads <= 2 + 2 * (idle + 3)
        assert len(data.close.array) == 2
    assert log.count("2: ABCD") == 1


class StopsItself(Listener):
    def next(self) -> None:
        super().next()
        self.env.runstop()


def test_a_strategy_may_stop_the_run():
    board = board_of(*TWO, history=5)
    log: list[str] = []
    cerebro_on(board, TWO, StopsItself, log=log).run()
    assert [line for line in log if ":" in line] == ["1: AB"]


class IdleSignal(Hub):
    """A real hub that says when Backtrader's thread begins to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.is_idle = threading.Event()

    def wait(self, timeout_s: float) -> None:
        self.is_idle.set()
        super().wait(timeout_s)


def stopped_after_s(*, kick: bool) -> float:
    board = board_of(*TWO, hub=IdleSignal(), history=1)
    cerebro = cerebro_on(board, TWO, Listener, log=[])
    asked = []

    def stop():
        assert board.hub.is_idle.wait(10.0)
        asked.append(time.monotonic())
        cerebro.runstop()
        if kick:
            board.hub.kick()

    other = threading.Thread(target=stop)
    other.start()
    cerebro.run()
    ended = time.monotonic()
    other.join()
    return ended - asked[0]


def test_a_stop_from_another_thread_is_seen_within_one_idle_wait():
    assert stopped_after_s(kick=False) < IDLE_WAIT_S + 0.4


def test_a_stop_with_a_kick_is_seen_at_once():
    assert min(stopped_after_s(kick=True) for _ in range(3)) < IDLE_WAIT_S / 3


def test_a_real_hub_does_not_spin_while_idle():
    board = board_of(*TWO, hub=IdleSignal(), history=1)
    cerebro = cerebro_on(board, TWO, Listener, log=[])
    timer = threading.Timer(0.15, board.end)
    timer.start()
    (strategy,) = cerebro.run()
    timer.join()
    assert sum(data.loads for data in strategy.datas) < 20


def down(board, symbols) -> Any:
    return lambda: (board.put_status(symbols, CONNBROKEN), board.hub.kick())


def late(board, symbols, number: int) -> Any:
    return lambda: board.put_step([(symbol, bar(symbol, number)) for symbol in symbols], is_live=False)


def test_a_broken_connection_is_told_at_once_and_what_it_held_back_comes_delayed():
    board = board_of(*TWO, history=1)
    board.hub.script = [
        put(board, TWO, 2),
        down(board, TWO),
        lambda: [late(board, TWO, number)() for number in (3, 4)],
        put(board, TWO, 5),
    ]
    log, _ = run(board, TWO)
    assert [line for line in log if line != "wait"] == [
        *("A DELAYED", "B DELAYED", "1: AB", "A LIVE", "B LIVE", "2: AB", "A CONNBROKEN", "B CONNBROKEN"),
        *("A DELAYED", "B DELAYED", "3: AB", "4: AB", "A LIVE", "B LIVE", "5: AB"),
    ]


def test_news_of_the_connection_alone_move_no_line():
    board = board_of(*TWO, history=1)
    board.hub.script = [down(board, TWO), down(board, "A")]
    log, datas = run(board, TWO)
    assert [len(data) for data in datas] == [1, 1]
    assert log.count("A CONNBROKEN") == 1


def test_the_news_that_came_last_are_told_before_the_end():
    board = board_of("A", history=1)

    def last() -> None:
        board.put_status("A", CONNBROKEN)
        board.end()

    board.hub.script = [last]
    log, _ = run(board, "A")
    assert log[-1] == "A CONNBROKEN"


def test_orders_are_told_at_once_also_when_the_user_forgot_to_ask_for_it():
    board = board_of("A", history=1)
    cerebro = cerebro_on(board, "A", Listener, log=[])
    cerebro.run(quicknotify=False)
    assert cerebro.p.quicknotify is True


def test_bars_reach_backtraders_own_simulated_broker():
    board = board_of("A")
    board.hub.script = [put(board, "A", number) for number in (1, 2, 3)]

    class Buys(bt.Strategy):
        def next(self) -> None:
            if len(self) == 1:
                self.buy(size=2.0)

    cerebro = cerebro_on(board, "A", Buys)
    (strategy,) = cerebro.run()
    assert (strategy.position.size, strategy.position.price) == (2.0, 100.0)


def test_memory_can_be_saved_live():
    board = board_of(*TWO, history=3)
    board.hub.script = [lambda: None, put(board, TWO, 4), down(board, TWO), lambda: None]
    cerebro = cerebro_on(board, TWO, Listener, log=[])
    (strategy,) = cerebro.run(exactbars=1)
    assert [data.close[0] for data in strategy.datas] == [100.0, 100.0]


class Trades(bt.Strategy):
    """Buys at the open, sells by a stop; writes down every line of every step and every execution."""

    params: Any = (("log", None),)

    def __init__(self) -> None:
        self.mean = bt.indicators.SMA(self.data.close, period=2)

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.p.log.append(("filled", len(self), order.executed.size, order.executed.price))

    def next(self) -> None:
        lines = [line[0] for data in self.datas for line in data.lines.lines]
        self.p.log.append((len(self), [len(data) for data in self.datas], self.mean[0], lines))
        if len(self) % 4 == 2:
            self.buy()
        if len(self) % 4 == 3:
            self.sell(exectype=bt.Order.Stop, price=self.data.close[0])


def keep(_data: Any) -> bool:
    """A filter that takes nothing away."""
    return False


@pytest.mark.parametrize(
    ("params", "terms"),
    [
        ({"filters": [keep]}, {}),
        ({"fromdate": datetime(1969, 12, 31)}, {}),
        ({"todate": datetime(2100, 1, 1)}, {}),
        ({}, {"exactbars": 1}),
    ],
    ids=["a filter", "from a date", "to a date", "saving memory"],
)
def test_bars_written_in_one_go_are_those_that_backtrader_writes_itself(params, terms):
    def log_of(feed_params: dict[str, Any], run_terms: dict[str, Any]) -> list[Any]:
        log: list[Any] = []
        board = board_of(*TWO)
        closes = (100.0, 103.0, 101.0, 99.0, 104.0, 98.0, 97.0, 105.0, 106.0, 95.0, 99.5)
        for number, close in enumerate(closes, start=1):
            # One symbol is silent at times, the other comes in a step of its own at times.
            symbols = "B" if number == 6 else "A" if number == 8 else TWO
            step = [(symbol, bar(symbol, number, close)) for symbol in symbols]
            board.hub.script.append(lambda step=step: board.put_step(step))
        cerebro_on(board, TWO, Trades, feed_params=feed_params, log=log).run(**run_terms)
        return log

    plain = log_of({}, {})
    assert [entry[0] for entry in plain].count("filled") >= 3
    assert log_of(params, terms) == plain


class Bars(bt.Strategy):
    """Writes down each new bar of each data: its close time in hours, open, close and volume."""

    params: Any = (("log", None),)

    def __init__(self) -> None:
        self.seen = [0] * len(self.datas)

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        for number, data in enumerate(self.datas):
            if len(data) > self.seen[number]:
                self.seen[number] = len(data)
                hours = round(num_to_ms(data.datetime[0]) / HOUR_MS, 3)
                self.p.log.append((number, hours, data.open[0], data.close[0], data.volume[0]))


@pytest.mark.parametrize("beside_itself", [False, True])
def test_a_resampled_live_feed_ends_its_bars_by_the_bars_that_come(beside_itself):
    """Also after cycles in which nothing came: the machine's clock is years away from this market's."""
    board = board_of("A", history=3)
    log: list[Any] = []

    def closing_at(number: int) -> Any:
        return lambda: board.put_step([("A", bar("A", number, 100.0 + number))])

    board.hub.script = [closing_at(4), lambda: None, closing_at(5), lambda: None, lambda: None, closing_at(6)]
    cerebro = bt.Cerebro(stdstats=False)
    hours = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
    feed = CountingFeed(board=board, key="A", leader=True, name="A", **hours)
    if beside_itself:
        cerebro.adddata(feed)
    cerebro.resampledata(feed, timeframe=bt.TimeFrame.Minutes, compression=120)
    cerebro.addstrategy(Bars, log=log)
    cerebro.run()
    longer = [row[1:] for row in log if row[0] == int(beside_itself)]
    assert longer == [(2.0, 100.0, 100.0, 20.0), (4.0, 100.0, 104.0, 20.0), (6.0, 105.0, 106.0, 20.0)]
    if beside_itself:
        assert [row[1] for row in log if row[0] == 0] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
