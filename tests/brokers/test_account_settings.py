from __future__ import annotations

from decimal import Decimal

import pytest

from brokers.funding import FundingSchedule
from brokers.simulated.settings import Refused
from ccxt_bt_bridge.words import AccountSettings, NotPlaced, Placed, SymbolSettings
from tests.brokers.markets import Session, bars, flat, hours, market_order, open_exchange, priced_order, source
from tests.virtual_time import run_virtual

D = Decimal
FALLING = [(100, 100), (100, 100), (100, 100), (100, 60), (60, 60), (60, 60)]


def ask(questions, path=None, market=None, **terms):
    async def main():
        exchange = open_exchange(market or source(flat("A", 4), flat("B", 4)), path, **terms)
        try:
            return await questions(exchange)
        finally:
            exchange.close()

    return run_virtual(main())


def code(answer) -> str:
    assert isinstance(answer, Refused | NotPlaced), answer
    return answer.code


def test_an_account_opens_one_way_and_cross_with_the_venues_leverage():
    async def questions(exchange):
        return await exchange.settings(["A", "B"]), await exchange.key_permissions(), await exchange.server_time_ms()

    told, permissions, time_ms = ask(questions)
    assert told == AccountSettings("one_way", tuple(SymbolSettings(s, "cross", D(2)) for s in "AB"))
    assert permissions.may_trade and permissions.may_withdraw is False and time_ms == hours(1)


def test_changed_settings_survive_a_restart(tmp_path):
    async def change(exchange):
        venue = exchange.venue
        answers = [venue.set_leverage("A", 5), venue.set_margin_mode("B", "isolated"), venue.set_position_mode("hedge")]
        assert answers == [None, None, None]

    async def read(exchange):
        return await exchange.settings(["A", "B"])

    ask(change, tmp_path / "x.db")
    expected = AccountSettings("hedge", (SymbolSettings("A", "cross", D(5)), SymbolSettings("B", "isolated", D(2))))
    assert ask(read, tmp_path / "x.db") == expected


def test_an_account_can_open_with_other_settings():
    async def questions(exchange):
        return await exchange.settings(["A"])

    opening = AccountSettings("hedge", (SymbolSettings("A", "isolated", D(7)),))
    assert ask(questions, settings=opening) == opening


def test_nothing_is_changed_to_what_it_is():
    async def questions(exchange):
        return code(exchange.venue.set_margin_mode("A", "cross")), code(exchange.venue.set_position_mode("one_way"))

    assert ask(questions) == ("-4046", "-4059")


@pytest.mark.parametrize("leverage", [0, 126, "2.5", "many", "NaN", -3])
def test_an_impossible_leverage_is_refused(leverage):
    async def questions(exchange):
        return code(exchange.venue.set_leverage("A", leverage)), code(exchange.venue.set_leverage("X", 2))

    assert ask(questions) == ("-4028", "-1121")


def test_an_unknown_mode_is_refused():
    async def questions(exchange):
        return code(exchange.venue.set_margin_mode("A", "half")), code(exchange.venue.set_position_mode("two_way"))

    assert ask(questions) == ("-4047", "-1102")


def test_modes_stay_as_they_are_under_open_positions_and_orders():
    async def questions(exchange):
        venue = exchange.venue
        await exchange.create_order(priced_order("l", "A", "1", price="90"))
        orders = code(venue.set_margin_mode("A", "isolated")), code(venue.set_position_mode("hedge"))
        await exchange.cancel_order("A", "l")
        await exchange.create_order(market_order("in", "A", "1"))
        positions = code(venue.set_margin_mode("A", "isolated")), code(venue.set_position_mode("hedge"))
        return orders, positions, venue.set_margin_mode("B", "isolated")

    assert ask(questions) == (("-4047", "-4067"), ("-4048", "-4068"), None)


def test_an_isolated_positions_leverage_is_not_lowered():
    async def questions(exchange):
        exchange.venue.set_margin_mode("A", "isolated")
        exchange.venue.set_leverage("A", 10)
        await exchange.create_order(market_order("in", "A", "1"))
        return code(exchange.venue.set_leverage("A", 5)), exchange.venue.set_leverage("A", 20)

    assert ask(questions) == ("-4161", None)


def test_a_hedge_mode_account_refuses_one_way_orders():
    async def questions(exchange):
        exchange.venue.set_position_mode("hedge")
        return await exchange.create_order(market_order("in", "A", "1"))

    assert code(ask(questions)) == "-4061"


def test_leverage_decides_how_much_can_be_bought():
    async def questions(exchange):
        exchange.venue.set_leverage("A", 5)
        too_much = await exchange.create_order(market_order("a", "A", "501"))
        return code(too_much), await exchange.create_order(market_order("b", "A", "500"))

    refused, placed = ask(questions, taker_fee=D(0))
    assert refused == "-2019" and isinstance(placed, Placed)


def test_free_is_equity_less_the_margin_of_positions_and_orders():
    async def questions(exchange):
        await exchange.create_order(market_order("in", "A", "-20"))
        await exchange.create_order(priced_order("l", "B", "10", price="90"))
        (balance,) = exchange.venue.balances()
        return await exchange.account(), balance

    account, balance = ask(questions, taker_fee=D(0))
    assert account.free == balance.free == 10_000 - 1_000 - 450
    assert (balance.asset, balance.total, balance.locked) == ("USDT", 10_000, 1_450)


