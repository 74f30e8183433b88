"""The page of a report: what matters first, what it rests on last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib.resources import files

from management.report.markup import Child, Markup, joined, tag
from management.report.pictures import (
    benchmark_picture,
    beta_picture,
    drawdown_picture,
    equity_picture,
    pair_pictures,
    parts_picture,
    profit_picture,
)
from management.report.tables import Cell, cell, facts, month_table, parameters, table
from management.report.words import amount, length, minute, money, number, per_cent, price, quantity, ratio, tone
from trading.records import TradeRecord
from trading.reports.cautions import questions
from trading.reports.report import Report
from trading.reports.trade_figures import PairRow, ProfitParts

MOST_TRADES = 1_000
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"  # nothing is loaded, nothing runs


def page(report: Report) -> str:
    """A whole HTML document: style and pictures inside, no script, no link to anywhere."""
    style = files("management.report").joinpath("report.css").read_text("utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", report.title),
        tag("style", Markup(style)),
    )
    body = tag("body", tag("main", _header(report), list(_sections(report))))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(report: Report) -> Markup:
    result = report.result
    period = (
        "no bars"
        if result.start is None or result.end is None
        else f"{minute(result.start)} to {minute(result.end)} UTC"
    )
    bars = f"{period} · {result.bars:,} bars of {result.bar_hours:g} h"
    return tag("header", tag("h1", report.title), tag("p", bars, class_="muted"), _tiles(report), _cautions(report))


def _tiles(report: Report) -> Markup:
    result, figures = report.result, report.metrics
    gain = result.equity_end - result.equity_start
    rows = (
        ("profit", money(gain), f"{amount(result.equity_start)} to {amount(result.equity_end)}", tone(gain)),
        ("return", per_cent(figures.return_pct, signed=True), _beside(report), tone(gain)),
        ("Sharpe ratio", ratio(figures.sharpe), f"Sortino {ratio(report.equity.sortino)}", ""),
        ("max drawdown", per_cent(figures.max_drawdown_pct), f"Calmar {ratio(report.equity.calmar)}", ""),
        ("trades", f"{figures.trades:,}", f"{figures.win_rate_pct:.0f} % won", ""),
        ("exposure", f"{figures.exposure_pct:.1f} %", f"turnover {ratio(figures.turnover)} × equity", ""),
    )
    return tag("div", [_tile(*row) for row in rows], class_="tiles")


def _tile(name: str, value: str, beside: str, look: str) -> Markup:
    parts = (tag("span", name, class_="muted"), tag("strong", value, class_=look or None), tag("span", beside))
    return tag("div", parts, class_="tile")


def _beside(report: Report) -> str:
    held = report.benchmark
    return "benchmark: cash" if held is None else f"buy and hold {per_cent(held.courses[1].return_pct, signed=True)}"


def _cautions(report: Report) -> Markup:
    if not report.cautions:
        asked = f"Only this was asked, and nothing was found: {'; '.join(questions())}? Other doubts remain."
        return tag("p", asked, class_="muted")
    rows = [tag("li", caution.text, class_="caution", data_name=caution.name) for caution in report.cautions]
    return tag("section", tag("h2", "Before you believe it"), tag("ul", rows, class_="cautions"))


def _sections(report: Report) -> Iterator[Markup]:
    if report.result.equity:
        yield _section("Equity", equity_picture(report), tag("h3", "Drawdown"), drawdown_picture(report))
    yield _section("Against cash and buy and hold", *_benchmark(report))
    yield _section("Risk", _risk(report), *_beta(report))
    if report.months:
        yield _section("Months", month_table(report.months))
    yield _section("Where the profit came from", *_profit(report))
    if report.trades is not None:
        yield _section("Trades", *_trades(report))
    yield _section("Pairs", *_pairs(report))
    if report.result.refused:
        yield _section("Refused", _refused(report))
    yield from _ground(report)


def _section(title: str, *content: Child) -> Markup:
    return tag("section", tag("h2", title), content)


def _benchmark(report: Report) -> Iterator[Markup]:
    courses = [report.own, *(report.benchmark.courses if report.benchmark else ())]
    head = ("", "return", "a year", "volatility", "Sharpe", "max drawdown")
    rows = [
        (
            one.name,
            cell(per_cent(one.return_pct, signed=True), f"number {tone(one.return_pct)}"),
            per_cent(one.cagr_pct, signed=True),
            per_cent(one.volatility_pct),
            ratio(one.sharpe),
            per_cent(one.max_drawdown_pct),
        )
        for one in courses
    ]
    yield table(head, rows)
    if report.benchmark is not None:
        yield benchmark_picture(report)
    yield joined(tag("p", sentence, class_="muted") for sentence in report.without)


def _risk(report: Report) -> Markup:
    figures, fall = report.equity, report.equity.longest_fall
    of = f"per {figures.tail_period}"
    rows = [
        ("growth in a year", per_cent(figures.cagr_pct, signed=True)),
        ("volatility in a year", per_cent(figures.volatility_pct)),
        (f"value at risk, 95 %, {of}", per_cent(figures.var_95_pct, signed=True)),
        (f"mean of the worst 5 %, {of}", per_cent(figures.cvar_95_pct, signed=True)),
    ]
    if fall is not None:
        end = "not yet back" if fall.until is None else f"back on {minute(fall.until)}"
        rows.append(("longest drawdown", f"{length(fall.length)} from {minute(fall.peak)}, {end}"))
    return facts(rows)


def _beta(report: Report) -> Iterator[Markup]:
    found = report.beta
    if found is None:
        return
    yield tag("h3", f"Rolling beta to the market, {found.window} {found.period}s")
    yield tag("p", f"Over the whole run {ratio(found.whole)}; the market: the mean of all its symbols.", class_="muted")
    yield beta_picture(report)


def _profit(report: Report) -> Iterator[Markup]:
    rows = [_parts_row("closed trades", report.parts)]
    if report.result.open:
        rows.append(_parts_row("open trades, so far", report.open_parts))
    yield table(("", "price", "fees", "funding", "profit", "inside price: slippage", "legging"), rows)
    if report.result.trades:
        parts = report.parts
        named = (
            ("price before slippage", parts.before_costs),
            ("slippage", parts.slippage),
            ("fees", parts.fees),
            ("funding", parts.funding),
            ("profit", parts.total),
        )
        yield parts_picture(named)


def _parts_row(name: str, parts: ProfitParts) -> list[Cell]:
    values = (parts.price, parts.fees, parts.funding, parts.total, parts.slippage, parts.legging)
    return [name, *(cell(money(value), f"number {tone(value)}") for value in values)]


def _trades(report: Report) -> Iterator[Markup]:
    figures, result = report.trades, report.result
    assert figures is not None
    yield facts(
        [
            ("won", f"{figures.won:,} of {figures.trades:,} ({figures.win_rate_pct:.1f} %)"),
            ("profit factor", "no loss" if figures.profit_factor is None else ratio(figures.profit_factor)),
            ("average", money(figures.average)),
            ("average won, lost", f"{money(figures.average_won)}, {money(figures.average_lost)}"),
            ("best, worst", f"{money(figures.best)}, {money(figures.worst)}"),
            ("held, median", length(figures.median_held)),
            ("held, longest", length(figures.longest_held)),
            ("losses in a row", f"{figures.losses_in_a_row}"),
            ("exits", ", ".join(f"{reason} {count}" for reason, count in figures.exits)),
        ]
    )
    yield profit_picture(result.trades)
    shown = result.trades[-MOST_TRADES:]
    which = "Every trade" if len(shown) == len(result.trades) else f"The last {len(shown):,} trades"
    summary = tag("summary", which)
    head = (
        "pair",
        "direction",
        "entered",
        "left",
        "z",
        "z out",
        "reason",
        "price",
        "fees",
        "funding",
        "legging",
        "profit",
    )
    yield tag("details", summary, table(head, (_trade_row(trade) for trade in shown), texts=4))


def _trade_row(trade: TradeRecord) -> list[Cell]:
    parts = (trade.pnl_price, trade.pnl_fees, trade.pnl_funding, trade.legging_cost)
    return [
        trade.pair_id,
        trade.direction,
        minute(trade.entry_time),
        minute(trade.exit_time),
        number(trade.entry_z),
        number(trade.exit_z),
        cell(trade.exit_reason + (" (in formation)" if trade.in_formation else ""), "words"),
        *(money(part) for part in parts),
        cell(money(trade.pnl), f"number {tone(trade.pnl)}"),
    ]


def _pairs(report: Report) -> Iterator[Markup]:
    if not report.pairs:
        yield tag("p", "No pair has traded.", class_="muted")
    else:
        head = ("pair", "trades", "won", "price", "fees", "funding", "legging", "profit", "open")
        yield table(head, (_pair_row(row) for row in report.pairs))
    if report.result.open:
        yield tag("h3", "Open now")
        yield table(("pair", "direction", "since", "legs", "unrealised"), _open_rows(report), texts=4)
    for view in report.views:
        trades = [trade for trade in report.result.trades if trade.pair_id == view.pair_id]
        yield tag("h3", view.pair_id)
        yield pair_pictures(view, trades)


def _pair_row(row: PairRow) -> list[Cell]:
    parts = (row.parts.price, row.parts.fees, row.parts.funding, row.parts.legging)
    won = f"{row.win_rate_pct:.0f} %" if row.trades else "–"
    numbers = [cell(money(value), f"number {tone(value)}") for value in (row.parts.total, row.unrealised)]
    return [row.pair_id, str(row.trades), won, *(money(part) for part in parts), *numbers]


def _open_rows(report: Report) -> Iterator[list[Cell]]:
    for one in report.result.open:
        legs = "; ".join(f"{leg.symbol} {quantity(leg.quantity)} at {price(leg.entry_price)}" for leg in one.legs)
        look = f"number {tone(one.unrealised)}"
        yield [one.pair_id, one.direction, minute(one.entry_time), legs, cell(money(one.unrealised), look)]


def _refused(report: Report) -> Markup:
    reasons = Counter(reason for refusal in report.result.refused for reason in refusal.reasons)
    return table(
        ("why an entry was refused", "times"), [(reason, f"{count:,}") for reason, count in reasons.most_common()]
    )


def _ground(report: Report) -> Iterator[Markup]:
    """What it rests on: parameters, fingerprints, notes."""
    made_of, result = report.result.provenance, report.result
    if made_of is not None and made_of.terms:
        yield _section(
            "Parameters",
            tag("details", tag("summary", "Every rule and risk parameter"), parameters(made_of.terms), open=""),
        )
    else:
        yield _section(
            "Parameters", tag("p", "This result does not carry its parameters; write it anew.", class_="muted")
        )
    rows = [("config", result.config), ("mode", result.mode)]
    if made_of is not None:
        rows += [("config, SHA-256", made_of.config_sha256), ("program", made_of.code_version)]
        rows += [(f"data, {name}", str(value)) for name, value in made_of.data.items()]
        rows += [(name, version) for name, version in made_of.versions.items()]
    yield _section("Fingerprints", facts(rows), [tag("p", note, class_="muted") for note in result.notes])
    yield tag("footer", "Past results say little about future ones. This is no advice.")
