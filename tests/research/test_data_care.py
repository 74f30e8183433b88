"""Every symbol that cannot be compared is left out with its reason; nothing is filled or guessed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ccxt_bt_bridge.series import BarSeries
from feeds.history import HistoryError
from research.scan.data_care import Care, Universe, universe
from research.scan.errors import ScanError
from research.scan.folder import read_folder
from tests.research.markets import HOUR_MS, T0, series, walk, with_close, without, write

BARS = 200


def good(symbol: str, seed: int, bars: int = BARS) -> BarSeries:
    return series(symbol, walk(seed, bars))


def with_odd(odd: BarSeries, care: Care | None = None, bars: int = BARS) -> Universe:
    """The odd one among three good ones."""
    others = [good(f"{name}USDT", seed) for seed, name in enumerate(("AAA", "BBB", "CCC"))]
    return universe([*others, odd], bars=bars, care=care or Care())


def reason(odd: BarSeries, care: Care | None = None) -> str:
    found = with_odd(odd, care)
    assert found.symbols == ("AAAUSDT", "BBBUSDT", "CCCUSDT")
    (excluded,) = found.excluded
    assert excluded.name == odd.symbol
    return excluded.reason


ODD = good("ODDUSDT", 9)
CASES: dict[str, tuple[BarSeries, str]] = {
    "listed late": (ODD.slice(10, BARS), "listed late: lacks 10 of 200 bars, its first is 2024-01-01T11:00Z"),
    "ends early": (ODD.slice(0, BARS - 2), "ends early (delisted, or not up to date): lacks 2 of 200 bars"),
    "holes": (without(ODD, range(50, 53)), "has holes: lacks 3 of 200 bars, 3 from 2024-01-03T03:00Z"),
    "suspended": (without(ODD, range(50, 80)), "suspended: lacks 30 of 200 bars, 30 from 2024-01-03T03:00Z"),
    "constant": (with_close(ODD, slice(None), 7.0), "constant: every close is 7"),
    "stood still": (with_close(ODD, slice(100, 140), 7.0), "the same close for 40 bars from 2024-01-05T05:00Z"),
    "no number": (with_close(ODD, 17, math.nan), "1 of 200 closes are no positive numbers, the first 2024-01-01T18"),
    "another coin": (series("ODDUSDT", walk(9, BARS) + 9.0 * (np.arange(BARS) > 150)), "another coin, a split or a"),
    "stablecoin": (good("TUSDUSDT", 9), "TUSD is a stablecoin"),
    "currency": (good("EURUSDT", 9), "EUR is a currency, not a coin"),
    "pegged": (series("NEWUSDT", walk(9, BARS, step=1e-5)), "a pegged coin"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_with_a_symbol_is_said(case: str) -> None:
    odd, words = CASES[case]
    assert words in reason(odd)


def test_a_symbol_that_comes_back_as_another_coin_is_told_apart_from_one_with_a_hole() -> None:
    back = with_close(without(ODD, range(60, 120)), slice(60, None), 5_000.0)
    assert "suspended" in reason(back) and "it came back at" in reason(back)


def test_a_symbol_from_before_or_after_the_window_is_said_to_be_so() -> None:
    late = series("LATEUSDT", walk(1, BARS), first_hour=BARS + 1)
    early = [good("AAAUSDT", 1), good("BBBUSDT", 2)]
    found = universe([*early, late], bars=BARS, end_ms=int(early[0].time_ms[-1]))
    assert found.excluded[0].reason.startswith("listed after the window: first bar 2024-01-09T09:00Z")
    with pytest.raises(ScanError, match="AAAUSDT: ended before the window: last bar 2024-01-09T08:00Z"):
        universe([*early, late], bars=BARS)


def test_bars_off_the_full_hour_are_not_compared() -> None:
    odd = BarSeries("ODDUSDT", HOUR_MS, ODD.time_ms + 60_000, *ODD.columns[1:])
    assert "do not close on full intervals" in reason(odd)


def test_a_symbol_that_hardly_trades_is_left_out_where_a_volume_is_asked_for() -> None:
    quiet = BarSeries("ODDUSDT", HOUR_MS, *ODD.columns[:5], np.full(BARS, 0.001))
    assert with_odd(quiet).excluded == ()
    assert reason(quiet, Care(min_volume=1_000.0)).endswith("less than 1,000")


def test_a_large_but_possible_move_is_no_other_coin() -> None:
    crash = np.where(np.arange(BARS) < 100, 0.0, -0.8) + walk(3, BARS)
    assert with_odd(series("ODDUSDT", crash)).excluded == ()
    assert "another coin" in reason(series("ODDUSDT", crash), Care(max_jump=2.0))


def test_an_hour_that_no_symbol_has_is_no_hole_of_any() -> None:
    outage = range(90, 94)
    histories = [without(good(f"{name}USDT", seed), outage) for seed, name in enumerate(("AAA", "BBB"))]
    found = universe(histories, bars=BARS - 4)
    assert found.excluded == () and found.absent_bars == 4 and found.closes.shape == (2, BARS - 4)


def test_the_window_ends_at_the_newest_bar_of_any_symbol_and_a_hint_says_where_the_others_end() -> None:
    ahead = series("AAAUSDT", walk(1, BARS + 2))
    others = [good("BBBUSDT", 2), good("CCCUSDT", 3)]
    with pytest.raises(ScanError, match="one symbol is left of 3.*2 symbols go on until 2024-01-09T08:00Z.*--to"):
        universe([ahead, *others], bars=100)
    found = universe([ahead, *others], bars=100, end_ms=int(others[0].time_ms[-1]))
    assert found.symbols == ("AAAUSDT", "BBBUSDT", "CCCUSDT")
    assert found.time_ms[-1] == T0 + BARS * HOUR_MS


def test_closes_stay_with_their_times() -> None:
    ahead, other = series("AAAUSDT", walk(1, BARS + 5)), series("BBBUSDT", walk(2, BARS), first_hour=4)
    found = universe([ahead, other], bars=60, end_ms=T0 + 190 * HOUR_MS)
    assert found.closes[0].tolist() == ahead.close[130:190].tolist()
    assert found.closes[1].tolist() == other.close[127:187].tolist()


@pytest.mark.parametrize(("bars", "words"), [(5_000, "too little data: 5000 bars"), (59, "too few to test")])
def test_too_little_data_is_said(bars: int, words: str) -> None:
    with pytest.raises(ScanError, match=words):
        universe([good("AAAUSDT", 1), good("BBBUSDT", 2)], bars=bars)


# folders


def test_a_folder_is_read_with_the_hash_of_every_file(tmp_path: Path) -> None:
    write(tmp_path, good("AAAUSDT", 1), good("BBBUSDT", 2), good("CCCUSDT", 3))
    told: list[tuple[str, int, int]] = []
    found = read_folder(tmp_path, "1h", symbols=["BBB/USDT", "AAA/USDT:USDT"], tell=lambda *step: told.append(step))
    assert [one.symbol for one in found.series] == ["BBBUSDT", "AAAUSDT"]
    assert [file.name for file in found.files] == ["BBBUSDT.csv", "AAAUSDT.csv"]
    assert len({file.sha256 for file in found.files}) == 2 and told[-1] == ("reading files", 2, 2)


def test_a_close_that_is_missing_in_a_file_leaves_its_symbol_out(tmp_path: Path) -> None:
    write(tmp_path, good("AAAUSDT", 1), good("BBBUSDT", 2), ODD)
    path = tmp_path / "ODDUSDT.csv"
    lines = path.read_text().splitlines()
    lines[5] = ",".join([*lines[5].split(",")[:4], "", "1.0"])
    path.write_text("\n".join(lines))
    found = universe(read_folder(tmp_path, "1h").series, bars=BARS)
    assert [one.reason for one in found.excluded] == [
        "1 of 200 closes are no positive numbers, the first 2024-01-01T05:00Z"
    ]


def _no_folder(folder: Path) -> Path:
    return folder / "nowhere"


def _empty(folder: Path) -> Path:
    return folder


def _one(folder: Path) -> Path:
    return write(folder, good("AAAUSDT", 1))


BAD_FOLDERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no folder": (_no_folder, "no folder"),
    "no files": (_empty, "has no bars: wanted one SYMBOL.csv"),
    "one symbol": (_one, "two symbols are wanted for a pair"),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_folder_that_cannot_be_scanned_is_refused_in_a_sentence(tmp_path: Path, case: str) -> None:
    make, words = BAD_FOLDERS[case]
    with pytest.raises((ScanError, HistoryError), match=words):
        read_folder(make(tmp_path), "1h")


def test_a_file_that_cannot_be_read_leaves_its_symbol_out(tmp_path: Path) -> None:
    write(tmp_path, good("AAAUSDT", 1), good("BBBUSDT", 2))
    (tmp_path / "CCCUSDT.csv.gz").write_bytes(b"no gzip at all")
    read = read_folder(tmp_path, "1h")
    found = universe(read.series, bars=BARS, lost=read.unreadable)
    assert found.symbols == ("AAAUSDT", "BBBUSDT") and [file.name for file in read.files] == [
        "AAAUSDT.csv", "BBBUSDT.csv",
    ]  # fmt: skip
    (lost,) = found.excluded
    assert lost.name == "CCCUSDT" and "CCCUSDT.csv.gz: cannot be read" in lost.reason


def test_where_no_file_can_be_read_each_is_named_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path, good("AAAUSDT", 1), good("BBBUSDT", 2))
    read = read_folder(tmp_path, "5m")
    with pytest.raises(ScanError, match="AAAUSDT: .*wanted bars of 5m, but its rows are mostly 1h apart") as told:
        universe(read.series, bars=BARS, lost=read.unreadable)
    assert "BBBUSDT: " in str(told.value)
