"""Trades for accounts: every row exact, and the sums those of the journal."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ccxt_bt_bridge.words import Fill, Side
from pairs.words import entry_ref
from tests.management.lived_bot import lived_bot
from trading.journal.writer import Journal
from trading.records import LegRecord, TradeRecord
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


def test_partial_closes_sum_exactly_and_dust_is_written_off(tmp_path: Path) -> None:
    entered = datetime(2024, 1, 1, tzinfo=UTC)
    plays = [("buy", "3", "10.01"), ("sell", "1", "11"), ("sell", "1", "11.5"), ("sell", "0.9", "9")]
    cash = sum(D(amount) * D(price) * (1 if side == "sell" else -1) for side, amount, price in plays)
    leg = LegRecord("ETHUSDT", D(3), D("10.01"), D("10.5"), cash, D("-0.4"), D(0), D(0))
    trade = TradeRecord("P", "long", entered, entered + timedelta(hours=1), None, None, "stop", False, (leg,), D(0))
    with Journal.open(tmp_path / "j.sqlite", bot_id="b", mode="mock", account="a") as journal:
        run = journal.start_run(started=entered, config_sha256="", code_version="")
        for number, (side, amount, price) in enumerate(plays):
            fill = Fill(
                str(number), "1", "c", "ETHUSDT", Side(side), D(amount), D(price), D("0.1"), 1_704_067_200_000 + number
            )
            journal.record_fill(fill, "P", entry_ref("P", entered))
        journal.save_trade(trade)
        made = rows(FILL_COLUMNS, fill_rows(journal, run, Period()))
    assert [row["kind"] for row in made if row["kind"] != "fill"] == ["written_off"]
    assert total(made, "pnl_price") == cash and total(made, "pnl") == trade.pnl
    assert D(made[1]["pnl_price"]) == D("0.99") and D(made[2]["pnl_price"]) == D("1.49")
    assert next(D(row["pnl"]) for row in made if row["kind"] == "written_off") == D("-1.001")


def test_a_fee_taken_in_base_is_told_in_base_and_in_quote(tmp_path: Path) -> None:
    entered = datetime(2024, 1, 1, tzinfo=UTC)
    with Journal.open(tmp_path / "j.sqlite", bot_id="b", mode="mock", account="a") as journal:
        run = journal.start_run(started=entered, config_sha256="", code_version="")
        bought = Fill("1", "1", "c", "ETHUSDT", Side.BUY, D(2), D(100), D("0.2"), 1_704_067_200_000, D("0.002"))
        journal.record_fill(bought, "P", entry_ref("P", entered))
        (row,) = rows(FILL_COLUMNS, fill_rows(journal, run, Period()))
    assert (row["fee"], row["fee_currency"], row["fee_quote"]) == ("0.002", "ETH", "0.2")
    assert D(row["pnl"]) == D("-0.2")


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
