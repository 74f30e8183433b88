"""Where a scan's files go, and writing them: each whole or not at all, and refused before a long scan, not after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from research.scan.inputs import Inputs
from research.scan.result_files import csv_text, pairs_config, report, write_json
from research.scan.scan import Scan
from research.scan.tester import Tell
from trading.reports.output_files import OutputPathError, output_path, write_atomically

PAIRS_FILE = Path("pairs_config.json")
PLOTS = Path("plots")


@dataclass(frozen=True, slots=True)
class Output:
    """``json`` and ``plots`` None: not written. The list of inputs lies beside the CSV, under its name."""

    csv: Path
    pairs_config: Path = PAIRS_FILE
    json: Path | None = None
    plots: Path | None = PLOTS

    @property
    def inputs(self) -> Path:
        return self.csv.with_name(f"{self.csv.name.removesuffix('.csv')}.inputs.json")

    def check(self) -> None:
        """Raises ``OutputPathError`` where something cannot be written, or would be written over by another."""
        seen = {output_path(self.csv)}
        for path in (self.inputs, self.pairs_config, self.json, self.plots and self.plots / "overview.png"):
            place = path and output_path(path)
            if place in seen:
                raise OutputPathError(f"{path} is wanted for two files: name another for one of them")
            seen |= {place} if place else set()

    def write(self, scan: Scan, inputs: Inputs, tell: Tell = lambda *_: None) -> Iterator[Path]:
        """Everything that is wanted; yields each file once it is there. Raises ``OutputPathError``."""
        write_json(self.inputs, inputs.as_json())
        write_atomically(self.csv, csv_text(scan).encode())
        yield from (self.csv, self.inputs)
        write_json(self.pairs_config, pairs_config(scan, self.inputs.name))
        yield self.pairs_config
        if self.json is not None:
            write_json(self.json, report(scan, inputs))
            yield self.json
        yield from self._plots(scan, tell)

    def _plots(self, scan: Scan, tell: Tell) -> Iterator[Path]:
        if self.plots is None:
            return
        from research.scan.plots import OVERVIEW, plot_overview, plot_pair

        total = len(scan.choice.chosen) + 1
        for done, row in enumerate(scan.choice.chosen):
            tell("drawing pictures", done, total)
            path = self.plots / f"{scan.names[row]}.png"
            plot_pair(scan, row, path)
            yield path
        plot_overview(scan, self.plots / OVERVIEW)
        tell("drawing pictures", total, total)
        yield self.plots / OVERVIEW


def stamped(made: datetime, suffix: str) -> Path:
    """``cointegration_results_20240131_080000.csv``: a name of its own for every scan."""
    return Path(f"cointegration_results_{made:%Y%m%d_%H%M%S}.{suffix}")
