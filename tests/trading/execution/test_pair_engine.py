from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.words import NotPlaced
from pairs.words import Pair, PairState
from tests.brokers.markets import bars, hours, source
from tests.trading.execution.engine_rig import (
    ENTRY,
    RULES,
    Rig,
    fast_files,
    is_hedged_or_flat,
)
from tests.trading.journal.journal_samples import cannot_look_at
from tests.trading.plays import SHARING, answer_late, play, round_trip, run_market, shared_market
from trading.events import Alarm, EntryRefused, OrderFailed, OrderFinished, PairClosed, PairOpened
from trading.execution.settings import ExecutionSettings
from trading.risk_guard import Breaker

D = Decimal
FAULTS = ("reject", "timeout_before_execution", "timeout_after_execution", "partial_fill")


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast_files():
        yield


def fault(kind: str, symbol: str, at: int = 1, **more) -> dict:
    return {"kind": kind, "on": "create_order", "symbol": symbol, "at": at} | more


def share_of(kind: str) -> dict:
    """60 % where the kind fills a part."""
    return {"fill_ratio": 0.6} if kind == "partial_fill" else {}


# the normal way


def test_an_entry_and_an_exit_take_one_order_a_leg(tmp_path):
    rig = play(tmp_path, round_trip)
    assert [(one.symbol, one.signed_amount, one.reduce_only) for one in rig.port.sent] == [
        ("A", D(2), False), ("B", D(-4), False), ("A", D(-2), True), ("B", D(4), True),
    ]  # fmt: skip
    (opened,), (closed,) = rig.of(PairOpened), rig.of(PairClosed)
    assert opened.position.state is PairState.OPEN
    assert closed.trade == rig.ledger.trades[0]
    assert closed.order.reason == closed.trade.exit_reason == "reversion"
    assert rig.state() is PairState.FLAT
    assert rig.guard.breaker is Breaker.CLOSED
    assert rig.alarms == []


def test_the_less_liquid_leg_goes_first_both_ways(tmp_path):
    async def script(rig: Rig) -> None:
        rig.engine.note_liquidity("A", 5e6)
        rig.engine.note_liquidity("B", 1e6)
        await round_trip(rig)

    assert [one.symbol for one in play(tmp_path, script).port.sent] == ["B", "A", "B", "A"]


def test_liquidity_that_turns_between_the_legs_does_not_bare_one(tmp_path):
    """The hedge is sized by the leg that filled, whichever is the less liquid by then."""

    async def script(rig: Rig) -> None:
        rig.engine.note_liquidity("A", 5e6)
        rig.engine.note_liquidity("B", 1e6)
        rig.port.before = lambda request: rig.engine.note_liquidity("B", 9e6)
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script)
    assert rig.state() is PairState.OPEN
    assert {symbol: rig.ledger.quantity("A_B", symbol) for symbol in ENTRY} == ENTRY


def test_state_and_intent_are_in_the_journal_before_each_send(tmp_path):
    seen: list[tuple[str, str, str]] = []

    async def script(rig: Rig) -> None:
        def look(request) -> None:
            state = rig.journal.positions()["A_B"].state.value
            (intent,) = [one for one in rig.journal.unresolved_intents()]
            assert intent.client_order_id == request.client_order_id
            seen.append((request.symbol, state, intent.action))

        rig.port.before = look
        await round_trip(rig)

    play(tmp_path, script)
    assert seen == [
        ("A", "entering", "enter"), ("B", "hedging", "enter"), ("A", "exiting", "exit"), ("B", "exiting", "exit"),
    ]  # fmt: skip


def test_latency_passes_on_the_injected_clock(tmp_path):
    rig = play(tmp_path, round_trip, terms={"latency_ms": 200})
    assert [event.latency_ms for event in rig.of(OrderFinished)] == [200] * 4


def test_slippage_counts_from_the_decisions_close(tmp_path):
    rig = play(tmp_path, round_trip, terms={"slippage_bps": D(100)})
    first = rig.ledger.trades[0].legs[0]
    bought, sold = first.entry_price, first.exit_price
    assert first.slippage == D(2) * (100 - bought) + D(2) * (sold - D(repr(float(bought))))


