"""Funding rates are added once each, and read back as they came."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ccxt_bt_bridge.series import FundingSeries
from feeds.funding_files import add_funding
from feeds.history import HistoryError, load_funding

EIGHT_HOURS_MS = 8 * 3_600_000
T0 = 1_704_067_200_000


def series(*numbers: int, late_ms: int = 0, rate: str = "0.0001") -> FundingSeries:
    """Events of these eight-hour periods; the first of all has no mark."""
    times = tuple(T0 + number * EIGHT_HOURS_MS + late_ms for number in numbers)
    marks = tuple(Decimal(f"100.{number}") if number else None for number in numbers)
    return FundingSeries("BTCUSDT", times, (Decimal(rate),) * len(numbers), marks)


def test_what_is_written_is_loaded_again(tmp_path: Path) -> None:
    assert add_funding(tmp_path / "funding", series(0, 1, 2)) == 3
    assert load_funding(tmp_path / "funding", "BTC/USDT") == series(0, 1, 2)
    header, first, _, _ = (tmp_path / "funding" / "BTCUSDT.csv").read_text().splitlines()
    assert header == "timestamp,symbol,funding_rate,mark_price"
    assert first == "2024-01-01T00:00:00Z,BTCUSDT,0.0001,"


def test_small_rates_are_written_without_an_exponent(tmp_path: Path) -> None:
    add_funding(tmp_path, series(1, rate="-1E-8"))
    assert ",-0.00000001," in (tmp_path / "BTCUSDT.csv").read_text()


def test_events_that_are_there_are_not_doubled_though_they_come_some_milliseconds_late(tmp_path: Path) -> None:
    add_funding(tmp_path, series(1, 2))
    assert add_funding(tmp_path, series(0, 1, 2, 3, late_ms=7, rate="0.5")) == 2
    loaded = load_funding(tmp_path, "BTCUSDT")
    assert loaded is not None and loaded.time_ms == series(0, 1, 2, 3).time_ms
    assert loaded.rates == (Decimal("0.5"), Decimal("0.0001"), Decimal("0.0001"), Decimal("0.5"))


def test_nothing_new_leaves_the_file_alone(tmp_path: Path) -> None:
    add_funding(tmp_path, series(1, 2))
    before = (tmp_path / "BTCUSDT.csv").stat().st_ino
    assert add_funding(tmp_path, series(1, 2)) == 0
    assert (tmp_path / "BTCUSDT.csv").stat().st_ino == before


def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT.csv").write_text("timestamp,symbol,funding_rate\n2024-01-01T00:00:00Z,BTCUSDT,much\n")
    with pytest.raises(HistoryError, match="funding_rate is not a number: 'much'"):
        add_funding(tmp_path, series(1))
    assert "much" in (tmp_path / "BTCUSDT.csv").read_text()
