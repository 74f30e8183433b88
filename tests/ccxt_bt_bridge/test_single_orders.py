"""Single orders in virtual time: sent once, followed to the end, every fill counted once."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.words import (
    Account,
    Ambiguous,
    Cancelled,
    Connection,
    NotCancelled,
    NotPlaced,
    OrderReport,
    OrderStatus,
    PositionReport,
    Side,
    Unknown,
)
from tests.ccxt_bt_bridge.trading_harness import EPOCH_MS, D, Desk, foreign_fill, market, on_desk


def test_an_order_is_accepted_filled_in_parts_and_completed():
    async def act(desk: Desk):
        desk.order(1.0)
        await asyncio.sleep(0.01)
        trading = desk.trading
        await desk.hear(trading.fill("t1", "0.4"), trading.report(filled="0.4"))
        await desk.hear(trading.fill("t2", "0.6"), trading.report(status="closed", filled="1"))
        return desk.told()

    assert on_desk(act) == ["1 accepted", "1 fill 0.4", "1 fill 0.6", "1 completed"]


def test_a_fill_before_the_answer_is_told_after_the_acceptance():
    async def act(desk: Desk):
        desk.trading.outcomes["create"] = [Ambiguous("no answer")]
        desk.trading.outcomes["fetch"] = [Unknown("wait")] * 3
        desk.order(-1.0)
        await asyncio.sleep(0.01)
        await desk.hear(desk.trading.fill("t1", "1"), desk.trading.report(status="closed", filled="1"))
        return desk.told()

    assert on_desk(act) == ["1 accepted", "1 fill -1", "1 completed"]


@pytest.mark.parametrize("late", [0, 1, 2])
def test_the_end_waits_for_every_fill_that_the_report_speaks_of(late):
    """The last ``late`` of two fills never come by the stream."""

    async def act(desk: Desk):
        desk.order(1.0)
        await asyncio.sleep(0.01)
        trading = desk.trading
        both = [trading.fill("t1", "0.4"), trading.fill("t2", "0.6")]
        trading.known_fills = both
        await desk.hear(*both[: 2 - late], trading.report(status="closed", filled="1"))
        early = desk.told()
        await asyncio.sleep(60)
        return early, desk.told(), trading.asked("fills")

    early, after, asked = on_desk(act)
    told = ["1 accepted", "1 fill 0.4", "1 fill 0.6", "1 completed"]
    assert early + after == told
    assert len(early) == (4 if not late else 3 - late)
    assert asked == 2 + bool(late)


def test_fills_are_asked_for_again_until_they_are_there():
    async def act(desk: Desk):
        desk.order(1.0)
        await asyncio.sleep(0.01)
        await desk.hear(desk.trading.report(status="closed", filled="1"), after_s=5)
        assert desk.told() == ["1 accepted"]
        desk.trading.outcomes["fills"] = [ExchangeUnreachable("x")]
        desk.trading.known_fills = [desk.trading.fill("t1", "1")]
        await asyncio.sleep(60)
        return desk.told()

    assert on_desk(act) == ["1 fill 1", "1 completed"]


def test_a_fill_counts_once_whoever_tells_it():
    async def act(desk: Desk):
        desk.order(1.0)
        await asyncio.sleep(0.01)
        trading = desk.trading
        fill = trading.fill("t1", "0.4")
        trading.known_fills, trading.held = [fill], (PositionReport("A", D("0.4"), D(100)),)
        await desk.hear(fill, fill, Connection("user", True, trading.clock.now_ms()), fill)
        return desk.told()

    assert on_desk(act) == ["1 accepted", "1 fill 0.4"]


@pytest.mark.parametrize(
    ("status", "word"), [("canceled", "canceled"), ("expired", "expired"), ("rejected", "rejected")]
)
def test_an_order_ends_with_the_exchanges_word(status, word):
    async def act(desk: Desk):
        desk.order(1.0)
        await asyncio.sleep(0.01)
        await desk.hear(desk.trading.report(status=status))
        return desk.told()

    assert on_desk(act) == ["1 accepted", f"1 {word}"]


@pytest.mark.parametrize(
    ("code", "reason", "word"),
    [
        ("-2019", "margin is insufficient", "margin"),
        ("-2010", "Account has insufficient balance for requested action.", "margin"),
        ("-1013", "filter failure", "rejected"),
    ],
)
def test_what_was_not_placed_is_refused_with_its_reason(code, reason, word):
    async def act(desk: Desk):
        desk.trading.outcomes["create"] = [NotPlaced(code, reason)]
        desk.order(1.0)
        await asyncio.sleep(0.01)
        (update,) = desk.gateway.updates
        return update.kind.value, update.reason

    assert on_desk(act) == (word, f"{reason} ({code})")


# ambiguous answers


def resolved(fetched: list, *, placed: bool) -> tuple[list[str], int, list[int]]:
    """An ambiguous create, then these answers, then the truth: what was told, orders sent, and when it was asked."""

    async def act(desk: Desk):
        trading = desk.trading
        trading.outcomes["create"] = [Ambiguous("no answer")]
        trading.outcomes["fetch"] = list(fetched)
        trading.places_in_silence = placed
        desk.order(1.0)
        await asyncio.sleep(120)
        asked = [at - EPOCH_MS for at, name, _ in trading.calls if name == "fetch"]
        return desk.told(), trading.asked("create"), asked

    return on_desk(act)


def test_an_ambiguous_order_is_asked_for_with_growing_pauses_and_never_sent_again():
    told, sent, asked = resolved([Unknown("?")] * 4, placed=True)
    assert (told, sent, asked) == (["1 accepted"], 1, [0, 250, 750, 1750, 3750])


def test_an_ambiguous_order_that_is_absent_is_rejected():
    told, sent, _ = resolved([Unknown("?")], placed=False)
    assert (told, sent) == (["1 rejected"], 1)


@given(st.integers(0, 8), st.booleans())
@settings(deadline=None, max_examples=20)
def test_however_long_it_is_unknown_one_order_is_sent_once(unknowns, placed):
    told, sent, _ = resolved([Unknown("?")] * unknowns, placed=placed)
    assert (told, sent) == (["1 accepted" if placed else "1 rejected"], 1)


# cancelling


def test_a_cancelled_order_is_told_when_the_exchange_says_so():
    async def act(desk: Desk):
        ref = desk.order(1.0)
        await asyncio.sleep(0.01)
        desk.trading.outcomes["cancel"] = [Cancelled(desk.trading.report(status="canceled"))]
        desk.gateway.cancel(ref)
        desk.gateway.cancel(ref)
        await asyncio.sleep(0.01)
        return desk.told(), desk.trading.asked("cancel")

    assert on_desk(act) == (["1 accepted", "1 canceled"], 1)


def test_a_cancel_waits_until_it_is_known_whether_there_is_an_order():
    async def act(desk: Desk):
        desk.trading.outcomes["create"] = [Ambiguous("no answer")]
        desk.trading.outcomes["fetch"] = [Unknown("?")] * 3
        ref = desk.order(1.0)
        desk.gateway.cancel(ref)
        await asyncio.sleep(60)
        return desk.told(), desk.trading.asked("cancel")

    assert on_desk(act) == (["1 rejected"], 0)


def test_an_order_that_filled_before_its_cancel_is_completed():
    async def act(desk: Desk):
        ref = desk.order(1.0)
        await asyncio.sleep(0.01)
        trading = desk.trading
        trading.orders[trading.requests[0].client_order_id] = trading.report(status="closed", filled="1")
        trading.known_fills = [trading.fill("t1", "1")]
        desk.gateway.cancel(ref)
        await asyncio.sleep(10)
        return desk.told(), desk.said

    assert on_desk(act) == (["1 accepted", "1 fill 1", "1 completed"], [])


def test_an_ambiguous_cancel_is_repeated_until_the_order_is_done():
    async def act(desk: Desk):
        ref = desk.order(1.0)
        await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        done = desk.trading.report(status="canceled")
        desk.trading.outcomes["cancel"] = [Ambiguous("?"), Ambiguous("?"), Cancelled(done)]
        desk.gateway.cancel(ref)
        await asyncio.sleep(30)
        return desk.told(), desk.trading.asked("cancel")

    assert on_desk(act) == (["1 accepted", "1 canceled"], 3)


def test_a_refused_cancel_of_an_open_order_is_said_and_may_be_tried_again():
    async def act(desk: Desk):
        ref = desk.order(1.0)
        await asyncio.sleep(0.01)
        desk.trading.outcomes["cancel"] = [
            NotCancelled("-1", "busy"),
            Cancelled(desk.trading.report(status="canceled")),
        ]
        desk.gateway.cancel(ref)
        await asyncio.sleep(1)
        said = list(desk.said)
        desk.gateway.cancel(ref)
        await asyncio.sleep(1)
        return said, desk.told()

    said, told = on_desk(act)
    assert "busy (-1)" in said[0]
    assert told == ["1 accepted", "1 canceled"]


def test_a_lifetime_ends_in_a_cancel_that_is_told_as_expired():
    async def act(desk: Desk):
        desk.order(1.0, type="limit", price=90.0, valid_until_ms=EPOCH_MS + 5_000)
        await asyncio.sleep(4.9)
        before = desk.told(), desk.trading.asked("cancel")
        desk.trading.outcomes["cancel"] = [Cancelled(desk.trading.report(status="canceled"))]
        await asyncio.sleep(0.2)
        return before, desk.told()

    assert on_desk(act) == ((["1 accepted"], 0), ["1 expired"])


def test_a_lifetime_that_is_over_sends_nothing():
    async def act(desk: Desk):
        desk.order(1.0, valid_until_ms=EPOCH_MS)
        await asyncio.sleep(1)
        return desk.told(), desk.trading.requests

    assert on_desk(act) == (["1 expired"], [])


def test_a_filled_order_leaves_no_timer_behind():
    async def act(desk: Desk):
        desk.order(1.0, valid_until_ms=EPOCH_MS + 86_400_000)
        await asyncio.sleep(0.01)
        await desk.hear(desk.trading.fill("t1", "1"), desk.trading.report(status="closed", filled="1"))
        return [task.get_name() for task in asyncio.all_tasks() if "expiry" in task.get_name()]

    assert on_desk(act) == []


# requests


def test_amounts_and_prices_are_on_the_venues_steps():
    async def act(desk: Desk):
        desk.order(-0.1239, type="stop_limit", price=100.26, trigger_price=101.04)
        await asyncio.sleep(0.01)
        (request,) = desk.trading.requests
        return request, desk.gateway.updates[0].amount

    request, accepted = on_desk(act)
    assert (request.side, request.amount, request.type) == (Side.SELL, D("0.123"), "stop_limit")
    assert (request.price, request.trigger_price) == (D("100.3"), D("101.0"))
    assert accepted == D("-0.123")


@pytest.mark.parametrize(
    ("size", "sent"), [(0.3 - 0.28, "0.020"), (-(0.1 + 0.2), "0.300"), (0.0199999, "0.019"), (0.0209, "0.020")]
)
def test_a_size_that_is_dust_away_from_a_step_is_that_step(size, sent):
    async def act(desk: Desk):
        desk.order(size)
        await asyncio.sleep(0.01)
        return desk.trading.requests[0].amount

    assert on_desk(act) == D(sent)


def test_what_the_caller_asked_for_by_name_is_sent():
    async def act(desk: Desk):
        desk.order(1.0, info={"reduce_only": True, "time_in_force": "PO"}, type="limit", price=90.0)
        await asyncio.sleep(0.01)
        (request,) = desk.trading.requests
        return request.reduce_only, request.time_in_force

    assert on_desk(act) == (True, "PO")


@pytest.mark.parametrize(
    ("amount", "changes", "terms", "words"),
    [
        (0.0004, {}, {}, "rounds to 0 on the step 0.001"),
        (float("nan"), {}, {}, "rounds to 0"),
        (0.01, {}, {"type": "limit", "price": 100.0}, "notional 1.00 is under the minimum 5"),
        (5.0, {"max_amount": D(4)}, {}, "over the maximum 4"),
        (5.0, {"is_open": False}, {}, "does not trade"),
    ],
)
def test_what_the_venue_would_refuse_is_not_sent(amount, changes, terms, words):
    async def act(desk: Desk):
        desk.order(amount, **terms)
        await asyncio.sleep(0.01)
        (update,) = desk.gateway.updates
        assert desk.trading.requests == []
        return update.kind.value, update.reason

    kind, reason = on_desk(act, rules=market(**changes))
    assert kind == "rejected"
    assert words in reason


def test_a_market_order_is_measured_at_the_last_close_and_a_closing_one_not_at_all():
    async def act(desk: Desk):
        desk.gateway.take_closes({"A": 100.0})
        desk.order(0.01)
        desk.order(0.01, info={"reduce_only": True})
        await asyncio.sleep(0.01)
        return desk.told()

    assert on_desk(act) == ["1 rejected", "2 accepted"]


def test_unknown_symbols_and_lifetimes_are_refused_by_name():
    async def act(desk: Desk):
        desk.order(1.0, symbol="Z")
        desk.order(1.0, info={"time_in_force": "GTX"})
        await asyncio.sleep(0.01)
        return [update.reason for update in desk.gateway.updates]

    unlisted, lifetime = on_desk(act)
    assert "does not list Z" in unlisted
    assert "'GTX' is unknown; use one of GTC" in lifetime


def test_ids_are_the_venues_kind_and_none_comes_twice_also_after_a_restart():
    async def act(desk: Desk):
        for _ in range(50):
            desk.order(1.0)
        await asyncio.sleep(1)
        other = Desk(desk.trading, market(), "a" * 16)
        other.order(1.0)
        await asyncio.sleep(0.01)
        again = Desk(desk.trading, market())
        again.order(1.0)
        await asyncio.sleep(0.01)
        await other.gateway.close()
        await again.gateway.close()
        return [request.client_order_id for request in desk.trading.requests]

    ids = on_desk(act)
    assert len(set(ids)) == 52
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,36}", each) for each in ids)


# the account


def test_positions_and_fills_from_before_are_seen_and_not_counted_again():
    def prepare(trading):
        trading.held = (PositionReport("A", D(2), D(80)),)
        trading.known_fills = [foreign_fill("t0", Side.BUY, "2", EPOCH_MS - 5)]

    async def act(desk: Desk):
        await desk.hear(*desk.trading.known_fills)
        return desk.positions, desk.told()  # type: ignore[attr-defined]

    assert on_desk(act, prepare) == ((PositionReport("A", D(2), D(80)),), [])


def test_an_account_that_cannot_be_read_stops_the_start():
    def prepare(trading):
        trading.outcomes["account"] = [ExchangeUnreachable("no network")]

    async def act(desk: Desk):
        raise AssertionError("must not start")

    with pytest.raises(ExchangeUnreachable, match="no network"):
        on_desk(act, prepare)


def test_a_fill_that_nobody_here_ordered_moves_the_position():
    async def act(desk: Desk):
        await desk.hear(foreign_fill("t9", Side.SELL, "3", EPOCH_MS))
        return desk.told()

    assert on_desk(act) == ["- fill -3"]


def test_open_orders_of_others_are_named_at_the_start():
    def prepare(trading):
        status = OrderStatus.OPEN
        trading.orders["old-1"] = OrderReport("old-1", "5", "A", Side.BUY, status, D(1), D(0), None, EPOCH_MS)

    async def act(desk: Desk):
        return desk.said[0]

    assert "old-1" in on_desk(act, prepare)


def test_cash_and_value_follow_the_account_and_the_closes():
    def prepare(trading):
        trading.held = (PositionReport("A", D(2), D(80)),)

    async def act(desk: Desk):
        views = [desk.gateway.cash_view()]
        desk.gateway.take_closes({"A": 90.0})
        views.append(desk.gateway.cash_view())
        now_ms = desk.trading.clock.now_ms()
        await desk.hear(Account(now_ms, D(700), (PositionReport("A", D(-1), D(95)),), free=D(600)))
        views.append(desk.gateway.cash_view())
        await desk.hear(Account(now_ms - 1, D(1), ()))
        views.append(desk.gateway.cash_view())
        return [(view.cash, view.value) for view in views]

    assert on_desk(act, prepare) == [(1000, 1000), (1000, 1020), (600, 705), (600, 705)]


def test_on_spot_a_holding_counts_with_all_its_worth():
    def prepare(trading):
        trading.held = (PositionReport("A", D(2), D(80)),)

    async def act(desk: Desk):
        desk.gateway.take_closes({"A": 90.0})
        return desk.gateway.cash_view().value

    assert on_desk(act, prepare, rules=market(kind="spot")) == 1180


def test_after_a_fill_the_account_is_read_until_it_answers():
    async def act(desk: Desk):
        desk.order(1.0)
        await asyncio.sleep(0.01)
        desk.trading.wallet = D(999)
        desk.trading.outcomes["account"] = [ExchangeUnreachable("x")]
        await desk.hear(desk.trading.fill("t1", "1"), after_s=5)
        return desk.gateway.cash_view().cash

    assert on_desk(act) == 999


def test_what_a_resting_order_locks_is_asked_for_once_for_all_orders_of_a_moment():
    async def act(desk: Desk):
        trading, asked, cash = desk.trading, desk.trading.asked("account"), []
        for wallet, status in ((D(800), "open"), (D(1000), "canceled")):
            trading.wallet = wallet
            if status == "open":
                for _ in range(3):
                    desk.order(1.0, type="limit", price=90.0)
            else:
                await desk.hear(*(trading.report(which, status) for which in range(3)))
            await asyncio.sleep(5)
            cash.append(desk.gateway.cash_view().cash)
        return cash, trading.asked("account") - asked

    assert on_desk(act) == ([800, 1000], 2)


def test_after_a_silence_what_the_port_told_counts_once_and_what_no_fill_explains_is_told():
    async def act(desk: Desk):
        trading = desk.trading
        desk.order(1.0)
        await asyncio.sleep(0.01)
        await desk.hear(Connection("user", False, trading.clock.now_ms(), "closed"), after_s=600)
        missed = [trading.fill("t1", "1"), foreign_fill("t2", Side.SELL, "5", trading.clock.now_ms())]
        trading.known_fills, trading.held = missed, (PositionReport("A", D(-3), D(90)),)
        trading.outcomes["fills"] = [ExchangeUnreachable("not yet")]
        done = trading.report(status="closed", filled="1")
        await desk.hear(*missed, done, Connection("user", True, trading.clock.now_ms()), after_s=10)
        return desk.told(), desk.said

    told, said = on_desk(act)
    assert told == ["1 accepted", "1 fill 1", "- fill -5", "1 completed", "- fill 1"]
    assert "holds -3, +1 against" in said[0]


def test_a_fill_that_the_account_shows_before_the_list_of_trades_is_counted_once():
    async def act(desk: Desk):
        trading = desk.trading
        desk.order(1.0)
        await asyncio.sleep(0.01)
        held = trading.held = (PositionReport("A", D(1), D(90)),)
        late = trading.fill("t1", "1")
        told = Account(trading.clock.now_ms() + 1, D(1000), held, D(1000))
        await desk.hear(told, Connection("user", True, trading.clock.now_ms()), after_s=0.5)
        trading.known_fills = [late]
        await desk.hear(late, trading.report(status="closed", filled="1"), after_s=60)
        return desk.told(), desk.said

    assert on_desk(act) == (["1 accepted", "1 fill 1", "1 completed"], [])


def test_after_a_silence_without_a_difference_nothing_is_asked():
    async def act(desk: Desk):
        asked = len(desk.trading.calls)
        await desk.hear(Connection("user", True, desk.trading.clock.now_ms()), after_s=10)
        return len(desk.trading.calls) - asked

    assert on_desk(act) == 0


def test_an_account_that_the_stream_told_after_the_fill_is_not_asked_for():
    async def act(desk: Desk):
        trading = desk.trading
        desk.order(1.0)
        await asyncio.sleep(0.01)
        asked = trading.asked("account")
        await desk.hear(trading.fill("t1", "1"), Account(trading.clock.now_ms(), D(998), (), D(998)), after_s=10)
        return trading.asked("account") - asked, desk.gateway.cash_view().cash

    assert on_desk(act) == (0, 998)


def test_what_is_still_open_at_the_end_is_named():
    async def main(desk: Desk):
        desk.order(1.0)
        await asyncio.sleep(0.01)
        return desk

    desk = on_desk(main)
    assert "may still be open" in desk.said[-1]


# any interleaving


@st.composite
def histories(draw):
    """Amounts of the fills of one order, how it ends, and the order in which stream events come, some twice."""
    parts = draw(st.lists(st.integers(1, 5), max_size=4))
    end = draw(st.sampled_from(["closed", "canceled", "expired"])) if parts else "canceled"
    events = [f"t{number}" for number in range(len(parts))] + ["end"]
    return parts, end, draw(st.permutations(events + draw(st.lists(st.sampled_from(events), max_size=3))))


@given(histories(), st.sets(st.integers(0, 3)), st.booleans())
@settings(deadline=None, max_examples=60)
def test_any_order_loss_and_repetition_of_events_counts_every_fill_once(case, lost, reconnects):
    parts, end, order = case

    async def act(desk: Desk):
        trading = desk.trading
        desk.order(sum(parts) if end == "closed" else sum(parts) + 1.0)
        await asyncio.sleep(0.01)
        fills = {f"t{number}": trading.fill(f"t{number}", str(part)) for number, part in enumerate(parts)}
        trading.known_fills = list(fills.values())
        trading.held = (PositionReport("A", Decimal(sum(parts)), D(100)),) if parts else ()
        done = trading.report(status=end, filled=str(sum(parts)))
        for name in order:
            if name == "end" or int(name[1:]) not in lost:
                await desk.hear(done if name == "end" else fills[name])
        if reconnects:
            await desk.hear(Connection("user", True, trading.clock.now_ms()))
        await asyncio.sleep(60)
        return desk.told()

    told = on_desk(act)
    assert told[0] == "1 accepted"
    assert told[-1] == f"1 {'completed' if end == 'closed' else end}"
    assert sorted(told[1:-1]) == sorted(f"1 fill {part}" for part in parts)
