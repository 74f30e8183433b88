from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccxt_bt_bridge.words import NotPlaced, OrderStatus, Placed
from tests.brokers.markets import (
    Session,
    bars,
    flat,
    hours,
    market_order,
    open_exchange,
    priced_order,
    source,
    spot_rules,
)  # fmt: skip
from tests.virtual_time import run_virtual

D = Decimal
FEE = D("0.001")
PATH = [(100, 100), (100, 100), (100, 90), (80, 85), (85, 110), (120, 120), (120, 120)]


def spot(path=None, prices=PATH, **terms):
    market = source(bars("AUSDT", prices), flat("BUSDT", len(prices), 50.0))
    return open_exchange(market, path, markets=spot_rules("AUSDT", "BUSDT"), taker_fee=FEE, **terms)


def ask(questions, **terms):
    async def main():
        return await questions(spot(**terms))

    return run_virtual(main())


def play(orders, **terms):
    async def main():
        session = await Session(spot(**terms)).play({hours(at): sent for at, sent in orders.items()})
        return session, await session.exchange.account()

    return run_virtual(main())


def code(outcome) -> str:
    assert isinstance(outcome, NotPlaced), outcome
    return outcome.code


def totals(exchange) -> dict[str, Decimal]:
    return {one.asset: one.total for one in exchange.venue.balances()}


def test_a_purchase_pays_its_fee_in_base_and_a_sale_in_quote():
    async def questions(exchange):
        await exchange.create_order(market_order("in", "AUSDT", "2"))
        held = totals(exchange)
        await exchange.create_order(market_order("out", "AUSDT", "-1.998"))
        return held, totals(exchange), await exchange.fills(since_ms=0)

    held, after, (bought, sold) = ask(questions)
    assert held == {"A": D("1.998"), "USDT": D(9800)}
    assert (bought.base_fee, bought.fee, bought.position_change) == (D("0.002"), D("0.2"), D("1.998"))
    assert (sold.base_fee, sold.fee) == (0, D("0.1998"))
    assert after == {"A": 0, "USDT": D("9800") + D("199.8") - D("0.1998")}


def test_the_account_shows_the_quote_as_wallet_and_holdings_as_positions():
    async def questions(exchange):
        await exchange.create_order(market_order("a", "AUSDT", "2"))
        await exchange.create_order(priced_order("b", "BUSDT", "10", price="40"))
        return await exchange.account()

    account = ask(questions)
    assert (account.wallet, account.free) == (9800, 9400)
    assert [(one.symbol, one.amount) for one in account.positions] == [("AUSDT", D("1.998"))]


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        (market_order("c", "AUSDT", "-1"), "-2010"),
        (market_order("c", "AUSDT", "100.001"), "-2010"),
        (priced_order("c", "AUSDT", "200", price="90"), "-2010"),
        (market_order("c", "AUSDT", "1", reduce_only=True), "-2010"),
        (market_order("c", "AUSDT", "-1", reduce_only=True), "-2010"),
        (market_order("c", "AUSDT", "0.01"), "-1013"),
        (market_order("c", "AUSDT", "0.0001"), "-1111"),
        (priced_order("c", "AUSDT", "1", price="90.001"), "-1013"),
        (priced_order("c", "AUSDT", "1", price="100", time_in_force="PO"), "-2010"),
        (priced_order("c", "AUSDT", "1", trigger="90"), "-2010"),
        (market_order("c" * 37, "AUSDT", "1"), "-1100"),
    ],
)
def test_what_a_spot_market_forbids_is_refused_with_its_codes(wanted, answer):
    async def questions(exchange):
        return await exchange.create_order(wanted), totals(exchange)

    outcome, left = ask(questions)
    assert code(outcome) == answer and left == {"USDT": 10_000}


def test_an_open_order_locks_what_it_may_spend_and_a_cancel_frees_it():
    async def questions(exchange):
        await exchange.create_order(market_order("in", "AUSDT", "10"))
        await exchange.create_order(priced_order("buy", "BUSDT", "100", price="40"))
        await exchange.create_order(priced_order("sell", "AUSDT", "-4", price="130"))
        locked = {one.asset: (one.free, one.locked) for one in exchange.venue.balances()}
        too_much = code(await exchange.create_order(market_order("more", "AUSDT", "-7")))
        await exchange.cancel_order("AUSDT", "sell")
        return locked, too_much, await exchange.create_order(market_order("more", "AUSDT", "-7"))

    locked, too_much, after = ask(questions)
    assert locked == {"A": (D("5.99"), 4), "USDT": (5_000, 4_000)}
    assert too_much == "-2010" and isinstance(after, Placed)


