from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.funding import FundingSchedule
from brokers.simulated.store import ExchangeStore, StoreError
from ccxt_bt_bridge.words import NotPlaced, Placed
from tests.brokers.markets import Session, bars, flat, hours, market_order, open_exchange, source
from tests.virtual_time import run_virtual

D = Decimal
PRICES = [(100 + at, 101 + at) for at in range(30)]
MARKET = source(bars("A", PRICES[:8] + [None] * 3 + PRICES[11:]), bars("B", PRICES))
TERMS = {
    "funding": {symbol: FundingSchedule(None, D("0.0001")) for symbol in "AB"},
    "slippage_bps": D(3),
    "faults": [{"kind": "partial_fill", "at": 3}, {"kind": "reject", "at": 5}],
}
ORDERS = {
    hours(2): [market_order("in", "A", "7")],
    hours(4): [market_order("short", "B", "-5")],
    hours(9): [market_order("part", "B", "-2"), market_order("rest", "A", "-3")],
    hours(15): [market_order("no", "B", "1"), market_order("again", "A", "2")],
    hours(20): [market_order("out", "A", "-99", reduce_only=True)],
}


async def state(exchange) -> tuple:
    account = await exchange.account()
    return (
        account.wallet,
        account.positions,
        await exchange.fills(since_ms=0),
        await exchange.funding(since_ms=0),
        await exchange.open_orders(),
        exchange.market_ms,
        await exchange.history("A", limit=5),
    )


async def until(exchange, stop_ms: int) -> None:
    """Play ORDERS up to and with ``stop_ms``, then die without a goodbye."""
    session, incoming = Session(exchange), exchange.bars()
    task = asyncio.create_task(exchange.run_market())
    await session._send(ORDERS.get(exchange.market_ms, []))
    async for closed in incoming:
        await session._send(ORDERS.get(closed[0].time_ms, []))
        if closed[0].time_ms == stop_ms:
            break
    task.cancel()


def in_one_go() -> tuple:
    async def main():
        exchange = open_exchange(MARKET, **TERMS)
        await Session(exchange).play(ORDERS)
        seen = await state(exchange)
        exchange.close()
        return seen

    return run_virtual(main())


@pytest.fixture(scope="module")
def undisturbed() -> tuple:
    return in_one_go()


@pytest.mark.parametrize("stop", range(2, 30))
def test_a_run_killed_at_any_moment_goes_on_as_if_nothing_had_happened(tmp_path, undisturbed, stop):
    path = tmp_path / "exchange.db"

    async def first_life():
        exchange = open_exchange(MARKET, path, **TERMS)
        await until(exchange, hours(stop))
        seen = await state(exchange)
        exchange.close()
        return seen

    async def second_life():
        exchange = open_exchange(MARKET, path, **TERMS)
        reopened = await state(exchange)
        later = {when: orders for when, orders in ORDERS.items() if when > hours(stop)}
        await Session(exchange).play(later)
        end = await state(exchange)
        exchange.close()
        return reopened, end, exchange.run

    before = run_virtual(first_life())
    after, end, run = run_virtual(second_life())
    assert before == after and end == undisturbed and run == 1


