"""Trades for accounts: every row exact, and the sums those of the journal."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest

from tests.management.lived_bot import lived_bot
from trading.reports.accounts import FILL_COLUMNS, LEG_COLUMNS, PAIR_COLUMNS, Period, fill_rows, leg_rows, pair_rows
from trading.reports.csv_text import csv_cell, csv_text

D = Decimal


def rows(columns, made) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_text(columns, made))))


def fills() -> list[dict[str, str]]:
    with lived_bot().journal() as journal:
        return rows(FILL_COLUMNS, fill_rows(journal, 1, Period()))


def total(made: list[dict[str, str]], name: str) -> Decimal:
    return sum((D(row[name]) for row in made if row[name]), D(0))


def test_pairs_and_legs_sum_to_the_profit_of_the_journal() -> None:
    trades = lived_bot().result.trades
    profit = sum(trade.pnl for trade in trades)
    pairs, legs = rows(PAIR_COLUMNS, pair_rows(trades, 1, Period())), rows(LEG_COLUMNS, leg_rows(trades, 1, Period()))
    assert total(pairs, "pnl") == total(legs, "pnl") == profit
    assert len(pairs) == len(trades) and len(legs) == 2 * len(trades)
    assert total(pairs, "pnl_price") + total(pairs, "pnl_fees") + total(pairs, "pnl_funding") == profit


def test_fills_and_payments_sum_to_each_trade_exactly() -> None:
    lived, made = lived_bot(), fills()
    for trade in lived.result.trades:
        entry = f"{trade.entry_time:%Y-%m-%dT%H:%M:%SZ}"
        own = [row for row in made if (row["pair_id"], row["entry_time"]) == (trade.pair_id, entry)]
        assert total(own, "pnl") == trade.pnl
        assert total(own, "pnl_price") == trade.pnl_price
        assert total(own, "fee_quote") == -trade.pnl_fees
        assert total(own, "funding") == trade.pnl_funding


def test_a_fill_has_what_an_accountant_asks_for() -> None:
    with lived_bot().journal() as journal:
        booked = journal.fills_of_run(1)
    made = [row for row in fills() if row["kind"] == "fill"]
    assert len(made) == len(booked)
    by_id = {(row["symbol"], row["trade_id"]): row for row in made}
    for fill in booked:
        row = by_id[(fill.symbol, fill.trade_id)]
        assert D(row["quantity"]) == fill.amount and D(row["price"]) == fill.price and D(row["fee"]) == fill.fee
        assert D(row["quote_value"]) == fill.amount * fill.price
        assert (row["side"], row["order_id"], row["fee_currency"]) == (fill.side.value, fill.order_id, "USDT")
        assert row["time"].endswith("Z") and row["run"] == "1"


def test_a_period_holds_what_happened_in_it() -> None:
    trades = lived_bot().result.trades
    middle = trades[8].exit_time
    early = rows(PAIR_COLUMNS, pair_rows(trades, 1, Period(end=middle)))
    late = rows(PAIR_COLUMNS, pair_rows(trades, 1, Period(start=middle)))
    both = [trade for trade in trades if trade.exit_time == middle]
    assert len(early) + len(late) == len(trades) + len(both)
    assert 0 < len(early) < len(trades)


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\tx", "\r=1"])
def test_text_never_becomes_a_formula(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


def test_numbers_keep_their_sign_and_their_digits() -> None:
    assert csv_cell(D("-0.000000010")) == "-0.000000010"
    assert csv_cell(D("1E+3")) == "1000"
    assert [csv_cell(value) for value in (None, False, -0.5, 3)] == ["", "false", "-0.5", "3"]
