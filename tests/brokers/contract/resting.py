"""Promises about orders that wait: limits, stops, cancelling, and what becomes of them over a restart."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from ccxt_bt_bridge.words import (
    Ambiguous,
    Cancelled,
    Found,
    NotCancelled,
    NotPlaced,
    OrderReport,
    OrderRequest,
    OrderStatus,
    Placed,
    Side,
)
from tests.brokers.contract.orders import refuses
from tests.brokers.contract.rig import ETH, Contract, Rig, limit, order, played, stop, swinging
from tests.brokers.markets import hours

CANCEL_LOST = {"kind": "timeout_before_execution", "on": "cancel_order", "at": 1}
CANCEL_UNHEARD = {"kind": "timeout_after_execution", "on": "cancel_order", "at": 1}


def stop_limit(client_order_id: str, amount: str, trigger: int, price: int) -> OrderRequest:
    return replace(stop(client_order_id, amount, trigger), type="stop_limit", price=Decimal(price))


async def is_open(rig: Rig, client_order_id: str) -> bool:
    return client_order_id in {report.client_order_id for report in await rig.trading.open_orders()}


class RestingContract(Contract):
    """ETH: 100 until hour 4, then 90 until hour 6, then 110 until hour 8, then 100."""

    # limits

    @played(eth=swinging)
    async def test_a_limit_order_away_from_the_market_rests(self, rig: Rig) -> None:
        placed = await rig.placed(limit("rest", "2", 95))
        (opened,) = await rig.trading.open_orders()
        assert placed == opened and (opened.status, opened.amount, opened.filled) == (OrderStatus.OPEN, 2, 0)
        assert (opened.client_order_id, opened.symbol, opened.side) == ("rest", ETH, Side.BUY)
        assert opened.average is None and not await rig.trading.fills(since_ms=hours(0))

    @played(eth=swinging)
    async def test_a_resting_order_is_told_read_and_looked_up_alike(self, rig: Rig) -> None:
        await rig.placed(limit("rest", "2", 95))
        told = await rig.heard(OrderReport, lambda report: report.client_order_id == "rest")
        found = await rig.trading.fetch_order(ETH, "rest")
        assert isinstance(found, Found) and [found.report] == list(await rig.trading.open_orders()) == [told]

    @played(eth=swinging)
    async def test_a_limit_order_fills_when_the_market_comes_to_it_and_at_no_worse_a_price(self, rig: Rig) -> None:
        await rig.placed(limit("rest", "2", 95))
        await rig.go_to(3)
        assert await is_open(rig, "rest")
        await rig.go_to(4)
        end = await rig.heard_end("rest")
        (fill,) = await rig.heard_fills(1)
        assert (end.status, end.filled) == (OrderStatus.CLOSED, 2) and fill.price <= 95
        assert not await is_open(rig, "rest") and await rig.held() == fill.position_change

    @played(eth=swinging)
    async def test_a_limit_sale_waits_for_its_price(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        await rig.placed(limit("out", "-1", 105))
        await rig.go_to(5)
        assert await is_open(rig, "out")
        await rig.go_to(6)
        assert (await rig.heard_end("out")).filled == 1
        assert (await rig.heard_fills(2))[-1].price >= 105

    @played(eth=swinging)
    async def test_a_limit_order_that_the_market_already_meets_fills_at_once(self, rig: Rig) -> None:
        report = await rig.placed(limit("now", "2", 105))
        assert (report.status, report.filled) == (OrderStatus.CLOSED, 2)
        assert report.average is not None and report.average <= 105

    @played(eth=swinging)
    async def test_immediate_or_cancel_never_rests(self, rig: Rig) -> None:
        await rig.send(limit("ioc", "2", 95, time_in_force="IOC"))
        end = await rig.heard_end("ioc")
        assert end.filled == 0 and not await rig.trading.open_orders()

    @played(eth=swinging)
    async def test_immediate_or_cancel_takes_what_is_there(self, rig: Rig) -> None:
        assert (await rig.placed(limit("ioc", "2", 105, time_in_force="IOC"))).filled == 2

    @played(eth=swinging)
    async def test_fill_or_kill_never_rests(self, rig: Rig) -> None:
        await rig.send(limit("fok", "2", 95, time_in_force="FOK"))
        end = await rig.heard_end("fok")
        assert end.filled == 0 and not await rig.trading.open_orders()

    @played(eth=swinging)
    async def test_post_only_rests(self, rig: Rig) -> None:
        await rig.placed(limit("maker", "2", 95, time_in_force="PO"))
        assert await is_open(rig, "maker")

    @played(eth=swinging)
    async def test_post_only_never_takes(self, rig: Rig) -> None:
        outcome = await rig.send(limit("maker", "2", 105, time_in_force="PO"))
        refused = isinstance(outcome, NotPlaced)
        expired = isinstance(outcome, Placed) and outcome.report.status.is_done and not outcome.report.filled
        assert refused or expired, outcome
        assert not await rig.trading.open_orders() and not await rig.trading.fills(since_ms=hours(0))

    @played(eth=swinging)
    async def test_a_price_off_the_tick_is_refused(self, rig: Rig) -> None:
        await refuses(rig, limit("c", "1", "95.001"))

    @played(eth=swinging)
    async def test_a_limit_order_without_a_price_is_refused(self, rig: Rig) -> None:
        await refuses(rig, order("c", "1", type="limit"))

    @played(eth=swinging)
    async def test_a_limit_order_counts_by_its_own_price_against_the_minimum(self, rig: Rig) -> None:
        await refuses(rig, limit("small", "0.052", 95))
        await rig.placed(limit("large", "0.053", 95))

    @played(eth=swinging)
    async def test_resting_orders_bind_money(self, rig: Rig) -> None:
        before = (await rig.trading.account()).free
        await rig.placed(limit("rest", "20", 95))
        after = (await rig.trading.account()).free
        assert before is not None and after is not None and after < before
        await rig.trading.cancel_order(ETH, "rest")
        assert (await rig.trading.account()).free == before

    # stops

    @played(eth=swinging)
    async def test_a_stop_waits_for_its_trigger_and_then_takes_the_market(self, rig: Rig) -> None:
        await rig.placed(stop("stop", "2", 105))
        await rig.go_to(5)
        assert await is_open(rig, "stop")
        await rig.go_to(6)
        end = await rig.heard_end("stop")
        assert (end.status, end.filled, end.average) == (OrderStatus.CLOSED, 2, 110)

    @played(eth=swinging)
    async def test_a_stop_below_sells_when_the_market_falls_through_it(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        await rig.placed(stop("out", "-1", 95))
        await rig.go_to(4)
        end = await rig.heard_end("out")
        assert (end.filled, end.average) == (1, 90)

    @played(eth=swinging)
    async def test_a_stop_that_would_trigger_at_once_is_refused(self, rig: Rig) -> None:
        await refuses(rig, stop("c", "1", 99))

    @played(eth=swinging)
    async def test_a_stop_limit_trades_within_its_limit(self, rig: Rig) -> None:
        await rig.placed(stop_limit("stop", "2", 105, 115))
        await rig.go_to(6)
        end = await rig.heard_end("stop")
        assert end.filled == 2 and end.average is not None and end.average <= 115

    @played(eth=swinging)
    async def test_a_stop_limit_that_the_market_jumped_over_waits_for_its_price(self, rig: Rig) -> None:
        await rig.placed(stop_limit("stop", "2", 105, 106))
        await rig.go_to(7)
        assert await is_open(rig, "stop")
        await rig.go_to(8)
        end = await rig.heard_end("stop")
        assert end.filled == 2 and end.average is not None and end.average <= 106

    @played(eth=swinging)
    async def test_a_stop_can_be_cancelled(self, rig: Rig) -> None:
        await rig.placed(stop("stop", "2", 105))
        assert isinstance(await rig.trading.cancel_order(ETH, "stop"), Cancelled)
        await rig.go_to(7)
        assert not await rig.trading.open_orders() and not await rig.trading.fills(since_ms=hours(0))

    # cancelling

    @played(eth=swinging)
    async def test_a_cancelled_order_is_over(self, rig: Rig) -> None:
        await rig.placed(limit("rest", "2", 95))
        outcome = await rig.trading.cancel_order(ETH, "rest")
        assert isinstance(outcome, Cancelled)
        assert (outcome.report.client_order_id, outcome.report.status) == ("rest", OrderStatus.CANCELED)
        await rig.go_to(5)
        assert not await rig.trading.open_orders() and not await rig.trading.fills(since_ms=hours(0))

    @played(eth=swinging)
    async def test_a_cancel_is_told(self, rig: Rig) -> None:
        await rig.placed(limit("rest", "2", 95))
        await rig.trading.cancel_order(ETH, "rest")
        end = await rig.heard_end("rest")
        found = await rig.trading.fetch_order(ETH, "rest")
        assert end.status is OrderStatus.CANCELED and isinstance(found, Found) and found.report == end

    @played(eth=swinging)
    async def test_an_order_is_cancelled_once(self, rig: Rig) -> None:
        await rig.placed(limit("rest", "2", 95))
        outcomes = [await rig.trading.cancel_order(ETH, "rest") for _ in range(2)]
        assert [type(outcome) for outcome in outcomes] == [Cancelled, NotCancelled]

    @played(eth=swinging)
    async def test_what_has_filled_cannot_be_cancelled(self, rig: Rig) -> None:
        await rig.placed(order("done", "1"))
        held = await rig.held()
        outcome = await rig.trading.cancel_order(ETH, "done")
        assert isinstance(outcome, NotCancelled) and outcome.code and await rig.held() == held

    @played(eth=swinging)
    async def test_what_was_never_sent_cannot_be_cancelled(self, rig: Rig) -> None:
        assert isinstance(await rig.trading.cancel_order(ETH, "none"), NotCancelled)

    @played(eth=swinging)
    async def test_one_cancel_leaves_the_other_orders_alone(self, rig: Rig) -> None:
        for name, price in (("one", 94), ("two", 95), ("three", 96)):
            await rig.placed(limit(name, "1", price))
        await rig.trading.cancel_order(ETH, "two")
        assert {report.client_order_id for report in await rig.trading.open_orders()} == {"one", "three"}

    @played(eth=swinging, faults=(CANCEL_LOST,))
    async def test_a_cancel_without_an_answer_that_never_arrived_is_ambiguous(self, rig: Rig) -> None:
        await rig.placed(limit("rest", "2", 95))
        assert isinstance(await rig.trading.cancel_order(ETH, "rest"), Ambiguous)
        assert await is_open(rig, "rest")

    @played(eth=swinging, faults=(CANCEL_UNHEARD,))
    async def test_a_cancel_without_an_answer_that_was_carried_out_is_ambiguous_and_can_be_looked_up(
        self, rig: Rig
    ) -> None:
        await rig.placed(limit("rest", "2", 95))
        assert isinstance(await rig.trading.cancel_order(ETH, "rest"), Ambiguous)
        found = await rig.trading.fetch_order(ETH, "rest")
        assert isinstance(found, Found) and found.report.status is OrderStatus.CANCELED

    # ids, other hands, a second life

    @played(eth=swinging)
    async def test_the_id_of_an_open_order_never_makes_a_second_one(self, rig: Rig) -> None:
        first = await rig.placed(limit("same", "1", 95))
        outcome = await rig.send(limit("same", "2", 94))
        assert isinstance(outcome, NotPlaced | Ambiguous) or outcome.report.order_id == first.order_id
        (opened,) = await rig.trading.open_orders()
        assert opened == first

    @played(eth=swinging)
    async def test_an_order_by_another_hand_is_seen_among_the_open_ones_and_can_be_cancelled(self, rig: Rig) -> None:
        await rig.by_hand(limit("web_1", "1", 95))
        assert await is_open(rig, "web_1")
        assert isinstance(await rig.trading.cancel_order(ETH, "web_1"), Cancelled)

    @played(eth=swinging)
    async def test_a_restarted_client_sees_its_open_orders_and_can_cancel_them(self, rig: Rig) -> None:
        placed = await rig.placed(limit("before", "1", 95))
        await rig.restart()
        assert list(await rig.trading.open_orders()) == [placed]
        assert isinstance(await rig.trading.cancel_order(ETH, "before"), Cancelled)

    @played(eth=swinging)
    async def test_a_restarted_client_hears_of_the_fill_of_an_order_of_its_former_life(self, rig: Rig) -> None:
        await rig.placed(limit("before", "1", 95))
        await rig.restart()
        await rig.go_to(4)
        (fill,) = await rig.heard_fills(1)
        assert fill.client_order_id == "before" and (await rig.heard_end("before")).filled == 1