def test_a_single_leg_order_is_whole_with_its_one_leg(tmp_path):
    single = Pair("A", "A", None)

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter("A", {"A": D(2)}, statistics=None))
        await rig.engine.execute(rig.leave("A", "take_profit"))

    rig = play(tmp_path, script, pairs=(single,))
    assert [leg.symbol for leg in rig.ledger.trades[0].legs] == ["A"]


# every fault kind on every leg


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("leg", ["A", "B"])
def test_one_fault_at_entry_leaves_the_pair_whole_or_flat(kind, leg, tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script, faults=[fault(kind, leg, **share_of(kind))])
    gave_up = leg == "A" and kind in ("reject", "timeout_before_execution")
    assert rig.state() is (PairState.FLAT if gave_up else PairState.OPEN)
    assert is_hedged_or_flat(rig)
    assert len(rig.of(OrderFailed)) == gave_up
    share = D("0.6") if (kind, leg) == ("partial_fill", "A") else D(1)
    assert gave_up or rig.ledger.quantity("A_B", "A") == 2 * share
    assert gave_up or rig.ledger.quantity("A_B", "B") == -4 * share


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("leg", ["A", "B"])
def test_one_fault_at_exit_still_ends_flat(kind, leg, tmp_path):
    rig = play(tmp_path, round_trip, faults=[fault(kind, leg, at=2, **share_of(kind))])
    assert rig.state() is PairState.FLAT
    assert len(rig.ledger.trades) == 1
    retried = kind != "timeout_after_execution"
    assert len(rig.port.sent) == 4 + retried
    assert all(request.reduce_only for request in rig.port.sent[2:])


@pytest.mark.parametrize(("first", "second"), list(itertools.product(FAULTS, FAULTS)))
def test_faults_on_both_legs_of_both_ways_leave_the_pair_whole_or_flat(first, second, tmp_path):
    faults = [fault(first, "A"), fault(second, "B"), fault(second, "A", at=2), fault(first, "B", at=2)]
    rig = play(tmp_path, round_trip, faults=faults)
    assert rig.state() is PairState.FLAT
    assert is_hedged_or_flat(rig)


# partial fills


def test_enough_of_the_first_leg_is_hedged_as_far_as_it_filled(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script, faults=[fault("partial_fill", "A", fill_ratio=0.6)])
    assert rig.state() is PairState.OPEN
    assert (rig.world.held("A"), rig.world.held("B")) == (D("1.2"), D("-2.4"))


def test_too_little_of_the_first_leg_is_unwound_and_told(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script, faults=[fault("partial_fill", "A", fill_ratio=0.4)])
    assert rig.state() is PairState.FLAT
    assert [one.symbol for one in rig.port.sent] == ["A", "A"]
    assert rig.port.sent[1].reduce_only
    (trade,) = rig.ledger.trades
    assert trade.exit_reason == "unwound:partial_fill:0.40"
    (failed,) = rig.of(OrderFailed)
    assert failed.reason == "unwound:partial_fill:0.40", "the strategy's order must come to its end"
    assert rig.alarms == ["A_B is unwound: partial_fill:0.40"]
    assert rig.guard.gross_exposure == 0.0, "or the pair could never be entered again"
    sold = trade.legs[0]
    bought, left = D("0.8") * (sold.entry_price - 100), D("0.8") * (101 - sold.exit_price)
    assert sold.slippage == -bought - left, "an unwind slips from the price at the time, not from the entry's"


def test_min_fill_ratio_is_the_configs(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    faults = [fault("partial_fill", "A", fill_ratio=0.4)]
    assert (
        play(tmp_path, script, faults=faults, settings=ExecutionSettings(min_fill_ratio=0.4)).state() is PairState.OPEN
    )


def test_a_hedge_that_fills_in_parts_is_topped_up(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script, faults=[fault("partial_fill", "B", times=2)])
    assert [one.signed_amount for one in rig.port.sent] == [D(2), D(-4), D(-2), D(-1)]
    assert rig.state() is PairState.OPEN


@pytest.mark.parametrize("leg", ["A", "B"])
def test_what_the_exchange_fills_beyond_the_order_is_hedged_or_given_back(leg, tmp_path):
    async def script(rig: Rig) -> None:
        rig.engine.note_liquidity("A", 2e6)
        rig.engine.note_liquidity("B", 1e6)
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script, faults=[fault("overfill", leg, factor=1.25)])
    assert rig.state() is PairState.OPEN
    assert is_hedged_or_flat(rig)
    assert rig.ledger.quantity("A_B", "A") == (D("2.5") if leg == "B" else D(2))


