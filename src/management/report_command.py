"""``tandem report RESULT.json | CONFIG``: a run as one page that opens anywhere, or as a PDF."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from management.report.page import page
from management.report.pdf import NoBrowser, pdf_of
from trading.command_line import BAD_INPUT, EXIT_CODES, EXPECTED, OK, data_choice, ended, utc_time
from trading.config.environment import process_environment
from trading.config.files import find_config
from trading.config.loader import load_config
from trading.remedies import sentence_of
from trading.reports.output_files import output_path, write_atomically
from trading.reports.report import Report, report_of_result, report_of_run
from trading.reports.result_reading import ResultUnreadable, is_result, read_json, result_of
from trading.reports.run_reading import RunUnknown
from trading.saying import say

DOES = "A run as one page: figures beside cash and buy and hold, charts, trades, parameters, and what to doubt."


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 2 for a source that cannot be read, an unknown run, or a PDF without a browser."""
    options = _parser().parse_args(arguments)
    try:
        for path in filter(None, (options.html, options.pdf)):
            output_path(path)
        report, name = _report(options, process_environment())
        html = page(report)
        if options.pdf:
            _say_written(options.pdf, pdf_of(html))
        if options.html or not options.pdf:
            _say_written(options.html or Path(f"{name}.html"), html.encode())
    except (*EXPECTED, ResultUnreadable, RunUnknown, NoBrowser) as error:
        return ended(sentence_of(error), BAD_INPUT)
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tandem report", description=DOES, epilog=EXIT_CODES)
    parser.add_argument(
        "source",
        metavar="RESULT.json|CONFIG",
        help="a result written with --json, or a config whose journal has the run",
    )
    parser.add_argument("--run", metavar="N", type=int, help="with a config: which of its runs, by default the last")
    parser.add_argument("--html", metavar="PATH", type=Path, help="where the page goes, by default here, by its name")
    parser.add_argument("--pdf", metavar="PATH", type=Path, help="print it as well, or instead; needs Chromium")
    parser.add_argument("--config", help="with a result: its config, where that is not the one it names")
    parser.add_argument("--data", metavar="DIR", type=Path, help="the bars, where they are not the config's")
    parser.add_argument("--funding", metavar="DIR", type=Path, help="funding series: one file per symbol")
    parser.add_argument("--from", dest="start", metavar="T", type=utc_time, help="first close time of the bars, UTC")
    parser.add_argument("--to", dest="end", metavar="T", type=utc_time, help="last close time of the bars, UTC")
    return parser


def _report(options: argparse.Namespace, environ: Mapping[str, str]) -> tuple[Report, str]:
    """The report and the name of its file, without an ending. Raises what a command tells in a sentence."""
    source, choice = find_config(options.source, environ), data_choice(options)
    document = read_json(source)
    if is_result(document):
        if options.run is not None:
            raise ResultUnreadable(f"{options.source} is the result of one run: --run goes with a config")
        result = result_of(document, options.source)
        return report_of_result(result, config=options.config, choice=choice, environ=environ), f"{source.stem}_report"
    config = load_config(source, environ=environ)
    report = report_of_run(config, options.run, choice=choice)
    return report, f"{config.bot_id}_{config.model.broker.type}_report"


def _say_written(path: Path, content: bytes) -> None:
    write_atomically(path, content)
    say(f"wrote {path}")
