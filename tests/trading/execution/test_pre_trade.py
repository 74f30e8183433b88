"""What is refused before the first leg, so that no second one is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.words import Account
from pairs.words import Pair, PairState
from tests.brokers.markets import market_order
from tests.trading.execution.engine_rig import RULES, Rig, fast_files, open_world, rule, start_rig
from tests.trading.plays import play
from tests.virtual_time import run_virtual
from trading.events import EntryRefused
from trading.execution.settings import ExecutionSettings
from trading.execution.wire_guard import WireLimits

D = Decimal


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast_files():
        yield


def refused(folder, prepare=lambda rig: None, *, legs=None, **terms) -> tuple[str, ...]:
    """Why an entry was refused, empty when it was not; nothing was sent then."""

    async def script(rig: Rig) -> None:
        prepare(rig)
        await rig.engine.execute(rig.enter(**({"legs": legs} if legs else {})))

    rig = play(folder, script, **terms)
    told = rig.of(EntryRefused)
    assert bool(told) == (not rig.port.sent)
    assert bool(told) == (rig.state() is PairState.FLAT)
    assert not told or rig.guard.gross_exposure == 0.0
    return told[0].reasons if told else ()


async def leave(rig: Rig) -> None:
    await rig.engine.execute(rig.leave())
    rig.guard.release("A_B")  # as the next bar does


def account_of(rig: Rig, free: str | None) -> None:
    """The exchange answers with so much that is free, None: it does not say."""

    async def account() -> Account:
        return Account(rig.world.clock.now_ms(), D(10_000), (), None if free is None else D(free))

    rig.port.account = account


# sizes


@pytest.mark.parametrize(
    ("legs", "reasons"),
    [
        ({"A": D("2.0005"), "B": D(-4)}, ("off_step:A",)),
        ({"A": D(2), "B": D("NaN")}, ("equity_unknown", "max_leverage", "initial_margin")),
        ({"A": D("0.01"), "B": D("-0.01")}, ("below_minimum:A", "below_minimum:B")),
        ({"A": D("0.2"), "B": D("-0.18")}, ("part_below_minimum:B",)),
        ({"A": D("0.2"), "B": D("-0.2")}, ()),
    ],
)
def test_both_legs_and_the_hedge_of_a_part_are_what_the_venue_takes(legs, reasons, tmp_path):
    """B at 50: half of 0.18 is worth 4.5, the venue takes 5."""
    assert refused(tmp_path, legs=legs) == reasons


def test_a_single_symbol_needs_no_hedge(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter("A", {"A": D("0.06")}, statistics=None))

    assert play(tmp_path, script, pairs=(Pair("A", "A", None),)).of(EntryRefused) == []


def test_too_many_slices_are_refused_instead_of_larger_ones_sent(tmp_path):
    sliced = ExecutionSettings(slice_notional=40.0, slice_pause_s=0.0, max_slices=9)
    (tmp_path / "more").mkdir()
    assert refused(tmp_path, settings=sliced) == ("too_many_slices",)
    assert refused(tmp_path / "more", settings=replace(sliced, max_slices=10)) == ()


def test_a_symbol_that_is_listed_and_does_not_trade_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(RULES, "B", replace(rule("B"), is_open=False))
    assert refused(tmp_path) == ("not_trading:B",)


def test_what_lies_in_a_spot_wallet_is_not_sold_as_a_short(tmp_path):
    """B is there, but not the bot's."""
    rules = {name: replace(rule, kind="spot", base=name, quote="USDT") for name, rule in RULES.items()}

    async def main() -> Rig:
        world = open_world(tmp_path, markets=rules)
        try:
            await world.exchange.create_order(market_order("owner-buys", "B", "10"))
            rig = start_rig(world, rules=rules)
            assert await rig.recover() == ()
            await rig.engine.execute(rig.enter())
            await rig.stop()
            return rig
        finally:
            world.close()

    rig = run_virtual(main())
    assert [event.reasons for event in rig.of(EntryRefused)] == [("spot_cannot_be_sold_short:B",)]
    assert rig.port.sent == [] and rig.state() is PairState.FLAT