def test_a_sale_that_only_reduces_is_a_sale_and_is_not_cut_to_the_holding():
    async def questions(exchange):
        await exchange.create_order(market_order("in", "AUSDT", "1.5"))
        too_much = await exchange.create_order(market_order("out", "AUSDT", "-1.5", reduce_only=True))
        sold = await exchange.create_order(market_order("out", "AUSDT", "-1.498", reduce_only=True))
        return code(too_much), sold.report.filled, totals(exchange)["A"]

    assert ask(questions) == ("-2010", D("1.498"), D("0.0005"))


def test_fees_can_be_in_quote_both_ways():
    async def questions(exchange):
        too_much = await exchange.create_order(market_order("all", "AUSDT", "100"))
        await exchange.create_order(market_order("in", "AUSDT", "10"))
        return code(too_much), totals(exchange), (await exchange.fills(since_ms=0))[0]

    refused, left, fill = ask(questions, fees_in_base=False)
    assert refused == "-2010" and left == {"A": 10, "USDT": 8_999} and (fill.fee, fill.base_fee) == (1, 0)


def test_a_duplicate_of_an_open_order_is_refused_in_spots_own_words():
    async def questions(exchange):
        await exchange.create_order(priced_order("x", "AUSDT", "1", price="90"))
        return await exchange.create_order(priced_order("x", "AUSDT", "1", price="90"))

    outcome = ask(questions)
    assert outcome.code == "-2010" and "Duplicate order sent" in outcome.reason


def test_a_stop_buys_no_more_than_the_balance_pays_for_after_a_jump():
    """Locked at 119, and the market opens at 120."""
    session, account = play({4: [priced_order("s", "AUSDT", "90", trigger="119")]})
    assert code(session.outcomes["s"]) == "-2010"  # 90 at 119 is more than there is
    session, account = play({4: [priced_order("s", "AUSDT", "84", trigger="119")]})
    order = session.exchange.venue.order("AUSDT", "s")
    assert order.status is OrderStatus.EXPIRED and order.filled == D("83.333")
    assert 0 <= account.wallet < 120


def test_a_halted_spot_market_takes_no_market_orders():
    prices = [(100, 100), (100, 100), None, None, (110, 110)]
    session, _ = play(
        {2: [market_order("m", "AUSDT", "1"), priced_order("l", "AUSDT", "1", price="90")]}, prices=prices
    )
    assert code(session.outcomes["m"]) == "-1013" and isinstance(session.outcomes["l"], Placed)


def test_balances_survive_a_restart(tmp_path):
    async def life(client_id, amount):
        exchange = spot(tmp_path / "spot.db")
        await exchange.create_order(market_order(client_id, "AUSDT", amount))
        seen = totals(exchange)
        exchange.close()
        return seen

    assert run_virtual(life("in", "2")) == {"A": D("1.998"), "USDT": 9800}
    assert run_virtual(life("more", "1")) == {"A": D("2.997"), "USDT": 9700}


def test_there_is_neither_leverage_nor_funding_nor_a_symbols_setting():
    async def questions(exchange):
        return await exchange.settings(["AUSDT"]), exchange.venue.positions(), exchange.venue.next_funding("AUSDT")

    told, positions, funding = ask(questions)
    assert told.symbols == () and told.position_mode == "one_way" and positions == () and funding.time_ms == 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 6), st.sampled_from(["AUSDT", "BUSDT"]), st.sampled_from(["market", "limit", "stop"]),
            st.decimals("-40", "40", places=3).filter(bool), st.integers(45, 125),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_no_balance_is_ever_negative_and_every_unit_is_accounted_for(wanted):
    orders: dict = {}
    for number, (hour, symbol, kind, amount, price) in enumerate(wanted):
        given_price = {"market": {}, "limit": {"price": str(price)}, "stop": {"trigger": str(price)}}[kind]
        make = priced_order if given_price else market_order
        orders.setdefault(hour, []).append(make(f"o{number}", symbol, str(amount), **given_price))
    session, account = play(orders, slippage_bps=D(3))
    venue = session.exchange.venue
    assert all(one.total >= 0 and one.free >= 0 for one in venue.balances())
    quote = D(10_000)
    for fill in venue.fills:
        quote -= fill.signed_amount * fill.price + (0 if fill.base_fee else fill.fee)
    assert account.wallet == quote
    for symbol in ("AUSDT", "BUSDT"):
        held = sum((fill.position_change for fill in venue.fills if fill.symbol == symbol), D(0))
        assert account.amount(symbol) == held
