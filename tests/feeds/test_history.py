from __future__ import annotations

import gzip
import sys
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from ccxt_bt_bridge.bt_time import datetime_to_ms, ms_to_datetime
from feeds.history import HistoryError, align, carry, load_bars, load_closes, load_funding, symbols_in

HEADER = "timestamp,open,high,low,close,volume\n"
ROWS = [
    "2024-01-01T00:00:00Z,10,12,9,11,5\n",
    "2024-01-01T01:00:00.000Z,11,13,10,12,6\n",
    "2024-01-01T03:00:00Z,12,14,11,13,0\n",
    "2024-01-01T04:00:00Z,13,15,12,14,7\n",
]


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def closes(series) -> list[str]:
    return [ms_to_datetime(ms).strftime("%H:%M") for ms in series.time_ms.tolist()]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "BTCUSDT.csv").write_text(HEADER + "".join(ROWS))
    (tmp_path / "ETHUSDT.csv.gz").write_bytes(gzip.compress((HEADER + "".join(ROWS[1:])).encode()))
    return tmp_path


@pytest.fixture
def refused(tmp_path):
    """The message with which a file of this text is refused."""

    def load(text: str, interval: str = "1h") -> str:
        (tmp_path / "BADUSDT.csv").write_text(text)
        with pytest.raises(HistoryError) as caught:
            load_bars(tmp_path, "BADUSDT", interval)
        return str(caught.value)

    return load


def test_a_bar_s_time_is_its_close_and_a_hole_stays_a_hole(folder):
    series = load_bars(folder, "BTCUSDT", "1h")
    assert closes(series) == ["01:00", "02:00", "04:00", "05:00"]
    assert series.open.tolist() == [10, 11, 12, 13] and series.volume.tolist() == [5, 6, 0, 7]
    assert not series.close_only and series.notes == ()


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USDT", "BTC/USDT:USDT", "btc/usdt"])
def test_every_notation_means_the_same_file(folder, symbol):
    assert load_bars(folder, symbol, "1h").symbol == "BTCUSDT"


def test_gzip_reads_like_plain_text(folder):
    assert load_bars(folder, "ETHUSDT", "1h").close.tolist() == [12, 13, 14]


def test_start_and_end_are_close_times_and_inclusive(folder):
    series = load_bars(folder, "BTCUSDT", "1h", start=at(2024, 1, 1, 2), end=at(2024, 1, 1, 4))
    assert closes(series) == ["02:00", "04:00"]


def test_a_range_without_bars_says_what_there_is(folder):
    with pytest.raises(HistoryError, match="2024-01-01T01:00:00.*2024-01-01T05:00:00"):
        load_bars(folder, "BTCUSDT", "1h", start=at(2025, 1, 1))


def test_a_naive_start_is_refused(folder):
    with pytest.raises(HistoryError, match="start: .*time zone"):
        load_bars(folder, "BTCUSDT", "1h", start=datetime(2024, 1, 1))


def test_a_missing_file_lists_what_exists_and_guesses(folder):
    with pytest.raises(HistoryError, match="did you mean BTCUSDT.*BTCUSDT, ETHUSDT"):
        load_bars(folder, "BTCUSD", "1h")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(HistoryError, match="no folder .*nowhere"):
        load_bars(tmp_path / "nowhere", "BTCUSDT", "1h")


def test_an_empty_folder_is_called_empty(tmp_path):
    with pytest.raises(HistoryError, match="no such file at all"):
        load_bars(tmp_path, "BTCUSDT", "1h")


