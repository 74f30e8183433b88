from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs.words import Pair, PairState
from tests.trading.execution.engine_rig import PAIR, entry_order
from trading.execution.pair_ledger import PairLedger

D = Decimal
START = datetime(2024, 1, 1, tzinfo=UTC)
EQUITY = D(10_000)
AMOUNTS = st.decimals(min_value="0.001", max_value="9", places=3)
PRICES = st.decimals(min_value="0.01", max_value="900", places=2)
FEES = st.decimals(min_value="-1", max_value="1", places=8)  # a rebate is a negative fee
FILLS = st.lists(
    st.tuples(st.sampled_from(["A", "B"]), AMOUNTS, PRICES, FEES, PRICES, st.booleans()), min_size=1, max_size=12
)
FUNDING = st.lists(st.tuples(st.sampled_from(["A", "B"]), FEES), max_size=4)


def ledger_of(*pairs: Pair) -> PairLedger:
    return PairLedger(EQUITY, {pair.pair_id: pair for pair in pairs or (PAIR,)})


def begun(ledger: PairLedger, pair: str = "A_B", legs=None) -> PairLedger:
    ledger.begin(entry_order(pair, legs or {"A": D(2), "B": D(-4)}, START))
    return ledger


def signed(symbol: str, amount: Decimal, enters: bool) -> Decimal:
    """Long A, short B when entering; the reverse when leaving."""
    return amount if (symbol == "A") == enters else -amount


def fill(ledger: PairLedger, one, pair: str = "A_B") -> None:
    symbol, amount, price, fee, reference, enters = one
    ledger.apply_fill(pair, symbol, signed(symbol, amount, enters), price, fee=fee, reference_price=reference)


def close(ledger: PairLedger, price: Decimal, pair: str = "A_B", reason: str = "reversion"):
    """Bring both legs to flat at one price, and finish."""
    ledger.begin_exit(pair, when=START + timedelta(hours=3), zscore=-0.2, reason=reason)
    for symbol in ("A", "B"):
        held = ledger.quantity(pair, symbol)
        if held:
            ledger.apply_fill(pair, symbol, -held, price, fee=D("0.1"), reference_price=price)
    return ledger.finish(pair)


def cash_of(fills, funding) -> Decimal:
    """What the account gained or lost in cash, counted apart from the ledger."""
    paid = sum((signed(s, a, enters) * price + fee for s, a, price, fee, _, enters in fills), D(0))
    return sum((amount for _, amount in funding), D(0)) - paid


@given(fills=FILLS, funding=FUNDING, price=PRICES)
def test_the_legs_of_a_trade_sum_to_the_pair_exactly(fills, funding, price):
    ledger = begun(ledger_of())
    for one in fills:
        fill(ledger, one)
    for symbol, amount in funding:
        ledger.apply_funding("A_B", symbol, amount)
    trade = close(ledger, price)
    legs = trade.legs
    assert trade.pnl == sum(leg.pnl_price + leg.fees + leg.funding for leg in legs)
    assert trade.pnl == trade.pnl_price + trade.pnl_fees + trade.pnl_funding
    assert trade.pnl_funding == sum((amount for _, amount in funding), D(0))


@given(fills=FILLS, funding=FUNDING, at=st.tuples(PRICES, PRICES), price=PRICES)
def test_equity_is_start_plus_closed_plus_open_at_any_prices(fills, funding, at, price):
    ledger = begun(ledger_of())
    for one in fills:
        fill(ledger, one)
    for symbol, amount in funding:
        ledger.apply_funding("A_B", symbol, amount)
    prices = {"A": float(at[0]), "B": float(at[1])}
    worth = sum((ledger.quantity("A_B", s) * D(repr(prices[s])) for s in prices), D(0))
    expected = EQUITY + cash_of(fills, funding) + worth
    assert ledger.equity(prices) == pytest.approx(float(expected), abs=1e-6)
    (record,) = ledger.open_records(prices)
    assert EQUITY + record.unrealised == expected
    trade = close(ledger, price)
    assert ledger.equity(prices) == pytest.approx(float(EQUITY + trade.pnl), abs=1e-6)


@settings(max_examples=60)
@given(fills=FILLS, data=st.data())
def test_the_order_in_which_fills_arrive_does_not_matter(fills, data):
    shuffled = data.draw(st.permutations(fills))
    straight, other = begun(ledger_of()), begun(ledger_of())
    for one, two in zip(fills, shuffled, strict=True):
        fill(straight, one)
        fill(other, two)
    assert straight.position("A_B") == other.position("A_B")
    assert close(straight, D(7)) == close(other, D(7))
    assert straight.turnover_notional == other.turnover_notional


