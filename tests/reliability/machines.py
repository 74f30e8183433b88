"""Models that hypothesis plays against the real thing, step by step: ledger, life of orders, and the guard's."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ccxt_bt_bridge.clock import LoopClock
from pairs.words import Pair
from tests.brokers.markets import T0
from tests.reliability.conftest import MEMORY
from tests.reliability.scripted_port import ScriptedPort
from tests.tasks import end_all
from tests.trading.execution.engine_rig import (
    ACCOUNT,
    CrashPlan,
    MortalJournal,
    booked_trades,
    entry_order,
    fast_files,
)
from tests.trading.risk.risk_machine import RiskMachine
from tests.virtual_time import VirtualLoop
from trading.events import EventBus
from trading.execution.leg_orders import LegOrders, LegSend
from trading.execution.pair_ledger import PairLedger

D = Decimal
STEPS = 50
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
PAIRS = {"A_B": Pair("A_B", "A", "B"), "C_A": Pair("C_A", "C", "A")}
AMOUNTS = st.decimals(min_value="0.001", max_value="9", places=3)
PRICES = st.decimals(min_value="0.01", max_value="900", places=2)
FEES = st.decimals(min_value="-1", max_value="1", places=8)
SHARES = st.decimals(min_value="0.01", max_value="1", places=2)


def run(machine: type[RuleBasedStateMachine], *, examples: int) -> None:
    """The same examples each time."""
    terms = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=terms)


class LedgerMachine(RuleBasedStateMachine):
    """Pairs that share a symbol; the model counts amounts and cash, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = PairLedger(D(10_000), PAIRS)
        self.held: Counter[tuple[str, str]] = Counter()
        self.cash: Counter[str] = Counter()
        self.told: dict[str, list[tuple]] = {}
        self.realised = D(0)
        self.entry_sign: dict[str, int] = {}
        self.hours = 0

    @rule(pair=st.sampled_from(sorted(PAIRS)), is_long=st.booleans())
    def begin(self, pair: str, is_long: bool) -> None:
        if pair not in self.told:
            self.hours += 1
            first, hedge = PAIRS[pair].symbols
            legs = {first: D(2 if is_long else -2), hedge: D(-4 if is_long else 4)}
            self.ledger.begin(entry_order(pair, legs, NOON + timedelta(hours=self.hours)))
            self.told[pair], self.cash[pair] = [], D(0)
            self.entry_sign[pair] = 1 if is_long else -1

    @precondition(lambda self: self.told)
    @rule(data=st.data(), amount=AMOUNTS, sign=st.sampled_from([1, -1]), price=PRICES, fee=FEES)
    def trade(self, data: st.DataObject, amount: Decimal, sign: int, price: Decimal, fee: Decimal) -> None:
        pair = data.draw(st.sampled_from(sorted(self.told)))
        symbol = data.draw(st.sampled_from(sorted(PAIRS[pair].symbols)))
        if not self.told[pair]:
            sign = self.entry_sign[pair] * (1 if symbol == PAIRS[pair].symbols[0] else -1)  # a pair begins by entering
        self._fill(pair, symbol, amount * sign, price, fee)

    @precondition(lambda self: +self.held or -self.held)
    @rule(data=st.data(), amount=FEES)
    def fund(self, data: st.DataObject, amount: Decimal) -> None:
        """Who holds something is charged for it."""
        pair, symbol = data.draw(st.sampled_from(sorted(key for key, held in self.held.items() if held)))
        self.ledger.apply_funding(pair, symbol, amount)
        self.told[pair].append((symbol, amount))
        self.cash[pair] += amount

    @precondition(lambda self: self.told)
    @rule(data=st.data(), price=PRICES)
    def leave(self, data: st.DataObject, price: Decimal) -> None:
        pair = data.draw(st.sampled_from(sorted(self.told)))
        self.ledger.begin_exit(pair, when=NOON + timedelta(days=9), zscore=0.0, reason="reversion")
        for symbol in PAIRS[pair].symbols:
            if self.held[pair, symbol]:
                self._fill(pair, symbol, -self.held[pair, symbol], price, D("0.1"))
        trade = self.ledger.finish(pair)
        gained = self.cash.pop(pair)
        del self.told[pair]
        assert (D(0) if trade is None else trade.pnl) == gained
        assert trade is None or trade.pnl == sum(leg.pnl_price + leg.fees + leg.funding for leg in trade.legs)
        self.realised += gained

    @precondition(lambda self: self.told)
    @rule()
    def restart(self) -> None:
        """A new process is told the same: it has the same."""
        again = PairLedger(D(10_000), PAIRS)
        again.restore_trades(self.ledger.trades, D(0))
        for pair, told in self.told.items():
            position = self.ledger.position(pair)
            assert position is not None
            again.restore(position, legging_cost=D(0))
            for symbol, *rest in told:
                if len(rest) == 1:
                    again.apply_funding(pair, symbol, rest[0])
                else:
                    amount, price, fee = rest
                    again.apply_fill(pair, symbol, amount, price, fee=fee, reference_price=price)
        assert again.positions() == self.ledger.positions()
        assert again.equity({}) == self.ledger.equity({})
        self.ledger = again

    def _fill(self, pair: str, symbol: str, amount: Decimal, price: Decimal, fee: Decimal) -> None:
        self.ledger.apply_fill(pair, symbol, amount, price, fee=fee, reference_price=price)
        self.told[pair].append((symbol, amount, price, fee))
        self.held[pair, symbol] += amount
        self.cash[pair] -= amount * price + fee

    @invariant()
    def amounts_are_those_of_the_model(self) -> None:
        for pair in self.told:
            for symbol in PAIRS[pair].symbols:
                assert self.ledger.quantity(pair, symbol) == self.held[pair, symbol]
        for symbol in ("A", "B", "C"):
            assert self.ledger.net(symbol) == sum(self.held[pair, symbol] for pair in PAIRS)

    @invariant()
    def cash_is_exact(self) -> None:
        closed = sum((trade.pnl for trade in self.ledger.trades), D(0))
        assert closed == self.realised
        for record in self.ledger.open_records({symbol: 0.0 for symbol in "ABC"}):
            assert record.unrealised == self.cash[record.pair_id]