# money


@pytest.mark.parametrize(
    ("free", "reasons"), [("200.19", ("insufficient_funds",)), ("200.2", ()), (None, ("account_unknown",))]
)
def test_margin_and_fees_of_both_legs_must_be_free(free, reasons, tmp_path):
    """400 of notional at a leverage of 2, and 0.05 % for the fees."""
    settings = ExecutionSettings(leverage=2.0)
    assert refused(tmp_path, lambda rig: account_of(rig, free), settings=settings) == reasons


def test_an_account_that_cannot_be_read_carries_nothing(tmp_path):
    def cut(rig: Rig) -> None:
        async def account() -> Account:
            raise ExchangeUnreachable("no answer")

        rig.port.account = account

    assert refused(tmp_path, cut) == ("account_unknown",)


def test_an_account_that_takes_for_ever_is_not_waited_for(tmp_path):
    def stall(rig: Rig) -> None:
        async def account() -> Account:
            await asyncio.sleep(60)
            raise ExchangeUnreachable("too late")

        rig.port.account = account

    assert refused(tmp_path, stall) == ("account_unknown",)


def test_entries_at_one_moment_share_what_is_free_and_one_question(tmp_path):
    asked = []
    pairs = tuple(Pair(f"P{n}", "A", "B") for n in range(3))

    async def script(rig: Rig) -> None:
        async def account() -> Account:
            asked.append(rig.world.clock.now_ms())
            return Account(rig.world.clock.now_ms(), D(10_000), (), D(900))

        rig.port.account = account
        await asyncio.gather(*(rig.engine.execute(rig.enter(pair.pair_id)) for pair in pairs))

    rig = play(tmp_path, script, pairs=pairs)
    assert len(asked) == 1
    assert [(event.order.pair_id, event.reasons) for event in rig.of(EntryRefused)] == [("P2", ("insufficient_funds",))]


def test_what_an_entry_took_is_not_taken_twice_and_what_it_gave_back_is_free_again(tmp_path):
    async def script(rig: Rig) -> None:
        account_of(rig, "500")
        await rig.engine.execute(rig.enter())  # refused by the exchange: nothing filled
        await rig.engine.execute(rig.enter())
        await leave(rig)
        await rig.engine.execute(rig.enter())  # by the account as it was read: what was entered is still gone
        await asyncio.sleep(11)
        await rig.engine.execute(rig.enter())

    faults = [{"kind": "reject", "on": "create_order", "symbol": "A", "at": 1}]
    rig = play(tmp_path, script, faults=faults)
    assert [event.reasons for event in rig.of(EntryRefused)] == [("insufficient_funds",)]
    assert rig.state() is PairState.OPEN


# the venue


def test_a_doubtful_venue_is_entered_nowhere_and_left_everywhere(tmp_path):
    doubts: list[str] = []

    async def script(rig: Rig) -> None:
        rig.engine._entering._checks._doubts = lambda: tuple(doubts)
        await rig.engine.execute(rig.enter())
        doubts.append("clock_offset")
        await leave(rig)
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script)
    assert [event.reasons for event in rig.of(EntryRefused)] == [("clock_offset",)]
    assert len(rig.ledger.trades) == 1


def test_without_room_for_four_orders_nothing_is_begun(tmp_path):
    async def script(rig: Rig) -> None:
        for _ in range(3):
            await rig.engine.execute(rig.enter())
            if rig.state() is PairState.OPEN:
                await leave(rig)

    rig = play(tmp_path, script, wire=WireLimits(max_orders_per_minute=8))
    assert [event.reasons for event in rig.of(EntryRefused)] == [("order_rate",)] * 2
    assert rig.guard.state.breaker == "closed", "politely, before the last counter trips"


def test_a_breaker_that_trips_during_the_checks_is_heeded(tmp_path):
    def trip(rig: Rig) -> None:
        async def account() -> Account:
            rig.guard.halt("test", rig.now)
            return Account(rig.world.clock.now_ms(), D(10_000), (), D(10_000))

        rig.port.account = account

    assert refused(tmp_path, trip) == ("breaker_halted:test",)