def test_a_hedge_that_cannot_be_had_unwinds_both_legs(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script, faults=[fault("partial_fill", "B", times=3)])
    assert [one.signed_amount for one in rig.port.sent[4:]] == [D(-2), D("3.5")]
    assert rig.state() is PairState.FLAT
    assert rig.ledger.trades[0].exit_reason == "unwound:hedge_failed"
    assert [event.reason for event in rig.of(OrderFailed)] == ["unwound:hedge_failed"]


def test_a_rest_of_the_hedge_too_small_to_be_ordered_does_not_pass_for_a_hedge(tmp_path):
    """Half a hedge of 8 quote units is missing, under the venue's minimum of 5: unwound, not called open."""
    legs = {"A": D("0.08"), "B": D("-0.16")}

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter(legs=legs))

    settings = ExecutionSettings(min_fill_ratio=0.7)  # of which the venue would still take the hedge
    rig = play(tmp_path, script, faults=[fault("partial_fill", "B")], settings=settings)
    assert rig.port.sent[1].symbol == "B"
    assert rig.state() is PairState.FLAT
    assert rig.world.held("A") == rig.world.held("B") == 0


def test_a_close_that_never_succeeds_halts_and_calls_for_a_person(tmp_path):
    async def script(rig: Rig) -> None:
        await round_trip(rig)
        await rig.engine.execute(replace(rig.enter(), pair_id="A_B2"))

    rig = play(tmp_path, script, faults=[fault("reject", "B", at=2, times=999)])
    assert rig.state() is PairState.HALTED
    assert (rig.guard.breaker, rig.guard.state.breaker_reason) == (Breaker.HALTED, "cannot_close:A_B")
    assert rig.alarms == [
        "A_B has had one leg without its hedge for 30 s; it is being mended",
        "A_B could not be closed (reversion); close it by hand",
    ]
    assert rig.of(EntryRefused)[0].reasons == ("breaker_halted:cannot_close:A_B",)
    assert (rig.world.held("A"), rig.world.held("B")) == (0, -4)


# markets that do not trade

HOLE = source(
    bars("A", [(100, 100)] * 12),
    bars("B", [(50, 50)] * 3 + [None, None] + [(50, 50)] * 7),
)


def test_nothing_is_entered_while_a_leg_does_not_trade(tmp_path):
    async def script(rig: Rig) -> None:
        await run_market(rig, 3.5)
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script, market=HOLE)
    assert rig.of(EntryRefused)[0].reasons == ("no_quote:B",)
    assert rig.port.sent == []
    assert rig.guard.gross_exposure == 0.0, "the reservation is given back"
    assert rig.guard.state.trades_today == 0