def test_what_was_answered_survives_even_sigkill(tmp_path):
    path = tmp_path / "exchange.db"
    root = Path(__file__).resolve().parents[2]
    script = f"""
import asyncio, os, signal, sys
sys.path[:0] = [{str(root / "src")!r}, {str(root)!r}]
from pathlib import Path
from tests.brokers.markets import flat, market_order, open_exchange, source
async def main():
    exchange = open_exchange(source(flat("A", 5)), Path({str(path)!r}))
    await exchange.create_order(market_order("b", "A", "2"))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == -9

    async def second_life():
        exchange = open_exchange(source(flat("A", 5)), path)
        account, fills = await exchange.account(), await exchange.fills(since_ms=0)
        exchange.close()
        return account.amount("A"), [fill.client_order_id for fill in fills]

    assert run_virtual(second_life()) == (2, ["b"])


def whole_run(path: Path, **terms) -> tuple[int, Decimal, str]:
    async def main():
        exchange = open_exchange(source(flat("A", 5)), path, **terms)
        session = await Session(exchange).play({hours(2): [market_order("b", "A", "1")]})
        outcome = session.outcomes["b"]
        answer = exchange.run, (await exchange.account()).wallet, outcome.report.order_id
        exchange.close()
        return answer

    return run_virtual(main())


def test_a_market_that_ended_makes_the_next_start_a_new_run_with_a_fresh_account(tmp_path):
    path = tmp_path / "exchange.db"
    first, second = whole_run(path), whole_run(path)
    assert first == (1, D("9999.95"), "1")
    assert second == (2, D("9999.95"), "2")  # the account is new, an order id is never given twice


def test_an_unfinished_run_of_another_market_is_refused_a_finished_one_is_not(tmp_path):
    path = tmp_path / "exchange.db"

    async def leave_unfinished():
        open_exchange(source(flat("A", 5)), path, fingerprint="seed 7").close()

    run_virtual(leave_unfinished())
    with pytest.raises(StoreError, match="another market .seed 7.; wanted seed 8"):
        ExchangeStore(path, fingerprint="seed 8")
    assert whole_run(path, fingerprint="seed 7")[0] == 1
    assert whole_run(path, fingerprint="seed 8")[0] == 2


def test_a_resumed_run_keeps_its_own_initial_balance(tmp_path):
    path = tmp_path / "exchange.db"

    async def open_with(balance: int):
        exchange = open_exchange(source(flat("A", 5)), path, initial_balance=D(balance))
        wallet = (await exchange.account()).wallet
        exchange.close()
        return wallet

    assert [run_virtual(open_with(balance)) for balance in (500, 900)] == [500, 500]


def test_a_fault_does_not_strike_again_after_a_restart(tmp_path):
    path = tmp_path / "exchange.db"

    async def send(client_id: str):
        exchange = open_exchange(source(flat("A", 5)), path, faults=[{"kind": "reject", "at": 2}])
        outcome = await exchange.create_order(market_order(client_id, "A", "1"))
        exchange.close()
        return type(outcome)

    assert [run_virtual(send(name)) for name in "abc"] == [Placed, NotPlaced, Placed]


def test_a_newer_file_and_a_file_of_something_else_are_refused(tmp_path):
    newer, other = tmp_path / "newer.db", tmp_path / "other.db"
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    other.write_text("timestamp,open\n" * 100)
    with pytest.raises(StoreError, match="version 99.*update"):
        ExchangeStore(newer, fingerprint="m")
    with pytest.raises(StoreError, match="no exchange file"):
        ExchangeStore(other, fingerprint="m")


def test_a_file_of_the_first_version_is_brought_forward(tmp_path):
    path = tmp_path / "exchange.db"
    later = {"orders": ("type", "price", "trigger_price", "time_in_force", "is_triggered", "created_ms"),
             "fills": ("base_fee", "is_maker")}  # fmt: skip

    async def life(client_id: str):
        exchange = open_exchange(source(flat("A", 5)), path)
        await exchange.create_order(market_order(client_id, "A", "1"))
        told = exchange.venue.orders.latest("A", "old").request.type, await exchange.fills(since_ms=0)
        exchange.close()
        return told

    run_virtual(life("old"))
    with sqlite3.connect(path) as connection:
        for table, columns in later.items():
            for column in columns:
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("DROP TABLE balances")
        connection.execute("DROP TABLE settings")
        connection.execute("PRAGMA user_version=1")
    connection.close()
    kind, fills = run_virtual(life("new"))
    assert kind == "market" and [(one.client_order_id, one.base_fee) for one in fills] == [("old", 0), ("new", 0)]


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    store = ExchangeStore(tmp_path / "exchange.db", fingerprint="m")
    store.begin(market_ms=hours(1), initial=D(100))
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.save_market_time(hours(2), ended=False)
        raise ZeroDivisionError
    assert store.market_ms == hours(1)
    with pytest.raises(StoreError, match="outside a transaction"):
        store.save_market_time(hours(2), ended=False)
    store.close()
    store.close()


def test_a_finished_store_has_nothing_to_load(tmp_path):
    store = ExchangeStore(None, fingerprint="m")
    with pytest.raises(StoreError, match="no unfinished run"):
        store.load()
    store.close()
