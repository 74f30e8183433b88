"""Promises of a spot account: holdings instead of positions, no shorts, no leverage, fees in what was bought."""

from __future__ import annotations

from decimal import Decimal

from tests.brokers.contract.orders import refuses
from tests.brokers.contract.rig import BALANCE, BTC, ETH, TAKER_FEE, Contract, Rig, limit, order, played
from tests.brokers.markets import hours


class SpotContract(Contract):
    @played()
    async def test_what_is_bought_is_held_less_the_fee_that_was_taken_from_it(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        (fill,) = await rig.trading.fills(since_ms=hours(0))
        assert fill.base_fee == 2 * TAKER_FEE and fill.fee == fill.base_fee * fill.price
        assert await rig.held() == 2 - 2 * TAKER_FEE

    @played()
    async def test_a_purchase_takes_its_price_from_the_wallet_and_no_fee(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        assert (await rig.trading.account()).wallet == BALANCE - 2 * 102

    @played()
    async def test_a_sale_pays_its_fee_in_quote_currency(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        await rig.placed(order("out", "-1"))
        fills = await rig.trading.fills(since_ms=hours(0))
        assert fills[1].base_fee == 0 and fills[1].fee == 102 * TAKER_FEE
        assert (await rig.trading.account()).wallet == BALANCE - 2 * 102 + 102 - 102 * TAKER_FEE

    @played()
    async def test_nothing_can_be_sold_that_is_not_held(self, rig: Rig) -> None:
        await refuses(rig, order("short", "-1"))

    @played()
    async def test_no_more_can_be_sold_than_is_held(self, rig: Rig) -> None:
        await rig.placed(order("in", "1"))
        await refuses(rig, order("out", "-1"))  # the fee came out of what was bought
        await rig.placed(order("less", "-0.999"))

    @played()
    async def test_no_more_can_be_bought_than_the_wallet_pays_for(self, rig: Rig) -> None:
        await refuses(rig, order("much", "99"))
        assert (await rig.placed(order("all", "98"))).filled == 98

    @played()
    async def test_a_reduce_only_sale_is_a_sale(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        assert (await rig.placed(order("out", "-1", reduce_only=True))).filled == 1

    @played()
    async def test_a_reduce_only_purchase_is_refused(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        await refuses(rig, order("more", "1", reduce_only=True))

    @played()
    async def test_a_reduce_only_sale_of_more_than_is_held_is_refused(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        await refuses(rig, order("out", "-5", reduce_only=True))

    @played()
    async def test_a_spot_account_has_no_funding(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        await rig.go_to(11)
        assert list(await rig.trading.funding(since_ms=hours(0))) == []

    @played()
    async def test_holdings_are_positions_of_their_symbols(self, rig: Rig) -> None:
        await rig.placed(order("eth", "2"))
        await rig.placed(order("btc", "1", BTC))
        positions = (await rig.trading.account()).positions
        assert {position.symbol: position.amount for position in positions} == {
            ETH: 2 - 2 * TAKER_FEE,
            BTC: 1 - TAKER_FEE,
        }

    @played()
    async def test_no_money_is_made_or_lost_on_the_way(self, rig: Rig) -> None:
        for number, (symbol, amount) in enumerate(((ETH, "2"), (BTC, "1"), (ETH, "-1.5"), (BTC, "-0.9"), (ETH, "1"))):
            await rig.placed(order(f"o{number}", amount, symbol))
            await rig.go_to(3 + number)
        fills = await rig.trading.fills(since_ms=hours(0))
        account = await rig.trading.account()
        paid = sum(fill.signed_amount * fill.price + (0 if fill.base_fee else fill.fee) for fill in fills)
        assert len(fills) == 5 and account.wallet == BALANCE - paid
        for symbol in (ETH, BTC):
            assert account.amount(symbol) == sum(f.position_change for f in fills if f.symbol == symbol)

    @played()
    async def test_a_resting_purchase_binds_its_whole_price(self, rig: Rig) -> None:
        await rig.placed(limit("rest", "10", 90))
        account = await rig.trading.account()
        assert (account.wallet, account.free) == (BALANCE, BALANCE - 900)
        await refuses(rig, order("more", "95"))

    @played()
    async def test_a_resting_sale_binds_what_is_to_be_sold(self, rig: Rig) -> None:
        await rig.placed(order("in", "2"))
        await rig.placed(limit("rest", "-1.5", 200))
        await refuses(rig, order("more", "-1"))
        assert await rig.held() == 2 - 2 * TAKER_FEE

    @played()
    async def test_a_purchase_may_be_any_part_that_the_step_allows(self, rig: Rig) -> None:
        report = await rig.placed(order("in", "0.123"))
        assert report.filled == Decimal("0.123")
