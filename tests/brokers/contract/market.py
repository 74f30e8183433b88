"""Promises of the public side: rules, history, bars, quotes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketUnknown
from tests.brokers.contract.rig import BTC, ETH, START, Contract, Rig, failing, halted, played
from tests.brokers.markets import HOUR_MS, hours


class MarketContract(Contract):
    @played()
    async def test_markets_state_their_rules_in_decimal(self, rig: Rig) -> None:
        rules = (await rig.market.markets())[ETH]
        numbers = (rules.price_tick, rules.amount_step, rules.min_amount, rules.min_notional, rules.taker_fee)
        assert all(isinstance(number, Decimal) for number in numbers)
        assert (rules.price_tick, rules.amount_step) == (Decimal("0.01"), Decimal("0.001"))
        assert (rules.min_amount, rules.min_notional) == (Decimal("0.001"), 5)
        assert (rules.symbol, rules.quote, rules.kind) == (ETH, "USDT", rig.kind)

    @played()
    async def test_history_is_closed_bars_oldest_first_stamped_at_their_close(self, rig: Rig) -> None:
        await rig.go_to(5)
        history = await rig.market.history(ETH, limit=100)
        assert [bar.time_ms for bar in history] == [hours(at) for at in (1, 2, 3, 4, 5)]
        assert [(bar.open, bar.close) for bar in history[-2:]] == [(103.0, 104.0), (104.0, 105.0)]

    @played()
    async def test_history_gives_the_last_bars_when_there_are_more_than_asked_for(self, rig: Rig) -> None:
        await rig.go_to(6)
        assert [bar.time_ms for bar in await rig.market.history(BTC, limit=2)] == [hours(5), hours(6)]

    @played(eth=halted)
    async def test_history_keeps_holes_as_holes(self, rig: Rig) -> None:
        await rig.go_to(8)
        history = await rig.market.history(ETH, limit=3)
        assert [bar.time_ms for bar in history] == [hours(3), hours(4), hours(8)]

    @played()
    async def test_bars_come_once_each_in_order_at_their_close(self, rig: Rig) -> None:
        for hour in (3, 4, 5):
            await rig.go_to(hour)
        told = [bar for step in rig.steps for bar in step]
        for symbol in (ETH, BTC):
            assert [bar.time_ms for bar in told if bar.symbol == symbol] == [hours(at) for at in (3, 4, 5)]

    @played()
    async def test_a_bar_arrives_with_the_numbers_of_the_exchange(self, rig: Rig) -> None:
        await rig.go_to(3)
        bar = next(bar for step in rig.steps for bar in step if bar.symbol == ETH)
        assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (102.0, 103.0, 102.0, 103.0, 10.0)
        assert not bar.synthetic

    @played()
    async def test_bars_that_were_told_are_the_bars_that_history_gives(self, rig: Rig) -> None:
        await rig.go_to(5)
        told = [bar for step in rig.steps for bar in step if bar.symbol == ETH]
        assert told == (await rig.market.history(ETH, limit=3))

    @played()
    async def test_a_stream_goes_on_where_history_ends(self, rig: Rig) -> None:
        history = await rig.market.history(ETH, limit=10)
        await rig.go_to(START + 1)
        first = next(bar for step in rig.steps for bar in step if bar.symbol == ETH)
        assert first.time_ms == history[-1].time_ms + HOUR_MS

    @played(eth=halted)
    async def test_a_symbol_without_a_bar_is_simply_absent(self, rig: Rig) -> None:
        await rig.go_to(6)
        told = {symbol: [b.time_ms for step in rig.steps for b in step if b.symbol == symbol] for symbol in (ETH, BTC)}
        assert told == {ETH: [hours(3), hours(4)], BTC: [hours(3), hours(4), hours(5), hours(6)]}

    @played()
    async def test_the_quote_is_the_price_of_this_moment(self, rig: Rig) -> None:
        before = await rig.market.quote(ETH)
        await rig.go_to(5)
        after = await rig.market.quote(ETH)
        assert (before.price, after.price) == (Decimal(102), Decimal(105))
        assert hours(2) <= before.time_ms < hours(3) and hours(5) <= after.time_ms < hours(6)

    @played()
    async def test_prices_are_told_without_asking(self, rig: Rig) -> None:
        for hour in (3, 4):
            await rig.go_to(hour)
            told = [await rig.heard_price(symbol, hour) for symbol in (ETH, BTC)]
            assert [one.price for one in told] == [Decimal(100 + hour), Decimal(200)]
            assert all(hours(hour) <= one.time_ms < hours(hour + 1) for one in told)

    @played()
    async def test_prices_of_a_symbol_come_in_the_order_of_their_times(self, rig: Rig) -> None:
        await rig.go_to(6)
        await rig.heard_price(ETH, 6)
        times = [one.time_ms for one in rig.prices if one.symbol == ETH]
        assert times == sorted(times) and len(times) >= 4

    @played(eth=halted)
    async def test_a_halted_symbol_tells_no_price_but_its_last(self, rig: Rig) -> None:
        await rig.go_to(6)
        await rig.heard_price(BTC, 6)
        assert {one.price for one in rig.prices if one.symbol == ETH and hours(4) <= one.time_ms} <= {Decimal(103)}

    @played(eth=halted)
    async def test_a_halted_symbol_has_no_quote(self, rig: Rig) -> None:
        await rig.go_to(5)
        with pytest.raises(ExchangeUnreachable):
            await rig.market.quote(ETH)
        assert (await rig.market.quote(BTC)).price == 200

    @played()
    async def test_an_unknown_symbol_is_said_to_be_unknown(self, rig: Rig) -> None:
        with pytest.raises(MarketUnknown):
            await rig.market.quote("ETHUSD")
        with pytest.raises(MarketUnknown):
            await rig.market.history("ETHUSD", limit=1)

    @played(faults=(failing("history"),))
    async def test_history_that_cannot_be_had_is_not_empty_history(self, rig: Rig) -> None:
        await rig.go_to(3)
        with pytest.raises(ExchangeUnreachable):
            await rig.market.history(ETH, limit=5)
        assert len(await rig.market.history(ETH, limit=5)) == 3
