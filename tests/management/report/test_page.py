"""The page of a report: whole, alone, and saying what the result says."""

from __future__ import annotations

import configparser
import json
import re
from contextlib import chdir
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest

from management.report.page import page
from management.report.pictures import pair_pictures
from management.report.words import length, money, per_cent
from tests.conftest import PROJECT
from tests.management.lived_bot import lived_bot
from tests.management.report.test_markup import Balanced
from tests.trading.reports.plot_samples import single_view, traded
from tests.trading.reports.result_samples import sample_result
from trading.market_input import DataChoice
from trading.records import RunResult
from trading.reports.report import Report, report_of_result, report_of_run
from trading.reports.trade_figures import profit_parts


def report_of_lived() -> Report:
    lived = lived_bot()
    with chdir(lived.folder):
        return report_of_run(lived.config, None, choice=DataChoice())


def report_of(result: RunResult, folder: Path) -> Report:
    with chdir(folder):
        return report_of_result(result, config=None, choice=DataChoice(), environ={})


def text_of(html: str) -> str:
    return re.sub(r"<[^>]+>", " ", html)


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    html = page(report_of_lived())
    assert "<script" not in html and "javascript:" not in html
    assert not re.search(r"""(?:src|href|action)\s*=|url\(|@import""", html)
    assert not re.search(r"https?://", html)
    assert "default-src 'none'" in unescape(html)


def test_the_page_is_balanced_html_with_named_pictures() -> None:
    html = page(report_of_lived())
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    assert html.count("<svg") == len(re.findall(r'<svg[^>]*role="img"[^>]*aria-label="[^"]{5,}"', html)) >= 12
    assert "<h1>" in html and 'lang="en"' in html


def test_the_page_has_every_part_and_the_figures_of_the_run() -> None:
    report = report_of_lived()
    html, result = page(report), lived_bot().result
    for title in ("Before you believe it", "Equity", "Drawdown", "Against cash and buy and hold", "Months", "Trades"):
        assert title in html
    for title in ("Where the profit came from", "Pairs", "Refused", "Parameters", "Fingerprints", "Rolling beta"):
        assert title in html
    parts = profit_parts(result.trades)
    for value in (parts.price, parts.fees, parts.funding, parts.slippage, parts.legging, parts.total):
        assert f">{money(value)}<" in html
    assert per_cent(report.metrics.max_drawdown_pct) in html
    assert money(result.equity_end - result.equity_start) in html
    assert all(money(trade.pnl) in html for trade in result.trades)
    assert result.provenance is not None and result.provenance.config_sha256 in html
    assert "max_daily_trades" in html and "entry_logic.params.e_entry_z" in html
    assert "ETHUSDT held" in html and "cash" in html
    assert all(caution.text[:40] in text_of(html).replace("&amp;", "&") for caution in report.cautions)


def test_every_trade_is_marked_at_its_entry_and_exit() -> None:
    html = page(report_of_lived())
    assert html.count('class="mark up') + html.count('class="mark down') == 2 * len(lived_bot().result.trades)
    assert html.count('class="mark cross') == 2 * len(lived_bot().result.trades)


def test_a_result_file_gives_the_same_page_as_the_journal(tmp_path: Path) -> None:
    lived = lived_bot()
    of_file = report_of(lived.result, lived.folder)
    of_journal = report_of_lived()
    for name in ("metrics", "equity", "months", "parts", "trades", "pairs", "benchmark", "own"):
        one, other = getattr(of_file, name), getattr(of_journal, name)
        assert repr(one) == repr(other), name


def test_without_its_config_a_report_says_what_it_lacks(tmp_path: Path) -> None:
    report = report_of(replace(lived_bot().result, config="gone.json"), tmp_path)
    assert report.benchmark is None and report.beta is None and report.views == ()
    assert "the config cannot be had" in page(report)


def test_a_changed_config_is_said(tmp_path: Path) -> None:
    lived = lived_bot()
    raw = json.loads((lived.folder / "bot.json").read_text())
    raw["trading"]["max_positions"] = 2
    (tmp_path / "bot.json").write_text(json.dumps(raw))
    assert "The config has changed since the run" in page(report_of(lived.result, tmp_path))


def test_bars_that_cannot_be_had_are_said_and_z_comes_from_the_journal(tmp_path: Path) -> None:
    lived = lived_bot()
    with chdir(lived.folder):
        report = report_of_run(lived.config, 1, choice=DataChoice(tmp_path / "none"))
    html = page(report)
    assert report.benchmark is None and "the bars cannot be had here" in html
    assert len(report.views) == 3 and "z-score with its levels" in html and "prices of both legs" not in html
    assert "open pairs stand at their entry prices" in html


@pytest.mark.parametrize(
    "changes",
    [
        {"trades": (), "open": (), "refused": ()},
        {"trades": (), "open": (), "equity": (), "bars": 0, "start": None, "end": None},
        {"equity": sample_result().equity[:1], "bars": 1},
    ],
    ids=["no trade", "no bar", "one bar"],
)
def test_a_run_of_little_has_a_page(changes: dict, tmp_path: Path) -> None:
    html = page(report_of(replace(sample_result(), **changes), tmp_path))
    parser = Balanced()
    parser.feed(html)
    assert "nan" not in text_of(html).lower().replace("financ", "")


def test_names_in_a_result_are_never_markup(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    result = sample_result()
    trades = tuple(replace(trade, pair_id=evil, exit_reason=evil) for trade in result.trades)
    html = page(report_of(replace(result, trades=trades, config=evil, notes=(evil,)), tmp_path))
    assert "<img" not in html and "&lt;img" in html


def test_one_symbol_is_drawn_with_its_price_and_trades() -> None:
    view = single_view("ETH", seed=2)
    trades = traded(view)
    drawn = pair_pictures(view, trades)
    assert f"price of {view.leg_a}" in drawn and "z-score" not in drawn
    assert drawn.count('class="mark cross') == len(trades) > 3


def test_the_style_of_the_page_is_in_a_wheel() -> None:
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg", encoding="utf-8")
    patterns = setup["options.package_data"]["management.report"].split()
    styles = sorted((PROJECT / "src" / "management" / "report").glob("*.css"))
    assert styles and all(any(style.match(pattern) for pattern in patterns) for style in styles)


def test_words_for_numbers() -> None:
    assert (money(-0.001), money(-12.3), per_cent(1.5, signed=True)) == ("0.00", "−12.30", "+1.50 %")
    assert [length(timedelta(hours=h)) for h in (0, 0.5, 26, 24 * 9)] == ["0 min", "30 min", "1 d 2 h", "9 d"]


def test_without_a_warning_the_page_says_what_was_asked_and_clears_nothing(tmp_path: Path) -> None:
    html = unescape(page(replace(report_of(sample_result(), tmp_path), cautions=())))
    assert "Only this was asked" in html and "does one trade make the profit" in html
    assert "Nothing speaks against" not in html
