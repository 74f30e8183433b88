"""Promises of a USD-M futures account: short positions, netting, reduce-only, funding, leverage."""

from __future__ import annotations

from decimal import Decimal

from brokers.funding import FundingSchedule
from ccxt_bt_bridge.series import FundingSeries
from ccxt_bt_bridge.words import FundingPayment, OrderStatus
from tests.brokers.contract.orders import refuses
from tests.brokers.contract.rig import BALANCE, BTC, ETH, TAKER_FEE, Contract, Rig, order, played
from tests.brokers.markets import hours

RATE = Decimal("0.001")


def funded() -> dict[str, FundingSchedule]:
    """ETH pays at hours 4 and 6, at a mark of 105."""
    series = FundingSeries(ETH, (hours(4), hours(6)), (RATE, -RATE), (Decimal(105), Decimal(105)))
    return {ETH: FundingSchedule(series, Decimal(0))}


class FuturesContract(Contract):
    @played()
    async def test_from_nothing_to_long_to_flat(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        position = (await rig.trading.account()).positions[0]
        assert (position.symbol, position.amount, position.entry_price) == (ETH, 2, 102)
        await rig.placed(order("out", "-2"))
        assert (await rig.trading.account()).positions == ()

    @played()
    async def test_from_nothing_to_short_to_flat(self, rig: Rig) -> None:
        await rig.placed(order("in", "-2"))
        assert await rig.held() == -2
        await rig.placed(order("out", "2"))
        assert await rig.held() == 0

    @played()
    async def test_one_order_turns_a_long_into_a_short(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        await rig.go_to(4)
        await rig.placed(order("turn", "-5"))
        (position,) = (await rig.trading.account()).positions
        assert (position.amount, position.entry_price) == (-3, 104)

    @played()
    async def test_an_entry_price_is_the_average_of_what_was_bought(self, rig: Rig) -> None:
        await rig.placed(order("one", "1"))
        await rig.go_to(4)
        await rig.placed(order("two", "1"))
        (position,) = (await rig.trading.account()).positions
        assert (position.amount, position.entry_price) == (2, 103)

    @played()
    async def test_no_money_is_made_or_lost_on_the_way(self, rig: Rig) -> None:
        for number, (symbol, amount) in enumerate(((ETH, "2"), (BTC, "-1"), (ETH, "-3"), (BTC, "1"), (ETH, "1"))):
            await rig.placed(order(f"o{number}", amount, symbol))
            await rig.go_to(3 + number)
        fills = await rig.trading.fills(since_ms=hours(0))
        account = await rig.trading.account()
        assert account.positions == () and len(fills) == 5
        paid = sum(fill.signed_amount * fill.price + fill.fee for fill in fills)
        assert account.wallet == BALANCE - paid

    @played()
    async def test_fees_are_taken_from_the_wallet_in_quote_currency(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        (fill,) = await rig.trading.fills(since_ms=hours(0))
        assert fill.base_fee == 0
        assert (await rig.trading.account()).wallet == BALANCE - 2 * 102 * TAKER_FEE

    @played()
    async def test_a_reduce_only_order_is_cut_to_the_position(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        report = await rig.placed(order("out", "-5", reduce_only=True))
        assert report.filled == 2 and report.status is OrderStatus.CLOSED
        assert await rig.held() == 0

    @played()
    async def test_a_reduce_only_order_never_opens(self, rig: Rig) -> None:
        refusal = await refuses(rig, order("out", "-1", reduce_only=True))
        assert refusal.code == "-2022"

    @played()
    async def test_a_reduce_only_order_never_adds(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        refusal = await refuses(rig, order("more", "1", reduce_only=True))
        assert refusal.code == "-2022"

    @played()
    async def test_a_reduce_only_order_may_be_smaller_than_the_minimum(self, rig: Rig) -> None:
        await rig.placed(order("in", "1"))
        report = await rig.placed(order("dust", "-0.01", reduce_only=True))
        assert report.filled == Decimal("0.01") and await rig.held() == Decimal("0.99")

    @played()
    async def test_leverage_sets_the_limit(self, rig: Rig) -> None:
        await refuses(rig, order("much", "198"))
        assert (await rig.placed(order("less", "190"))).filled == 190

    @played()
    async def test_a_position_can_be_made_smaller_without_margin(self, rig: Rig) -> None:
        await rig.placed(order("in", "195"))
        await refuses(rig, order("more", "5"))
        assert (await rig.placed(order("less", "-100"))).filled == 100

    @played(funding=funded())
    async def test_funding_is_told_read_and_in_the_wallet(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        before = await rig.trading.account()
        await rig.go_to(5)
        told = await rig.heard(FundingPayment)
        assert (told.symbol, told.amount, told.time_ms) == (ETH, -2 * 105 * RATE, hours(4))
        assert [(p.payment_id, p.amount) for p in await rig.trading.funding(since_ms=hours(0))] == [
            (told.payment_id, told.amount)
        ]
        assert (await rig.trading.account()).wallet == before.wallet + told.amount

    @played(funding=funded())
    async def test_shorts_receive_what_longs_pay_and_the_sign_of_the_rate_turns_it(self, rig: Rig) -> None:
        await rig.placed(order("in", "-2"))
        await rig.go_to(7)
        payments = await rig.trading.funding(since_ms=hours(0))
        assert [payment.amount for payment in payments] == [2 * 105 * RATE, -2 * 105 * RATE]
        assert [payment.time_ms for payment in await rig.trading.funding(since_ms=hours(5))] == [hours(6)]

    @played(funding=funded())
    async def test_who_holds_nothing_pays_no_funding(self, rig: Rig) -> None:
        await rig.go_to(7)
        assert list(await rig.trading.funding(since_ms=hours(0))) == []
        assert (await rig.trading.account()).wallet == BALANCE
