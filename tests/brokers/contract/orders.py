"""Promises about market orders: fills, fees, refusals, and what an account is afterwards."""

from __future__ import annotations

from decimal import Decimal

from ccxt_bt_bridge.words import Fill, Found, NotPlaced, OrderRequest, OrderStatus, Placed
from tests.brokers.contract.rig import BALANCE, BTC, ETH, TAKER_FEE, Contract, Rig, order, played
from tests.brokers.markets import hours


async def refuses(rig: Rig, request: OrderRequest) -> NotPlaced:
    """The order is refused, and the account is as if it had never been sent."""
    before = await rig.traces()
    outcome = await rig.send(request)
    assert isinstance(outcome, NotPlaced), outcome
    after = await rig.traces()
    assert (after[0].wallet, after[0].positions, after[1:]) == (before[0].wallet, before[0].positions, before[1:])
    return outcome


class OrderContract(Contract):
    @played()
    async def test_a_market_order_fills_whole_at_the_price_of_the_moment(self, rig: Rig) -> None:
        report = await rig.placed(order("buy", "2"))
        assert (report.client_order_id, report.symbol, report.status) == ("buy", ETH, OrderStatus.CLOSED)
        assert (report.amount, report.filled, report.average) == (2, 2, 102)
        assert report.order_id and hours(2) <= report.time_ms < hours(3)

    @played()
    async def test_a_fill_says_everything_about_itself(self, rig: Rig) -> None:
        report = await rig.placed(order("buy", "2"))
        (fill,) = await rig.trading.fills(since_ms=hours(0))
        assert (fill.order_id, fill.client_order_id, fill.symbol) == (report.order_id, "buy", ETH)
        assert (fill.side, fill.amount, fill.price) == (report.side, 2, 102)
        assert fill.trade_id and hours(2) <= fill.time_ms < hours(3)
        assert fill.fee == 2 * 102 * TAKER_FEE

    @played()
    async def test_what_was_bought_can_be_sold_again(self, rig: Rig) -> None:
        rules = (await rig.market.markets())[ETH]
        await rig.placed(order("buy", "2"))
        await rig.go_to(4)
        amount = rules.round_amount(await rig.held())
        report = await rig.placed(order("sell", -amount))
        assert (report.filled, report.average) == (amount, 104)
        assert abs(await rig.held()) < rules.min_amount

    @played()
    async def test_orders_of_two_symbols_do_not_touch_each_other(self, rig: Rig) -> None:
        await rig.placed(order("eth", "2"))
        eth = await rig.held(ETH)
        await rig.placed(order("btc", "1", BTC))
        assert (await rig.held(ETH), await rig.held(BTC) > 0) == (eth, True)

    @played()
    async def test_numbers_of_orders_and_trades_are_given_once(self, rig: Rig) -> None:
        reports = [await rig.placed(order(f"b{number}", "1", symbol)) for number, symbol in enumerate((ETH, BTC, ETH))]
        fills = await rig.trading.fills(since_ms=hours(0))
        assert len({(report.symbol, report.order_id) for report in reports}) == 3
        assert len({(fill.symbol, fill.trade_id) for fill in fills}) == 3

    @played()
    async def test_an_order_can_be_looked_up_by_our_own_id(self, rig: Rig) -> None:
        placed = await rig.placed(order("mine", "1"))
        found = await rig.trading.fetch_order(ETH, "mine")
        assert isinstance(found, Found) and found.report == placed

    @played()
    async def test_an_id_may_be_used_again_once_its_order_is_filled_and_means_the_newer_one(self, rig: Rig) -> None:
        first = await rig.placed(order("again", "1"))
        await rig.go_to(3)
        second = await rig.placed(order("again", "2"))
        found = await rig.trading.fetch_order(ETH, "again")
        assert first.order_id != second.order_id
        assert isinstance(found, Found) and found.report == second

    @played(faults=({"kind": "partial_fill", "at": 1, "fill_ratio": "0.25"},))
    async def test_a_part_that_filled_counts_and_the_rest_is_over(self, rig: Rig) -> None:
        report = await rig.placed(order("part", "2"))
        assert report.status.is_done and report.filled == Decimal("0.5") and report.amount == 2
        (fill,) = await rig.trading.fills(since_ms=hours(0))
        assert fill.amount == Decimal("0.5") and await rig.held() == fill.position_change
        assert not await rig.trading.open_orders()

    # refusals

    @played()
    async def test_an_amount_off_the_step_is_refused(self, rig: Rig) -> None:
        await refuses(rig, order("c", "1.0001"))

    @played()
    async def test_an_amount_under_the_minimum_is_refused(self, rig: Rig) -> None:
        await refuses(rig, order("c", "0.0001"))

    @played()
    async def test_an_order_worth_less_than_the_minimum_is_refused(self, rig: Rig) -> None:
        await refuses(rig, order("c", "0.04"))

    @played()
    async def test_no_amount_is_no_order(self, rig: Rig) -> None:
        await refuses(rig, order("c", "0"))

    @played()
    async def test_a_symbol_that_is_not_listed_is_refused(self, rig: Rig) -> None:
        await refuses(rig, order("c", "1", "NONEUSDT"))

    @played()
    async def test_what_the_account_cannot_pay_is_refused(self, rig: Rig) -> None:
        await refuses(rig, order("c", "500"))

    @played(faults=({"kind": "reject", "at": 1},))
    async def test_a_refusal_by_the_exchange_says_why_and_leaves_no_trace(self, rig: Rig) -> None:
        refusal = await refuses(rig, order("c", "1"))
        assert refusal.code and refusal.reason

    @played()
    async def test_after_a_refusal_the_next_order_is_taken(self, rig: Rig) -> None:
        await refuses(rig, order("c", "500"))
        assert (await rig.placed(order("c", "1"))).filled == 1

    # money

    @played()
    async def test_a_new_account_holds_its_balance_and_nothing_else(self, rig: Rig) -> None:
        account, open_orders, fills = await rig.traces()
        assert (account.wallet, account.positions, open_orders, fills) == (BALANCE, (), 0, 0)
        assert hours(2) <= account.time_ms < hours(3)

    @played()
    async def test_money_is_decimal_everywhere(self, rig: Rig) -> None:
        report = await rig.placed(order("buy", "1"))
        (fill,) = await rig.trading.fills(since_ms=hours(0))
        account = await rig.trading.account()
        numbers = [report.amount, report.filled, report.average, fill.amount, fill.price, fill.fee, fill.base_fee]
        numbers += [account.wallet, account.positions[0].amount, account.positions[0].entry_price]
        assert all(isinstance(number, Decimal) for number in numbers)

    @played()
    async def test_holdings_are_what_the_fills_add_up_to(self, rig: Rig) -> None:
        for number, amount in enumerate(("1", "0.5", "-0.7")):
            await rig.placed(order(f"o{number}", amount))
            await rig.go_to(3 + number)
        fills = await rig.trading.fills(since_ms=hours(0))
        assert len(fills) == 3
        assert await rig.held() == sum(fill.position_change for fill in fills)

    @played()
    async def test_fills_begin_at_the_time_asked_for_oldest_first(self, rig: Rig) -> None:
        for hour in (3, 4, 5):
            await rig.go_to(hour)
            await rig.placed(order(f"h{hour}", "1"))
        later = await rig.trading.fills(since_ms=hours(4))
        assert [fill.client_order_id for fill in later] == ["h4", "h5"]
        assert not await rig.trading.fills(since_ms=hours(6))

    # what is told

    @played()
    async def test_every_fill_is_told_once(self, rig: Rig) -> None:
        for number in range(6):
            await rig.placed(order(f"n{number}", "1", ETH if number % 2 else BTC))
        told = await rig.heard_fills(6)
        await rig.go_to(3)
        assert sorted(fill.client_order_id for fill in told) == [f"n{number}" for number in range(6)]
        assert len(rig.told(Fill)) == 6

    @played()
    async def test_what_is_told_is_what_is_read(self, rig: Rig) -> None:
        await rig.placed(order("buy", "2"))
        end, (fill,) = await rig.heard_end("buy"), await rig.heard_fills(1)
        assert [fill] == list(await rig.trading.fills(since_ms=hours(0)))
        found = await rig.trading.fetch_order(ETH, "buy")
        assert isinstance(found, Found) and end == found.report

    @played()
    async def test_orders_by_another_hand_are_told_and_seen(self, rig: Rig) -> None:
        outcome = await rig.by_hand(order("web_1", "1"))
        assert isinstance(outcome, Placed)
        await rig.heard_end("web_1")
        (fill,) = await rig.heard_fills(1)
        assert fill.client_order_id == "web_1" and await rig.held() == fill.position_change
        assert [one.trade_id for one in await rig.trading.fills(since_ms=hours(0))] == [fill.trade_id]

    # a second life

    @played()
    async def test_a_restarted_client_sees_what_the_account_holds(self, rig: Rig) -> None:
        await rig.placed(order("before", "2"))
        held, account = await rig.held(), await rig.trading.account()
        await rig.restart()
        again = await rig.trading.account()
        assert (again.wallet, again.positions, await rig.held()) == (account.wallet, account.positions, held)
        assert [fill.client_order_id for fill in await rig.trading.fills(since_ms=hours(0))] == ["before"]

    @played()
    async def test_a_restarted_client_finds_an_order_of_its_former_life(self, rig: Rig) -> None:
        placed = await rig.placed(order("before", "2"))
        await rig.restart()
        found = await rig.trading.fetch_order(ETH, "before")
        assert isinstance(found, Found) and found.report == placed

    @played()
    async def test_a_restarted_client_trades_on(self, rig: Rig) -> None:
        await rig.placed(order("before", "2"))
        held = await rig.held()
        await rig.restart()
        await rig.placed(order("after", "-1"))
        (fill,) = await rig.heard_fills(1)
        assert fill.client_order_id == "after" and await rig.held() == held - 1

    @played()
    async def test_a_restarted_client_hears_bars_and_orders_anew(self, rig: Rig) -> None:
        await rig.go_to(3)
        await rig.restart()
        await rig.go_to(4)
        await rig.placed(order("after", "1"))
        await rig.heard_end("after")
        assert {bar.time_ms for step in rig.steps for bar in step} == {hours(4)}
