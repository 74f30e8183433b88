"""A run in a journal, read back: what the bot itself said at its end."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.management.lived_bot import lived_bot
from trading.market_input import DataChoice, market_input
from trading.reports.cautions import cautions
from trading.reports.performance import metrics
from trading.reports.run_reading import RunUnknown, run_of, run_result


def last_prices() -> dict[str, float]:
    market = market_input(lived_bot().config, DataChoice())
    return {symbol: float(series.close[-1]) for symbol, series in market.source.series.items()}


def test_a_run_is_read_back_as_the_bot_reported_it() -> None:
    lived = lived_bot()
    with lived.journal() as journal:
        back = run_result(journal, lived.config, run_of(journal, None, "0001"), last_prices())
    told = lived.result
    assert back.trades == told.trades and back.refused == told.refused and back.equity == told.equity
    assert [(o.pair_id, o.legs, o.unrealised) for o in back.open] == [
        (o.pair_id, o.legs, o.unrealised) for o in told.open
    ]
    assert back.open, "the run should end with a pair open"
    assert (back.equity_start, back.equity_end) == (told.equity_start, told.equity_end)
    assert (back.bars, back.signals) == (told.bars, told.signals)
    assert back.bars_in_position == told.bars_in_position
    assert (back.start, back.end, back.notes) == (told.start, told.end, told.notes)
    assert any("settlements" in note for note in back.notes)
    assert cautions(back) == cautions(told)
    assert metrics(back).sharpe == metrics(told).sharpe
    assert float(back.turnover_notional) == pytest.approx(float(told.turnover_notional))
    assert back.provenance is not None and told.provenance is not None
    assert back.provenance.config_sha256 == told.provenance.config_sha256
    assert back.provenance.terms == told.provenance.terms and back.provenance.data == told.provenance.data


def test_without_prices_open_pairs_stand_at_their_entry_and_that_is_said() -> None:
    lived = lived_bot()
    with lived.journal() as journal:
        back = run_result(journal, lived.config, run_of(journal, 1, "0001"))
    fees_and_funding = sum((leg.fees + leg.funding for one in back.open for leg in one.legs), Decimal(0))
    assert sum(one.unrealised for one in back.open) == fees_and_funding
    assert any("at their entry prices" in note for note in back.notes)


def test_an_unknown_run_is_told_with_those_there_are() -> None:
    with lived_bot().journal() as journal, pytest.raises(RunUnknown, match="0001 has no run 7; its journal has run 1"):
        run_of(journal, 7, "0001")


def test_terms_name_rules_and_limits_and_no_secret() -> None:
    made_of = lived_bot().result.provenance
    assert made_of is not None
    terms = made_of.terms
    assert terms["strategy"]["entry_logic"]["params"]["e_entry_z"] == 2.0
    assert terms["risk_management"]["max_daily_trades"] == 2
    assert [pair["pair_id"] for pair in terms["pairs"]] == ["ETH_BTC", "LTC_BCH", "ADA_XRP"]
    assert not {"notifications", "logging", "state"} & set(terms)
    assert made_of.versions["python"] and made_of.data["source"] == "mock"
