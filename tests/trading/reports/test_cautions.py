"""Each doubt is raised where there is reason for it, with its figure, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.trading.journal.journal_samples import START
from tests.trading.reports.result_samples import sample_leg, sample_result, sample_trade
from trading.records import OpenRecord, Provenance, RunResult, TradeRecord
from trading.reports.cautions import cautions

HOUR = timedelta(hours=1)
D = Decimal


def trade(number: int, pnl: str, *, fees: str = "0", slippage: str = "0", **changes) -> TradeRecord:
    """``pnl`` of price, before fees."""
    leg = sample_leg("ETHUSDT", "1", "100", "100", pnl_price=D(pnl), fees=D(fees), slippage=D(slippage), funding=D(0))
    return replace(sample_trade(number), legs=(leg,), legging_cost=D(0), **changes)


def good(**changes) -> RunResult:
    """A long run of many trades with nothing to say against it."""
    equity = tuple((START + number * HOUR, 10_000.0 + number) for number in range(2_000))
    plain = {
        "trades": tuple(trade(number, "10") for number in range(40)),
        "open": (),
        "refused": (),
        "equity": equity,
        "bars": 2_000,
        "bar_hours": 1.0,
        "notes": (),
        "risk_trips": (),
    }
    return sample_result(**plain | changes)


def said(result: RunResult) -> dict[str, str]:
    return {caution.name: caution.text for caution in cautions(result)}


def test_nothing_is_said_against_a_good_run() -> None:
    assert said(good()) == {}


def unrealised(amount: str) -> tuple[OpenRecord, ...]:
    return (OpenRecord("P", "long", START, (), D(amount)),)


FORMED = {"pair_id": "C_D", "formation_end": "2024-01-01T00:00:00Z"}
CASES = {
    "no_trades": ({"trades": ()}, "no closed trade"),
    "few_trades": ({"trades": tuple(trade(n, "10") for n in range(29))}, "29 trades, fewer than 30"),
    "same_data": ({"trades": tuple(trade(n, "10", in_formation=n < 7) for n in range(40))}, "7 of 40 trades"),
    "costs": ({"trades": tuple(trade(n, "10", fees="-8") for n in range(40))}, "320.00, 80% of the 400.00"),
    "one_trade": ({"trades": (trade(99, "900"), *(trade(n, "10") for n in range(40)))}, "+900.00, 69%"),
    "open_trades": ({"open": unrealised("250")}, "+250.00 is in 1 open pair"),
    "assumed_funding": (
        {"notes": ("funding: 5 settlements from recorded series, 15 from the constant 0.0100% per 8 h",)},
        "15 of 20 funding payments",
    ),
    "risk_limit": ({"risk_trips": ((START, "max_daily_loss"),)}, "1 time, first max_daily_loss"),
    "made_up": ({"provenance": Provenance("aa", "1.0", {}, {}, {"source": "mock"})}, "The market is made up"),
    "unknown_formation": (
        {"provenance": Provenance("aa", "1.0", {"pairs": [{"pair_id": "A_B"}, FORMED]}, {}, {"source": "csv"})},
        "1 of 2 pairs do not say on which data they were chosen (A_B)",
    ),
    "short_period": ({"equity": tuple((START + n * HOUR, 1e4 + n) for n in range(240))}, "10 days"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_reason_to_doubt_is_said_with_its_figure(name: str) -> None:
    changes, words = CASES[name]
    found = said(good(**changes))
    assert words in found[name]
    assert set(found) == {name}


def test_recorded_bars_of_a_folder_are_not_made_up() -> None:
    data = {"source": "mock", "dir": "data"}
    assert said(good(provenance=Provenance("aa", "1.0", {}, {}, data))) == {}


def test_slippage_counts_among_the_costs() -> None:
    found = said(good(trades=tuple(trade(n, "4", fees="-1", slippage="-6") for n in range(40))))
    assert "280.00, 70% of the 400.00" in found["costs"]


def test_costs_beyond_the_edge_are_more_than_all_of_it() -> None:
    found = said(good(trades=tuple(trade(n, "4", fees="-5") for n in range(40))))
    assert "more than all of the 160.00" in found["costs"]


def test_a_long_drawdown_is_told_with_its_share() -> None:
    values = [100.0] * 10 + [90.0] * 60 + [101.0] * 30
    found = said(good(equity=tuple((START + n * HOUR, v) for n, v in enumerate(values)), equity_start=D(100)))
    assert "61% of the run" in found["long_drawdown"] or "62% of the run" in found["long_drawdown"]


def test_recorded_funding_is_not_doubted() -> None:
    note = "funding: 20 settlements from recorded series, 0 from the constant 0.0100% per 8 h"
    assert said(good(notes=(note,))) == {}


def test_legging_that_ate_the_gain_is_told() -> None:
    trades = tuple(replace(trade(n, "10"), legging_cost=D("-6")) for n in range(40))
    assert "took 240.00, beside 400.00" in said(good(trades=trades))["legging"]