def test_an_order_that_only_makes_a_position_smaller_locks_nothing():
    async def questions(exchange):
        await exchange.create_order(market_order("in", "A", "20"))
        await exchange.create_order(priced_order("out", "A", "-20", price="110"))
        return (await exchange.account()).free

    assert ask(questions, taker_fee=D(0)) == 9_000


# positions, marks and liquidation


def test_a_position_shows_its_margins_at_the_mark_price():
    async def main():
        exchange = open_exchange(source(bars("A", [(100, 100), (100, 110), (111, 111)])), taker_fee=D(0))
        await Session(exchange).play({hours(1): [market_order("in", "A", "10")]})
        return exchange.venue.position("A")

    view = run_virtual(main())
    assert (view.mark_price, view.unrealised, view.notional) == (111, 110, 1_110)
    assert (view.initial_margin, view.maintenance_margin) == (555, D("5.55"))


@pytest.mark.parametrize("amount", ["150", "-150"])
def test_at_its_liquidation_price_an_account_is_at_its_maintenance_margin(amount):
    async def questions(exchange):
        await exchange.create_order(market_order("in", "A", amount))
        await exchange.create_order(market_order("other", "B", "10"))
        return exchange.venue.position("A")

    view = ask(questions, taker_fee=D(0))
    price = view.liquidation_price
    equity = 10_000 + view.amount * (price - 100)
    assert equity == pytest.approx(D("0.005") * (abs(view.amount) * price + 1_000))


def test_a_small_long_position_has_no_liquidation_price():
    async def questions(exchange):
        await exchange.create_order(market_order("in", "A", "1"))
        return exchange.venue.position("A").liquidation_price, exchange.venue.position("B").liquidation_price

    assert ask(questions) == (0, 0)


def test_an_isolated_position_is_liquidated_alone():
    async def main():
        exchange = open_exchange(source(bars("A", FALLING), flat("B", 6)), taker_fee=D(0), leverage=D(4))
        exchange.venue.set_margin_mode("A", "isolated")
        orders = [market_order("a", "A", "10"), market_order("b", "B", "10")]
        orders += [priced_order("rest", "B", "1", price="90"), priced_order("gone", "A", "1", price="50")]
        await Session(exchange).play({hours(1): orders})
        left = [order.request.client_order_id for order in exchange.venue.open_orders()]
        return await exchange.account(), exchange.venue.fills[-1], left

    account, closing, left = run_virtual(main())
    assert [one.symbol for one in account.positions] == ["B"] and account.wallet == 10_000 - 400
    assert closing.client_order_id.startswith("autoclose-") and closing.signed_amount == -10 and left == ["rest"]


def test_a_cross_position_that_falls_as_far_is_carried_by_the_wallet():
    async def main():
        exchange = open_exchange(source(bars("A", FALLING)), taker_fee=D(0), leverage=D(4))
        await Session(exchange).play({hours(1): [market_order("a", "A", "10")]})
        return await exchange.account()

    assert run_virtual(main()).amount("A") == 10


# what a server shows


def test_the_next_funding_is_known_before_it_is_due():
    async def questions(exchange):
        return exchange.venue.next_funding("A"), exchange.venue.next_funding("B")

    due, none = ask(questions, funding={"A": FundingSchedule(None, D("0.0003"))})
    assert (due.rate, due.time_ms) == (D("0.0003"), hours(8)) and none.time_ms == 0


def test_orders_are_found_by_number_and_all_of_a_symbol_are_cancelled_together():
    async def questions(exchange):
        venue = exchange.venue
        for at in range(3):
            await exchange.create_order(priced_order(f"a{at}", "A", "1", price="90"))
        await exchange.create_order(priced_order("b", "B", "1", price="90"))
        gone = venue.cancel_all("A", now_ms=hours(1))
        first = venue.orders.by_id("1")
        return [one.request.client_order_id for one in gone], venue.open_orders(), first, venue.orders.of("A")

    gone, left, first, all_of_a = ask(questions)
    assert gone == ["a0", "a1", "a2"] and [one.request.client_order_id for one in left] == ["b"]
    assert first is all_of_a[0] and first.created_ms == hours(1) and len(all_of_a) == 3


def test_the_forming_bar_shows_no_more_than_its_open_and_klines_are_closed_ones():
    async def questions(exchange):
        tape = exchange.tape
        pages = (
            tape.klines("A", limit=2),
            tape.klines("A", since_ms=hours(2), limit=2),
            tape.klines("A", until_ms=hours(1), limit=5),
        )
        return tape.forming("A"), [[bar.time_ms for bar in page] for page in pages]

    forming, pages = ask(questions, market=source(flat("A", 6)), warmup_bars=4)
    assert (forming.open_ms, forming.close_ms, forming.open) == (hours(4), hours(5), 100)
    assert pages == [[hours(3), hours(4)], [hours(2), hours(3)], [hours(1)]]
