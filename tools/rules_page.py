"""Writes ``docs/rules.md`` from the registered rules: ``python tools/rules_page.py`` (``make docs``)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mixins.params import Parameter, parameters
from mixins.registry import ENTRY_RULES, EXIT_RULES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "rules.md"
SERVES = {"pair": "pairs (`strategy.type: pair`)", "single": "one symbol (`strategy.type: custom`)", "any": "both"}
INTRODUCTION = """\
# Rules

This page is written by `make docs` from `src/mixins/`; a test keeps it current.

An entry rule is named in `strategy.entry_logic`, an exit rule in `strategy.exit_logic`, each with its own `params`. The
entry is asked on every closed bar while a pair (or symbol) is flat, the exit while a position is open. Neither orders
anything: sizing, RiskGuard and the execution engine come after. What is decided at a bar's close is filled after it.

Every answer carries a reason, and the journal keeps it for each bar. After any exit but `reversion` a pair is latched
until its |z| is back at the exit level, then waits for the exit rule's cool-down.

A rule of your own is named by its dotted path, `my_rules:MyEntryMixin`. The one in
[`examples/my_rules.py`](../examples/my_rules.py) says what a rule needs.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_chapter("Entries", ENTRY_RULES), *_chapter("Exits", EXIT_RULES)])


def _chapter(title: str, rules: Mapping[str, type[Any]]) -> Iterator[str]:
    yield f"## {title}\n"
    for name, rule in rules.items():
        yield f"### {name}\n"
        yield f"{_plain(rule.__doc__ or '')}\n"
        yield f"Serves {SERVES[rule.market]}. With its defaults it needs {rule.warmup_bars(rule.Params())} bars.\n"
        yield "| parameter | default | allowed | meaning |\n|---|---|---|---|"
        yield from map(_row, parameters(rule.Params))
        yield ""


def _row(one: Parameter) -> str:
    kind = {int: "whole number", float: "number", bool: "true or false", str: "text"}[one.kind]
    allowed = str(one.bounds) if one.bounds.choices else f"{kind}, {one.bounds}"
    cells = (f"`{one.name}`", f"`{one.default}`", allowed, one.help)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _plain(docstring: str) -> str:
    """A docstring's reStructuredText as Markdown: one line a paragraph."""
    paragraphs = (" ".join(part.split()) for part in inspect.cleandoc(docstring).split("\n\n"))
    text = "\n\n".join(paragraphs).replace(" *Decides:*", "\n\n*Decides:*").replace(" Answers ", "\n\nAnswers ")
    return re.sub("``", "`", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
