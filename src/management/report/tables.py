"""Tables of the page: facts in two columns, rows of numbers, a year's months."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from management.report.markup import Markup, tag
from management.report.words import NONE, per_cent
from trading.reports.equity_figures import Month

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SHADES = (0.5, 2.0, 5.0)  # per cent: beyond each, a month is coloured more strongly

Cell = str | Markup


def cell(text: str, look: str) -> Markup:
    """A table cell with a class of its own."""
    return tag("td", text, class_=look)


def facts(rows: Iterable[tuple[str, Cell]]) -> Markup:
    """Name and value, line by line."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in rows], class_="facts")


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], *, texts: int = 1) -> Markup:
    """The first ``texts`` columns are words, the others numbers; a cell made by ``cell`` stays as it is."""
    top = tag("tr", [tag("th", name, scope="col", class_=_look(at, texts)) for at, name in enumerate(head)])
    body = [tag("tr", [_cell(one, at, texts) for at, one in enumerate(row)]) for row in rows]
    return tag("div", tag("table", tag("thead", top), tag("tbody", body)), class_="scroll")


def month_table(months: Sequence[Month]) -> Markup:
    """A row a year: its months and the year's compound return."""
    rows = []
    for year in dict.fromkeys(one.year for one in months):
        found = {one.month: one.return_pct for one in months if one.year == year}
        rows.append([str(year), *(_month(found.get(number)) for number in range(1, 13)), _month(_compound(found))])
    return table(("year", *MONTHS, "year"), rows)


def parameters(terms: Mapping[str, Any]) -> Markup:
    """Every section of the config's terms as facts, nested names joined by dots."""
    blocks = []
    for name, value in terms.items():
        rows = list(_flat("", value))
        if rows:
            blocks.append(tag("section", tag("h3", name), facts(rows)))
    return tag("div", blocks, class_="parameters")


def _month(value: float | None) -> Markup:
    if value is None:
        return cell(NONE, "number even")
    strength = sum(abs(value) > limit for limit in SHADES)
    return cell(per_cent(value, signed=True), f"number {'gain' if value > 0 else 'loss'} shade{strength}")


def _compound(months: Mapping[int, float]) -> float:
    growth = 1.0
    for value in months.values():
        growth *= 1.0 + value / 100.0
    return (growth - 1.0) * 100.0


def _flat(prefix: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for at, inner in enumerate(value):
            label = inner.get("pair_id", at + 1) if isinstance(inner, Mapping) else at + 1
            yield from _flat(f"{prefix}{'.' if prefix else ''}{label}", inner)
    elif value is not None and value != []:
        yield prefix, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_text(inner) for inner in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(one: Cell, at: int, texts: int) -> Markup:
    if isinstance(one, Markup) and one.startswith("<td"):
        return one
    return tag("th", one, scope="row") if at == 0 else tag("td", one, class_=_look(at, texts))


def _look(at: int, texts: int) -> str:
    return "words" if at < texts else "number"