def test_an_exit_waits_until_both_legs_trade(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await run_market(rig, 3.5)
        leaving = asyncio.ensure_future(rig.engine.execute(rig.leave()))
        await rig.world.clock.sleep_until(hours(4.9))
        assert len(rig.port.sent) == 2
        assert rig.journal.positions()["A_B"].state is PairState.EXITING
        await leaving
        assert rig.world.clock.now_ms() - hours(5) <= 30_000

    assert play(tmp_path, script, market=HOLE).state() is PairState.FLAT


@pytest.mark.parametrize("reason", ["stop_loss", "reversion"])
@pytest.mark.parametrize("answers", ["late", "an error"])
def test_a_stop_waits_for_a_halted_market_and_not_for_one_that_says_nothing(tmp_path, answers, reason):
    """An exit that has time waits for both."""

    async def failing(symbol: str):
        raise ExchangeUnreachable("the quotes: -1001 DISCONNECTED")

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        if answers == "late":
            answer_late(rig, "B", 86_400.0)
        else:
            rig.port.quote = failing
        leaving = asyncio.ensure_future(rig.engine.execute(rig.leave(reason=reason)))
        await asyncio.sleep(60.0)
        assert leaving.done() is (reason == "stop_loss")
        if not leaving.done():
            assert rig.engine.waiting == {"A_B"} and len(rig.port.sent) == 2
            await rig.engine.execute(rig.leave(reason="stop_loss"))
        await leaving

    rig = play(tmp_path, script)
    assert rig.state() is PairState.FLAT and not rig.of(OrderFailed)


def test_a_stop_waits_until_a_halted_leg_trades(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await run_market(rig, 3.5)
        leaving = asyncio.ensure_future(rig.engine.execute(rig.leave(reason="stop_loss")))
        await rig.world.clock.sleep_until(hours(4.9))
        assert rig.engine.waiting == {"A_B"} and len(rig.port.sent) == 2
        await leaving

    assert play(tmp_path, script, market=HOLE).state() is PairState.FLAT


def test_an_entry_waits_for_no_price_without_end(tmp_path):
    async def script(rig: Rig) -> None:
        answer_late(rig, "B", 86_400.0)
        async with asyncio.timeout(6.0):
            await rig.engine.execute(rig.enter())

    assert play(tmp_path, script).of(EntryRefused)[0].reasons == ("no_quote:B",)


def test_an_exit_in_a_market_that_is_over_is_put_off_and_the_pair_stays_whole(tmp_path):
    ending = source(bars("A", [(100, 100)] * 12), bars("B", [(50, 50)] * 4))

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await run_market(rig, 5)
        await rig.engine.execute(rig.leave())

    rig = play(tmp_path, script, market=ending)
    assert rig.state() is PairState.EXITING
    assert [alarm.critical for alarm in rig.of(Alarm) if "close the other leg by hand" in alarm.message] == [True]
    assert rig.of(OrderFailed)[0].reason == "exit_deferred:market_closed:B"
    assert len(rig.port.sent) == 2


# one at a time


def test_a_busy_pair_refuses_a_second_order(tmp_path):
    async def script(rig: Rig) -> None:
        orders = [replace(rig.enter(), ref=f"order-{number}") for number in range(5)]
        await asyncio.gather(*map(rig.engine.execute, orders))

    rig = play(tmp_path, script, terms={"latency_ms": 100})
    assert len(rig.of(PairOpened)) == 1
    assert [event.reasons for event in rig.of(EntryRefused)] == [("busy",)] * 4
    assert len(rig.port.sent) == 2


def test_an_exit_of_a_pair_that_is_not_open_is_refused(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        again = rig.leave()
        await rig.engine.execute(again)
        await rig.engine.execute(again)

    assert play(tmp_path, script).of(EntryRefused)[0].reasons == ("not_open",)


def test_too_small_a_leg_is_refused_before_the_other_is_sent(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter(legs={"A": D(2), "B": D("-0.01")}))

    rig = play(tmp_path, script)
    assert rig.of(EntryRefused)[0].reasons == ("below_minimum:B",)
    assert rig.port.sent == []


# a disk that is full


def pragma(rig: Rig, text: str) -> Any:
    result = rig.journal._connection.exec_driver_sql(f"PRAGMA {text}")
    return result.scalar() if result.returns_rows else None


def lock_disk(rig: Rig) -> None:
    """Every write fails from now on, whatever its size."""
    pragma(rig, "query_only = ON")


def free_disk(rig: Rig) -> None:
    pragma(rig, "query_only = OFF")


def test_nothing_is_sent_that_is_not_on_disk_first(tmp_path):
    """SQLite meets a full disk: a name this long needs pages of its own."""
    long = Pair("A_B" * 3_000, "A", "B")

    async def script(rig: Rig) -> None:
        pragma(rig, f"max_page_count = {pragma(rig, 'page_count')}")
        await rig.engine.execute(rig.enter(long.pair_id))
        pragma(rig, "max_page_count = 1000000")

    rig = play(tmp_path, script, pairs=(long,))
    assert rig.port.sent == []
    assert rig.state(long.pair_id) is PairState.FLAT
    assert (rig.guard.breaker, rig.guard.state.breaker_reason) == (Breaker.HALTED, "journal_unwritable")
    assert rig.guard.gross_exposure == 0.0
    assert [event.reason for event in rig.of(OrderFailed)] == ["journal_unwritable"]
    assert "nothing more is sent" in rig.alarms[0]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_disk_that_fills_up_in_the_middle_of_a_trade_delays_it_and_loses_nothing(number, tmp_path):
    """Full from the moment of one send on, for five minutes: the fill, its intent and the next leg all have to wait."""

    async def script(rig: Rig) -> None:
        def look(request) -> None:
            if len(rig.port.sent) == number - 1:
                lock_disk(rig)
                asyncio.get_running_loop().call_later(300.0, free_disk, rig)

        rig.port.before = look
        await round_trip(rig)

    rig = play(tmp_path, script)
    assert rig.state() is PairState.FLAT
    assert rig.guard.state.breaker_reason == "journal_unwritable"
    assert len(rig.port.sent) == 4
    assert len(rig.ledger.trades) == 1
    assert rig.world.clock.now_ms() - hours(1) >= 300_000


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_journal_that_cannot_be_looked_at_in_the_middle_of_a_trade_holds_nothing_up(number, tmp_path):
    patch = pytest.MonkeyPatch()

    async def script(rig: Rig) -> None:
        def look(request) -> None:
            if len(rig.port.sent) == number - 1:
                cannot_look_at(rig.world.journal_path, patch)
                asyncio.get_running_loop().call_later(10.0, patch.undo)

        rig.port.before = look
        await round_trip(rig)
        await asyncio.sleep(10.0)

    rig = play(tmp_path, script)
    assert rig.state() is PairState.FLAT
    assert (rig.guard.breaker, rig.alarms) == (Breaker.CLOSED, [])
    assert len(rig.port.sent) == 4
    assert len(rig.ledger.trades) == 1


# shared symbols


def test_an_exit_is_reduce_only_only_as_far_as_it_reduces_the_net(tmp_path):
    """One pair is long two A, the other short three: the account is short one."""

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())
        await rig.engine.execute(rig.enter("C_A", {"C": D(15), "A": D(-3)}))
        assert rig.ledger.net("A") == rig.world.held("A") == -1
        await rig.engine.execute(rig.leave("A_B"))
        await rig.engine.execute(rig.leave("C_A"))

    rig = play(tmp_path, script, market=shared_market(), pairs=SHARING)
    exits = {(one.symbol, one.signed_amount): one.reduce_only for one in rig.port.sent[4:]}
    assert exits == {("A", D(-2)): False, ("B", D(4)): True, ("C", D(-15)): True, ("A", D(3)): True}
    assert len(rig.ledger.trades) == 2


def test_an_entry_that_was_decided_on_an_old_bar_is_refused(tmp_path):
    async def script(rig: Rig) -> None:
        await rig.engine.execute(replace(rig.enter(), decided_at=rig.now - timedelta(hours=3)))

    rig = play(tmp_path, script, settings=ExecutionSettings(longest_decision_age_s=3600.0))
    assert [event.reasons for event in rig.of(EntryRefused)] == [("stale_bar",)]
    assert rig.port.sent == []


def test_a_leg_above_the_venues_maximum_keeps_the_other_from_being_sent(tmp_path, monkeypatch):
    monkeypatch.setitem(RULES, "B", replace(RULES["B"], max_amount=D(3)))

    async def script(rig: Rig) -> None:
        await rig.engine.execute(rig.enter())

    rig = play(tmp_path, script)
    assert [event.reasons for event in rig.of(EntryRefused)] == [("above_maximum:B",)]
    assert rig.port.sent == []


def test_a_refused_key_halts_the_bot_and_says_what_to_do(tmp_path, monkeypatch):
    async def script(rig: Rig) -> None:
        async def refuse(request):
            sent.append(request)
            return NotPlaced("-2015", "Invalid API-key, IP, or permissions for action.")

        monkeypatch.setattr(rig.port, "create_order", refuse)
        await rig.engine.execute(rig.enter())
        await rig.engine.execute(rig.enter())

    sent: list = []
    rig = play(tmp_path, script)
    assert len(sent) == 1
    assert rig.guard.breaker is Breaker.HALTED
    assert any("Renew the key" in event.message for event in rig.of(Alarm))
