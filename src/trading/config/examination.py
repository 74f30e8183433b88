"""One pass over one config: its form, its values, what they mean together, and the loaded result. The validator and the
loader both come through here, so that what the one accepts the other loads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from trading.config.assembled import assemble
from trading.config.check import Check, read_pairs
from trading.config.environment import made_safer
from trading.config.files import is_file, read_file
from trading.config.messages import explain
from trading.config.model import Config, LoadedConfig, PairsFile
from trading.config.params import read_rule
from trading.config.position_json import Document
from trading.config.report import ERROR, WARNING, Problem, Report, sorted_report
from trading.config.rules import RULES
from trading.config.source import MISSING, Facts, Override, Source, overridden

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Examination:
    """The report, and the config ready to use: ``loaded`` is None exactly when the report has an error."""

    report: Report
    loaded: LoadedConfig | None


def examine(
    document: Document,
    path: Path,
    *,
    overrides: Iterable[Override],
    environ: Mapping[str, str],
    needs_pairs: bool = True,
) -> Examination:
    """Everything wrong with ``document``, read as the config at ``path``. ``needs_pairs``: its file of pairs must be
    there."""
    source = Source(document, document.values)
    if not document.readable:
        return Examination(sorted_report(str(path), source.flaws()), None)
    source, lost = overridden(source, overrides)
    source, clashes = made_safer(source, environ)
    return _examine(source, [*lost, *clashes], path, environ, needs_pairs=needs_pairs)


def _examine(
    source: Source, problems: list[Problem], path: Path, environ: Mapping[str, str], *, needs_pairs: bool
) -> Examination:
    config, found = _modelled(Config, source)
    problems += found
    pairs_source, found = _pairs_source(source, path, ERROR if needs_pairs else WARNING)
    problems += found
    pairs_file, found = _modelled(PairsFile, pairs_source) if pairs_source is not source else (None, [])
    problems += found
    if pairs_file is not None and not pairs_file.pairs:
        message = "there is no pair: a bot only ends what it has open, and without an open trade it does not start"
        problems.append(pairs_source.problem(("pairs",), message, severity=WARNING))
    entry, found = read_rule("entry", source)
    problems += found
    exit_, found = read_rule("exit", source)
    problems += found
    check = Check(source, Facts(source), tuple(read_pairs(pairs_source)), entry, exit_, environ)
    problems += [problem for rule in RULES for problem in rule(check)]
    report = sorted_report(str(path), _without_echoes([source, pairs_source], problems))
    if not report.ok or config is None or entry.spec is None or exit_.spec is None:
        return Examination(report, None)
    entries = config.pairs or (pairs_file.pairs if pairs_file else ())
    return Examination(report, assemble(config, entries, entry.spec, exit_.spec, path=path, warnings=report.warnings))


def _modelled(model: type[Model], source: Source) -> tuple[Model | None, list[Problem]]:
    """The values as a frozen model, None when they do not fit, and what is wrong with them and with their form."""
    flaws = list(source.flaws())
    if not source.document.readable:
        return None, flaws
    try:
        return model.model_validate(source.values), flaws
    except ValidationError as error:
        return None, [*flaws, *explain(model, error, source)]


def _without_echoes(sources: Iterable[Source], problems: Iterable[Problem]) -> Iterator[Problem]:
    """The problems without those that only repeat, of the same value, that its form is wrong."""
    flaws = {flaw for source in sources for flaw in source.flaws()}
    told = {(flaw.file, flaw.line, flaw.column, flaw.path) for flaw in flaws}
    for each in problems:
        if each in flaws or (each.file, each.line, each.column, each.path) not in told:
            yield each


def _pairs_source(source: Source, path: Path, severity: str) -> tuple[Source, list[Problem]]:
    """Where the pairs stand: in the config itself or in the file it names (beside it, or in the working directory)."""
    name = source.value(("pairs_file",))
    if not isinstance(name, str) or not name or source.value(("pairs",)) not in (None, MISSING):
        return source, []
    beside, here = path.parent / name, Path(name)
    found = beside if is_file(beside) else here
    document = read_file(found)
    if isinstance(document, str):
        expected = "a pairs file beside the config or in the working directory"
        return source, [source.problem(("pairs_file",), document, expected=expected, severity=severity)]
    return Source(document, document.values, str(found)), []