class OrderMachine(RuleBasedStateMachine):
    """Orders against an exchange that answers, tells, falls silent and trades as it likes; the process dies as well."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self._files = fast_files()
        self._files.__enter__()
        self.loop = VirtualLoop()
        self.port = ScriptedPort()
        self.sending: list[asyncio.Task] = []
        self.booked: Counter[str] = Counter()
        self._lives = 0
        self._begin_life()

    def _begin_life(self) -> None:
        self._lives += 1
        nonce = f"life{self._lives:02d}"  # a drawn one would sort the orders' ids anew in each replay of an example
        self.journal = MortalJournal.open(Path(self._folder.name) / "orders.sqlite", nonce=lambda: nonce, **ACCOUNT)
        self.journal.hurry()
        if self.journal.resume_run() is None:
            self.journal.start_run(started=NOON, config_sha256="0", code_version="0")
        self.journal.crash = self.crash = self.loop.run_until_complete(_crash_plan())
        self.orders = LegOrders(self.port, self.journal, LoopClock(self.loop.time, T0), EventBus(), bot_id="machine")
        self.orders.on_fill = lambda send, fill: self.booked.update([fill.trade_id])

    def _pass(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @rule(
        amount=AMOUNTS,
        sign=st.sampled_from([1, -1]),
        answer=st.sampled_from(["placed", "refused", "lost"]),
        takes=st.booleans(),
        timeout_s=st.sampled_from([None, 5.0]),
    )
    def send(self, amount: Decimal, sign: int, answer: str, takes: bool, timeout_s: float | None) -> None:
        self.port.answer, self.port.takes = answer, takes
        one = LegSend("A_B", "ref", "enter", 0, "A", amount * sign, False, D(100), timeout_s)
        self.sending.append(self.loop.create_task(self.orders.send(one)))
        self._pass(0.0)

    @precondition(lambda self: self._open())
    @rule(data=st.data(), share=SHARES, tells=st.sampled_from(["fill", "report", "both", "twice", "nothing"]))
    def trade(self, data: st.DataObject, share: Decimal, tells: str) -> None:
        order = self.port.taken[data.draw(st.sampled_from(self._open()))]
        fill = self.port.trade(order, share)
        for what in {"both": ("fill", "report"), "twice": ("report", "fill", "fill")}.get(tells, (tells,)):
            if what == "fill":
                self.orders.book(fill)
            elif what == "report":
                self.orders.take_report(order.report())
        self._pass(0.0)

    @rule(is_deaf=st.booleans())
    def listen(self, is_deaf: bool) -> None:
        self.port.is_deaf = is_deaf

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self._pass(seconds)

    @rule()
    def die(self) -> None:
        """And begin anew: what was under way is resumed."""
        self.crash.died.set()
        self.loop.run_until_complete(end_all(self.sending))
        self.journal.die()
        self._begin_life()
        self.booked = Counter(booked_trades(self.journal))
        self.sending = [self.loop.create_task(self.orders.resume(self.journal.unresolved_intents()))]
        self._pass(0.0)

    def _open(self) -> list[str]:
        return sorted(one for one, order in self.port.taken.items() if not order.status.is_done)

    @invariant()
    def nothing_is_sent_twice_and_nothing_booked_twice(self) -> None:
        assert len(set(self.port.sent)) == len(self.port.sent)
        assert all(times == 1 for times in self.booked.values())
        assert set(self.booked) <= {fill.trade_id for order in self.port.taken.values() for fill in order.fills}

    def teardown(self) -> None:
        """Once the exchange answers and every order has ended, every task ends and every fill is booked."""
        try:
            self.port.is_deaf = False
            for one in self._open():
                self.port.trade(self.port.taken[one], D(1))
            self._pass(300.0)
            assert all(task.done() for task in self.sending)
            for task in self.sending:
                task.result()
            assert not self.journal.unresolved_intents()
            traded = {fill.trade_id for order in self.port.taken.values() for fill in order.fills}
            assert set(self.booked) == set(booked_trades(self.journal)) == traded
        finally:
            self.loop.run_until_complete(end_all(self.sending))
            self.journal.close()
            self.loop.close()
            self._files.__exit__(None, None, None)
            self._folder.cleanup()


async def _crash_plan() -> CrashPlan:
    return CrashPlan()


MACHINES = (LedgerMachine, OrderMachine, RiskMachine)