def test_an_unknown_interval_lists_the_known(folder):
    with pytest.raises(HistoryError, match="'1w'.*30m, 1h"):
        load_bars(folder, "BTCUSDT", "1w")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("2024-01-01T05:00:00Z,1,2,1\n", "line 6: expected 6 fields, found 4"),
        ("yesterday,10,12,9,11,5\n", "line 6: timestamp is not an ISO-8601 time in UTC: 'yesterday'"),
        ("2024-01-01T05:00:00,10,12,9,11,5\n", "line 6: timestamp is not an ISO-8601 time in UTC"),
        (",10,12,9,11,5\n", "line 6: timestamp is not"),
        ("2024-01-01T05:00:00Z,ten,12,9,11,5\n", "line 6: open is not a number: 'ten'"),
        ("2024-01-01T05:00:00Z,10,12,9,,5\n", "line 6: close is not a number: ''"),
        ("2024-01-01T05:00:00Z,10,12,9,nan,5\n", "line 6: close is not a positive number"),
        ("2024-01-01T05:00:00Z,10,inf,9,11,5\n", "line 6: high is not a positive number"),
        ("2024-01-01T05:00:00Z,10,12,0,11,5\n", "line 6: low is not a positive number"),
        ("2024-01-01T05:00:00Z,10,12,9,11,-5\n", "line 6: volume is not a number of 0 or more"),
        ("2024-01-01T05:00:00Z,10,9,12,11,5\n", "line 6: high is below low"),
        ("2024-01-01T05:00:00Z,10,12,9,13,5\n", "line 6: open or close lies outside"),
        (ROWS[3], "line 6: this time occurs twice"),
        (ROWS[0], "line 6: this time lies before that of the row above"),
        ("2024-01-01T04:30:00Z,10,12,9,11,5\n", "line 6: less than 1h after the row above"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(refused, row, complaint):
    assert complaint in refused(HEADER + "".join(ROWS) + row)


def test_line_numbers_count_blank_lines(refused):
    assert "line 4: open" in refused(HEADER + ROWS[0] + "\n" + "2024-01-01T01:00:00Z,x,12,9,11,5\n")


def test_a_missing_column_says_which_were_found(refused):
    assert "no column 'volume'; found timestamp, open" in refused(
        "timestamp,open,high,low,close\n2024-01-01T00:00:00Z,1,1,1,1\n"
    )
    assert "no column 'high'" in refused("timestamp,open,close,volume\n2024-01-01T00:00:00Z,1,1,1\n")
    assert "no column 'timestamp'" in refused("time,open,high,low,close,volume\n")


def test_files_without_rows_are_refused(refused):
    assert "the file is empty" in refused("")
    assert "no rows below the header" in refused(HEADER)


def test_the_wrong_interval_is_named(refused):
    message = refused(HEADER + "".join(ROWS), "5m")
    assert "wanted bars of 5m" in message and "mostly 1h apart" in message


def test_bytes_that_are_no_text_and_broken_gzip_are_refused(tmp_path):
    (tmp_path / "A.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "B.csv.gz").write_bytes(gzip.compress(b"timestamp")[:-6])
    (tmp_path / "C.csv.gz").write_bytes(b"plain text")
    for symbol in "ABC":
        with pytest.raises(HistoryError, match="cannot be read as CSV"):
            load_bars(tmp_path, symbol, "1h")


def test_a_byte_order_mark_and_windows_lines_do_not_matter(tmp_path):
    (tmp_path / "X.csv").write_bytes(("\ufeff" + HEADER + "".join(ROWS)).replace("\n", "\r\n").encode())
    assert load_bars(tmp_path, "X", "1h").close.tolist() == [11, 12, 13, 14]


def test_close_only_files_say_so(tmp_path):
    (tmp_path / "ETF.csv").write_text("date,close\n2024-01-02,10\n2024-01-03,11\n")
    series = load_bars(tmp_path, "ETF", "1d")
    assert series.close_only and "closes only" in series.notes[0]
    assert series.high.tolist() == series.open.tolist() == [10, 11] and series.volume.tolist() == [0, 0]
    assert series.time_ms[0] == datetime_to_ms(at(2024, 1, 3))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "X.parquet").write_bytes(b"PAR1")
    with pytest.raises(HistoryError, match=r"pyarrow.*tandem-pairs\[parquet\]"):
        load_bars(tmp_path, "X", "1h")


def write_parquet(path, series, times, **options):
    """A Parquet file of the series' bars, opened at ``times``."""
    names = ("open", "high", "low", "close", "volume")
    columns = {"timestamp": times} | {name: getattr(series, name) for name in names}
    pyarrow.parquet.write_table(pyarrow.table(columns), path, **options)


@pytest.mark.parametrize("kind", ["ms", "us", "ns", "text", "integer"])
def test_parquet_reads_like_csv(folder, kind):
    plain = load_bars(folder, "BTCUSDT", "1h")
    opens = plain.time_ms - plain.interval_ms
    if kind == "text":
        times = pyarrow.array([f"{np.datetime64(int(one), 'ms')}Z" for one in opens])
    elif kind == "integer":
        times = pyarrow.array(opens)
    else:
        times = pyarrow.array(opens.astype("datetime64[ms]")).cast(pyarrow.timestamp(kind, tz="UTC"))

    write_parquet(folder / "PQ.parquet", plain, times, row_group_size=3)

    loaded = load_bars(folder, "PQ", "1h")
    assert all(np.array_equal(a, b) for a, b in zip(loaded.columns, plain.columns, strict=True))


def test_a_damaged_parquet_file_says_so(tmp_path):
    (tmp_path / "X.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(HistoryError, match=r"X\.parquet: cannot be read as Parquet"):
        load_bars(tmp_path, "X", "1h")


def test_align_pairs_by_time_not_by_row(folder):
    btc, eth = load_bars(folder, "BTCUSDT", "1h"), load_bars(folder, "ETHUSDT", "1h")
    a, b, dropped = align(btc, eth)
    assert closes(a) == closes(b) == ["02:00", "04:00", "05:00"] and dropped == 1
    assert a.close.tolist() == b.close.tolist() == [12, 13, 14]


def test_carry_keeps_every_time_and_stands_in_with_the_last_close(folder):
    (folder / "HOLED.csv").write_text(HEADER + ROWS[0] + ROWS[2] + ROWS[3])
    a, b = carry(load_bars(folder, "BTCUSDT", "1h"), load_bars(folder, "HOLED", "1h"))
    assert closes(a) == closes(b) == ["01:00", "02:00", "04:00", "05:00"]
    assert a.close.tolist() == [11, 12, 13, 14]
    assert b.close.tolist() == [11, 11, 13, 14]
    assert (b.open[1], b.high[1], b.low[1], b.volume[1]) == (11, 11, 11, 0)
    assert b.volume.tolist()[2:] == [0, 7]


def test_carry_begins_where_both_are_known(folder):
    a, b = carry(load_bars(folder, "BTCUSDT", "1h"), load_bars(folder, "ETHUSDT", "1h"))
    assert closes(a) == closes(b) == ["02:00", "04:00", "05:00"]


def test_align_refuses_two_intervals(folder):
    (folder / "DAY.csv").write_text(HEADER + ROWS[0])
    with pytest.raises(HistoryError, match="BTCUSDT has bars of 1h, DAY of 1d"):
        align(load_bars(folder, "BTCUSDT", "1h"), load_bars(folder, "DAY", "1d"))


def test_funding_stamps_are_rounded_to_the_second(tmp_path):
    (tmp_path / "BTCUSDT.csv").write_text(
        "timestamp,symbol,funding_rate,mark_price\n"
        "2025-03-06T16:00:00.010Z,BTCUSDT,0.00006818,90776.9\n2025-03-07T00:00:00Z,BTCUSDT,-0.00000612,89887.9\n"
    )
    funding = load_funding(tmp_path, "BTC/USDT:USDT")
    assert funding.time_ms == (datetime_to_ms(at(2025, 3, 6, 16)), datetime_to_ms(at(2025, 3, 7)))
    assert funding.rates == (Decimal("0.00006818"), Decimal("-0.00000612"))
    assert funding.mark_prices[1] == Decimal("89887.9")


def test_funding_twice_in_one_second_is_refused(tmp_path):
    rows = "2025-03-06T16:00:00.002Z,B,0.1,1\n2025-03-06T16:00:00.009Z,B,0.1,1\n"
    (tmp_path / "B.csv").write_text("timestamp,symbol,funding_rate,mark_price\n" + rows)
    with pytest.raises(HistoryError, match="line 3: this time occurs twice"):
        load_funding(tmp_path, "B")


@pytest.mark.parametrize("rate", ["x", "NaN"])
def test_a_funding_rate_that_is_no_number_is_refused(tmp_path, rate):
    (tmp_path / "B.csv").write_text(f"timestamp,symbol,funding_rate,mark_price\n2025-03-06T16:00:00Z,B,{rate},1\n")
    with pytest.raises(HistoryError, match="line 2: funding_rate is not a"):
        load_funding(tmp_path, "B")


def test_no_funding_file_is_none(tmp_path):
    assert load_funding(tmp_path, "BTCUSDT") is None


def test_real_futures_hours_load_complete(shared_data):
    folder = shared_data("futures_1h")
    assert len(symbols_in(folder)) == 11
    btc = load_bars(folder, "BTC/USDT:USDT", "1h")
    assert len(btc) == 19_704 and ms_to_datetime(int(btc.time_ms[0])) == at(2023, 1, 1, 1)
    assert set(np.diff(btc.time_ms).tolist()) == {3_600_000}


def test_real_spot_holes_are_kept(shared_data):
    folder = shared_data("spot_1h")
    steps = np.diff(load_bars(folder, "ADAUSDT", "1h").time_ms) // 3_600_000
    assert sorted(steps[steps > 1].tolist()) == [2, 3, 3, 4, 5]
    tusd = np.diff(load_bars(folder, "TUSDUSDT", "1h").time_ms) // 3_600_000
    assert tusd.max() == 3_996


def test_real_legs_that_start_apart_are_paired_by_time(shared_data):
    folder = shared_data("spot_1h")
    btc, wbtc = load_bars(folder, "BTCUSDT", "1h"), load_bars(folder, "WBTCUSDT", "1h")
    a, b, dropped = align(btc, wbtc)
    assert np.array_equal(a.time_ms, b.time_ms) and dropped == len(btc) + len(wbtc) - 2 * len(a) > 0
    assert np.abs(np.log(a.close / b.close)).max() < 0.05


def test_a_real_coin_that_died_just_ends(shared_data):
    ust = load_bars(shared_data("spot_1h"), "UST/USDT", "1h")
    assert len(ust) == 3_353 and ust.close[-1] == 0.245779
    assert ms_to_datetime(int(ust.time_ms[-1])) == at(2022, 5, 13, 1)


def test_real_close_only_funds_load_with_a_note(shared_data):
    ewa = load_bars(shared_data("etf_close_2006_2012"), "EWA", "1d")
    assert len(ewa) == 1_500 and ewa.close_only and "EWA" in ewa.notes[0]


def test_real_funding_lies_on_the_eight_hours(shared_data):
    series = load_funding(shared_data("funding_8h"), "XRPUSDT")
    assert len(series) == 266 and {ms % 28_800_000 for ms in series.time_ms} == {0}
    assert sum(rate < 0 for rate in series.rates) == 113 and None not in series.mark_prices


@pytest.mark.parametrize(
    ("name", "interval"),
    [("futures_1m", "1m"), ("futures_5m", "5m"), ("us_equity_daily", "1d"), ("us_equity_1h", "1h"),
     ("gold_daily_2004_2007", "1d"), ("coinbase_1m_trade", "1m")],
)  # fmt: skip
def test_every_other_real_set_loads(shared_data, name, interval):
    folder = shared_data(name)
    assert all(len(load_bars(folder, symbol, interval)) > 300 for symbol in symbols_in(folder))


# closes alone


def test_closes_alone_are_those_of_the_bars(folder):
    bars, alone = load_bars(folder, "BTCUSDT", "1h"), load_closes(folder, "BTC/USDT", "1h")
    assert alone.close.tolist() == bars.close.tolist() and alone.time_ms.tolist() == bars.time_ms.tolist()
    assert alone.volume.tolist() == [5.0, 6.0, 0.0, 7.0] and alone.close_only


def test_a_close_that_is_no_positive_number_stays_unknown(folder):
    odd = ["2024-01-01T05:00:00Z,1,1,1,,1\n", "2024-01-01T06:00:00Z,1,1,1,nan,\n", "2024-01-01T07:00:00Z,9,1,5,0,1\n"]
    (folder / "BTCUSDT.csv").write_text(HEADER + "".join([*ROWS, *odd]))
    found = load_closes(folder, "BTCUSDT", "1h")
    assert np.isnan(found.close).tolist() == [False] * 4 + [True] * 3
    with pytest.raises(HistoryError, match="line 6: close is not a number"):
        load_bars(folder, "BTCUSDT", "1h")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2024-01-01T05:00:00Z,1,1,1,many,1\n", "line 6: close is not a number: 'many'"),
        ("2024-01-01T04:00:00Z,1,1,1,1,1\n", "this time occurs twice"),
        ("2024-01-01T02:00:00Z,1,1,1,1,1\n", "lies before that of the row above"),
    ],
)
def test_closes_of_a_damaged_file_are_refused(folder, row, words):
    (folder / "BTCUSDT.csv").write_text(HEADER + "".join([*ROWS, row]))
    with pytest.raises(HistoryError, match=words):
        load_closes(folder, "BTCUSDT", "1h")


def test_closes_need_no_other_column(folder):
    (folder / "GLD.csv").write_text("date,close\n2024-01-01,10\n2024-01-02,11\n")
    found = load_closes(folder, "GLD", "1d")
    assert found.close.tolist() == [10.0, 11.0] and found.volume.tolist() == [0.0, 0.0]
