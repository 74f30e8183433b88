"""``tandem scan``: find pairs worth trading, and say what chance would have found."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from ccxt_bt_bridge.errors import ExchangeUnreachable
from feeds.bar_files import BarFileError, DiskFull
from research.cointegration_scanner import CointegrationScanner, Source
from research.scan.display import ScanDisplay
from research.scan.errors import ScanError
from research.scan.executors import pair_tester
from research.scan.inputs import Inputs, read_inputs
from research.scan.output import Output
from research.scan.settings import ScanSettings
from research.scan.telling import tell_scan
from research.scan.tester import Tester
from research.scan_options import (
    refuse_beside_repeat,
    repeated,
    scan_parser,
    universes,
    wanted_config,
    wanted_output,
    wanted_settings,
    wanted_source,
)
from trading.command_line import BAD_INPUT, EXPECTED, FAILURE, INTERRUPTED, OK, ended
from trading.console import PatientConsole
from trading.reports.output_files import NotWritten


def main(arguments: Sequence[str] | None = None) -> int:
    """Scan, print, write; returns the exit code."""
    options = scan_parser().parse_args(arguments)
    written: list[Path] = []
    try:
        return _scan_all(options, written)
    except (DiskFull, NotWritten) as error:
        return ended(f"{error}; {_left_behind(written)}", FAILURE)
    except (ScanError, BarFileError) as error:
        return ended(f"{error}; {_left_behind(written)}" if written else str(error), BAD_INPUT)
    except ExchangeUnreachable as error:
        return ended(f"{error}. The same call goes on from what is on disk", FAILURE)
    except EXPECTED as error:
        return ended(str(error), BAD_INPUT)
    except KeyboardInterrupt:
        return ended(f"stopped; {_left_behind(written)}", INTERRUPTED)


def _left_behind(written: Sequence[Path]) -> str:
    if not written:
        return "nothing was written"
    return f"what was written before is whole: {', '.join(map(str, written))}"


def _scan_all(options: argparse.Namespace, written: list[Path]) -> int:
    """``written``: takes each file, as soon as it is there."""
    made = datetime.now(UTC)
    scans = [(one, wanted_output(one, made)) for one in universes(options)]
    for _, output in scans:
        output.check()
    with pair_tester(options.executor) as tester:
        for one, output in scans:
            _scan(one, output, tester, written)
    return OK


def _scan(options: argparse.Namespace, output: Output, tester: Tester, written: list[Path]) -> None:
    former, before = read_inputs(options.repeat) if options.repeat else None, len(written)
    settings, source = _asked(options, former)
    with ScanDisplay(Console(stderr=True)) as display:
        scanner = CointegrationScanner(settings, source=source, tester=tester, tell=display.show)
        asyncio.run(_gather(scanner))
        scanner.compare()  # outside the loop, which would hold Ctrl+C back
        if former is not None:
            former.refuse_other_files(scanner.inputs.files)
        for path in output.write(scanner.scan, scanner.inputs, display.show):
            written.append(path)
    console = PatientConsole()
    if options.suffix:
        console.print(f"Universe {options.suffix[1:]}", markup=False, highlight=False)
    tell_scan(scanner.scan, console)
    if former is not None and former.versions != scanner.inputs.versions:
        console.print(former.other_versions(scanner.inputs.versions), markup=False, highlight=False)
    _tell_files(written[before:], console)


def _asked(options: argparse.Namespace, former: Inputs | None) -> tuple[ScanSettings, Source]:
    if former is not None:
        refuse_beside_repeat(options)
        return former.settings, repeated(options, former)
    config = wanted_config(options)
    return wanted_settings(options, config), wanted_source(options, config)


async def _gather(scanner: CointegrationScanner) -> None:
    try:
        await scanner.connect()
        await scanner.gather()
    finally:
        await scanner.disconnect()


def _tell_files(written: Sequence[Path], console: Console) -> None:
    for path in written:
        console.print(f"Wrote {path}", markup=False, highlight=False, soft_wrap=True)
