"""A result comes back from its JSON as it was; what is no result is refused in a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.trading.reports.result_samples import empty_result, sample_result
from trading.records import Provenance
from trading.reports.result_files import by_exit, result_json, write_json
from trading.reports.result_reading import ResultUnreadable, is_result, read_result, result_of


def document(**changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps(result_json(sample_result()))) | changes


def test_a_result_comes_back_and_is_written_the_same(tmp_path: Path) -> None:
    result = replace(sample_result(), provenance=Provenance("aa", "1.0", {"trading": {"max_positions": 3}}, {}, {}))
    path = write_json(tmp_path / "r.json", result)
    back = read_result(path)
    assert result_json(back) == result_json(result)
    assert [trade.pnl for trade in back.trades] == pytest.approx([trade.pnl for trade in by_exit(result)])
    assert back.provenance == result.provenance


def test_a_result_of_before_versions_is_read() -> None:
    row = document()
    for name in ("result_version", "made_of", "signals", "notes", "risk_trips", "uptime_s", "execution"):
        del row[name]
    for leg in (leg for trade in row["trades"] for leg in trade["legs"]):
        del leg["pnl_price"]
    assert len(result_of(row, "r.json").trades) == len(row["trades"])


def test_a_result_without_trades_or_bars_is_a_result() -> None:
    row = result_json(empty_result())
    assert result_of(json.loads(json.dumps(row)), "r.json").trades == ()


def without(name: str) -> dict[str, Any]:
    row = document()
    del row[name]
    return row


def cut_trade(**changes: Any) -> dict[str, Any]:
    row = document()
    row["trades"][0] |= changes
    return row


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (document(result_version=2), "of version 2, this program reads up to 1: update"),
        (document(result_version="new"), "of version new"),
        (without("equity"), "damaged result .*'equity' is missing"),
        (cut_trade(pnl=999.0), "trade 1 .* says a profit of 999.0, its parts sum to"),
        (cut_trade(pnl="NaN"), "a number was wanted, found 'NaN'"),
        (cut_trade(pnl=float("nan")), "a number was wanted, found nan"),
        (document(trades=[]), "its 0 closed trades and what is open sum to"),
        (document(trades=document()["trades"][:-1]), "its 2 closed trades and what is open sum to"),
        (cut_trade(entry_time="yesterday"), "damaged result"),
        (cut_trade(legs=None), "damaged result"),
        (document(equity_start="a lot"), "a number was wanted"),
        ({"broker": {"type": "mock"}}, "is no result: write one with"),
        ([], "is no result"),
    ],
)
def test_what_is_no_whole_result_is_refused(row: Any, words: str) -> None:
    with pytest.raises(ResultUnreadable, match=words):
        result_of(row, "r.json")


def test_a_file_that_is_not_there_or_no_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResultUnreadable, match="there is no file"):
        read_result(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text(json.dumps(document())[:500])
    with pytest.raises(ResultUnreadable, match="damaged or no JSON"):
        read_result(tmp_path / "cut.json")
    with pytest.raises(ResultUnreadable, match="cannot be read"):
        read_result(tmp_path)


def test_a_config_is_no_result() -> None:
    assert not is_result({"broker": {}, "data": {}, "strategy": {}, "trading": {}})
    assert is_result({"equity_start": 1.0})
