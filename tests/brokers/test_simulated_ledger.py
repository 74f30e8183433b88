from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.fills import fee
from brokers.simulated.ledger import Ledger, Position, Totals
from ccxt_bt_bridge.words import Fill, FundingPayment, Side

D = Decimal
AMOUNTS = st.decimals("0.001", "500", places=3)
PRICES = st.decimals("0.00001", "90000", places=5)
TRADES = st.tuples(st.sampled_from(["BTCUSDT", "ETHUSDT"]), st.sampled_from(list(Side)), AMOUNTS, PRICES)
FUNDINGS = st.tuples(st.sampled_from(["BTCUSDT", "ETHUSDT"]), st.decimals("-50", "50", places=8))


def fill_of(symbol: str, side: Side, amount: Decimal, price: Decimal) -> Fill:
    return Fill("1", "1", "c", symbol, side, amount, price, fee(amount, price, D("0.0005")), 0)


def test_adding_averages_the_entry_and_reducing_keeps_it():
    position, _ = Position("X").after(D(1), D(100))
    position, realised = position.after(D(3), D(200))
    assert (position.amount, position.entry_price, realised) == (4, 175, 0)
    position, realised = position.after(D(-1), D(205))
    assert (position.amount, position.entry_price, realised) == (3, 175, 30)


def test_a_short_earns_when_the_price_falls():
    position, _ = Position("X").after(D(-2), D(100))
    assert position.entry_price == 100
    position, realised = position.after(D(1), D(90))
    assert (position.amount, realised) == (-1, 10)


def test_a_trade_through_zero_realises_all_and_opens_the_rest_at_its_price():
    position, _ = Position("X").after(D(2), D(100))
    position, realised = position.after(D(-5), D(110))
    assert (position.amount, position.entry_price, realised) == (-3, 110, 20)


@given(st.lists(TRADES | FUNDINGS, max_size=40))
def test_every_cent_is_accounted_for(happenings):
    """initial - Σ q·p - Σ fee + Σ funding == wallet - Σ cost, and positions are the sums of fills: exactly."""
    ledger, cash, sums = Ledger(Totals(D(10_000))), D(10_000), {}
    for one in happenings:
        if len(one) == 2:
            ledger.apply_funding(FundingPayment("p", one[0], one[1], D(0), D(1), 0))
            cash += one[1]
            continue
        fill = fill_of(*one)
        ledger.apply_fill(fill)
        cash -= fill.signed_amount * fill.price + fill.fee
        sums[fill.symbol] = sums.get(fill.symbol, D(0)) + fill.signed_amount
    assert cash == ledger.wallet - sum((position.cost for position in ledger.positions), D(0))
    assert {one.symbol: one.amount for one in ledger.positions} == {s: q for s, q in sums.items() if q}
    totals = ledger.totals
    assert ledger.wallet == totals.initial + totals.realised - totals.fees + totals.funding


@given(st.lists(st.tuples(st.sampled_from(list(Side)), AMOUNTS, PRICES), min_size=1, max_size=20))
def test_a_flat_position_leaves_no_crumb(trades):
    position = Position("X")
    for side, amount, price in trades:
        position, _ = position.after(side.sign * amount, price)
    position, _ = position.after(-position.amount, D(5))
    assert position == Position("X")