@settings(max_examples=60)
@given(fills=FILLS, funding=FUNDING)
def test_a_restored_and_replayed_pair_equals_the_original(fills, funding):
    original = begun(ledger_of())
    original.set_state("A_B", PairState.OPEN)
    original.add_legging_cost("A_B", D("0.7"))
    snapshot = original.position("A_B")
    for one in fills:
        fill(original, one)
    for symbol, amount in funding:
        original.apply_funding("A_B", symbol, amount)
    again = ledger_of()
    again.restore(snapshot, legging_cost=original.legging_cost("A_B"))
    for one in fills:
        fill(again, one)
    for symbol, amount in funding:
        again.apply_funding("A_B", symbol, amount)
    assert again.positions() == original.positions()
    assert close(again, D(3)) == close(original, D(3))


def test_slippage_and_legging_cost_are_shown_beside_the_profit_not_taken_twice():
    ledger = begun(ledger_of())
    ledger.apply_fill("A_B", "A", D(2), D(101), fee=D("0.1"), reference_price=D(100))
    ledger.apply_fill("A_B", "B", D(-4), D(49), fee=D("0.1"), reference_price=D(50))
    ledger.add_legging_cost("A_B", D("-0.5"))
    trade = close(ledger, D(60))
    assert [leg.slippage for leg in trade.legs] == [D(-2), D(-4)]
    assert trade.pnl_price == D(2) * (60 - 101) + D(-4) * (60 - 49)
    assert trade.pnl == trade.pnl_price + trade.pnl_fees
    assert (trade.legging_cost, trade.direction, trade.exit_z) == (D("-0.5"), "long", -0.2)


def test_a_leg_entered_in_parts_has_the_average_price_of_its_parts():
    ledger = begun(ledger_of())
    for amount, price in ((D(1), D(100)), (D(3), D(104))):
        ledger.apply_fill("A_B", "A", amount, price, fee=D(0), reference_price=price)
    position = ledger.position("A_B")
    assert (position.legs[0].quantity, position.legs[0].entry_price) == (D(4), D(103))
    assert position.gross_notional == 412.0


def test_pairs_that_share_a_symbol_hold_their_own_part_of_the_net():
    other = Pair("C_A", "C", "A")
    ledger = begun(ledger_of(PAIR, other))
    ledger.begin(entry_order("C_A", {"C": D(5), "A": D(-3)}, START))
    ledger.apply_fill("A_B", "A", D(2), D(100), fee=D(0), reference_price=D(100))
    ledger.apply_fill("C_A", "A", D(-3), D(100), fee=D(0), reference_price=D(100))
    assert ledger.net("A") == D(-1)
    assert ledger.pairs_of("A") == {"A_B": D(2), "C_A": D(-3)}
    close(ledger, D(110))
    assert ledger.pairs_of("A") == {"C_A": D(-3)}
    assert ledger.net("B") == 0


def test_a_pair_that_never_filled_leaves_no_trade():
    ledger = begun(ledger_of())
    assert ledger.finish("A_B") is None
    assert (ledger.trades, ledger.open_pairs, ledger.state("A_B")) == ([], (), PairState.FLAT)


def test_a_pair_that_holds_something_cannot_be_finished():
    ledger = begun(ledger_of())
    ledger.apply_fill("A_B", "A", D(2), D(100), fee=D(0), reference_price=D(100))
    with pytest.raises(ValueError, match="A_B is not flat"):
        ledger.finish("A_B")
    assert ledger.quantity("A_B", "A") == D(2)


def test_finished_trades_of_an_earlier_process_count_in_equity():
    first = begun(ledger_of())
    first.apply_fill("A_B", "A", D(2), D(100), fee=D(1), reference_price=D(100))
    trade = close(first, D(110))
    second = ledger_of()
    second.restore_trades([trade], first.turnover_notional)
    assert second.equity({}) == first.equity({}) == float(EQUITY + trade.pnl)
    assert second.turnover_notional == first.turnover_notional == D(420)


def test_a_trade_entered_inside_its_formation_window_says_so():
    window = replace(PAIR, formation_start=START - timedelta(days=9), formation_end=START)
    ledger = begun(ledger_of(window))
    ledger.apply_fill("A_B", "A", D(2), D(100), fee=D(0), reference_price=D(100))
    assert close(ledger, D(1)).in_formation


def test_a_position_without_a_price_is_marked_at_its_entry():
    ledger = begun(ledger_of())
    ledger.apply_fill("A_B", "A", D(2), D(100), fee=D("0.5"), reference_price=D(100))
    assert ledger.equity({}) == 9_999.5
    assert ledger.position("A_B").unrealised_price({"A": 103.0}) == 6.0
