"""The options of ``tandem scan``, and what they and a config ask for."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from ccxt_bt_bridge.bt_time import datetime_to_ms
from ccxt_bt_bridge.series import INTERVALS
from ccxt_bt_bridge.session import SessionSettings
from pairs.all_pairs import Terms
from research.cointegration_scanner import ExchangeSource, FolderSource, Source, exchange_of
from research.scan.data_care import Care
from research.scan.errors import ScanError
from research.scan.inputs import Inputs
from research.scan.output import PAIRS_FILE, PLOTS, Output, stamped
from research.scan.settings import AUTOLAGS, FALSE_DISCOVERY, Gates, ScanSettings, days_of_bars, settings_of
from trading.command_line import EXIT_CODES, utc_time
from trading.config.environment import process_environment
from trading.config.loader import load_config
from trading.config.model import Config

BESIDE_REPEAT = ("repeat", "data", "csv", "pairs_config", "json", "plots", "no_plots", "executor", "suffix")

Value = TypeVar("Value", Terms, Gates, Care, SessionSettings)


def scan_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tandem scan",
        description="Test every pair of a universe for cointegration and choose those worth trading. Needs no key.",
        epilog="Where an option is silent the config speaks, and where there is none the defaults: the 30 most traded "
        f"USDT perpetuals, 60 days of hours. No pair passing is a normal answer, with exit code 0. {EXIT_CODES}",
    )
    _add_data_options(parser)
    _add_test_options(parser)
    _add_output_options(parser)
    return parser


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        action="append",
        help="bars: one SYMBOL.csv, .csv.gz or .parquet each; again for more universes, each with files of its own",
    )
    data.add_argument(
        "--exchange",
        metavar="ID",
        action="append",
        help="ccxt's id instead of a folder; also again; default: binanceusdm",
    )
    data.add_argument("--exchange-url", metavar="URL", help="an exchange on this machine instead of the real one")
    data.add_argument("--cache", metavar="DIR", type=Path, help="where an exchange's bars are kept; default: data/scan")
    data.add_argument("--config", metavar="CONFIG", help="a bot's config: its cointegration section, costs, thresholds")
    data.add_argument("--interval", choices=tuple(INTERVALS), help="length of a bar; default: 1h")
    window = data.add_mutually_exclusive_group()
    window.add_argument("--bars", metavar="N", type=int, help="the N bars that end at the newest one")
    window.add_argument("--days", metavar="N", type=int, help="the same by days; default: 60")
    data.add_argument("--to", dest="end", metavar="T", type=utc_time, help="last close time, UTC; default: the newest")
    data.add_argument("--symbols", metavar="A,B", help="only these, in any notation")
    data.add_argument("--quote", metavar="Q", help="of an exchange's universe; default: USDT")
    data.add_argument("--universe", metavar="N", type=int, help="the most traded symbols of an exchange; default: 30")
    data.add_argument(
        "--min-volume", metavar="V", type=float, help="traded a day, quote currency; of an exchange 1,000,000"
    )
    data.add_argument("--max-jump", metavar="X", type=float, help="greatest ratio of two closes in a row; default: 3")


def _add_test_options(parser: argparse.ArgumentParser) -> None:
    test = parser.add_argument_group("test and choice")
    test.add_argument("--autolag", choices=tuple(AUTOLAGS), help="lag rule; none: --max-lag exactly; default: aic")
    test.add_argument("--max-lag", metavar="N", type=int, help="the most lags; default: 12 (n/100)^(1/4)")
    test.add_argument("--false-discovery", choices=FALSE_DISCOVERY, help="Benjamini-Hochberg (default) or -Yekutieli")
    test.add_argument("--max-q", metavar="Q", type=float, help="false pairs allowed among the chosen; default: 0.05")
    test.add_argument("--max-p", metavar="P", type=float, help="p with the legs exchanged; default: 0.05")
    test.add_argument("--max-half-life", metavar="H", type=float, help="hours, whatever the bar; default: 24")
    test.add_argument("--min-correlation", metavar="R", type=float, help="of returns; default: 0.5")
    test.add_argument("--min-edge", metavar="X", type=float, help="reversion over round-trip cost; default: 1")
    test.add_argument("--windows", metavar="N", type=int, help="windows in a row: how many pairs are found again")
    test.add_argument("--johansen", action="store_true", default=None, help="also Johansen's trace")
    test.add_argument("--top", metavar="N", type=int, help="the most pairs to choose; default: 10")
    test.add_argument("--allow-shared", action="store_true", default=None, help="let two pairs share a symbol")
    test.add_argument(
        "--simulated-pairs", metavar="N", type=int, help="unrelated pairs that measure chance; default: 12,000"
    )
    test.add_argument("--seed", metavar="N", type=int, help="of those pairs; default: 7")
    test.add_argument("--repeat", metavar="FILE", type=Path, help="the same scan again, by the inputs that it wrote")


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument("--csv", metavar="PATH", type=Path, help="default: cointegration_results_<time>.csv")
    output.add_argument("--pairs-config", metavar="PATH", type=Path, default=PAIRS_FILE, help=f"default: {PAIRS_FILE}")
    output.add_argument("--json", metavar="PATH", type=Path, help="everything for machines")
    output.add_argument("--plots", metavar="DIR", type=Path, default=PLOTS, help=f"default: {PLOTS}")
    output.add_argument("--no-plots", action="store_true", help="no pictures")
    output.add_argument("--executor", metavar="WHERE", default="local", help="local, or dask://HOST:PORT")


def universes(options: argparse.Namespace) -> list[argparse.Namespace]:
    """The options of one scan for every folder or exchange that is named. Raises ``ScanError``."""
    folders, exchanges = options.data or [], options.exchange or []
    if folders and (exchanges or options.exchange_url):
        raise ScanError("--data and --exchange exclude each other: one source of bars at a time")
    if len(exchanges) > 1 and options.exchange_url:
        raise ScanError("--exchange-url is the address of one exchange: name one")
    if len(folders) > 1 and options.repeat:
        raise ScanError("--repeat is one scan again: name one folder")
    named = [(one.resolve().name, {"data": one}) for one in folders] or [(one, {"exchange": one}) for one in exchanges]
    names = [name for name, _ in named]
    if len(set(names)) < len(names):
        raise ScanError(f"the files of each universe have its name, and two have one: {', '.join(names)}")
    alone = {"data": None, "exchange": None, "suffix": ""}
    chosen = [alone | one | {"suffix": f"_{name}" if len(named) > 1 else ""} for name, one in named] or [alone]
    return [argparse.Namespace(**(vars(options) | one)) for one in chosen]


def wanted_config(options: argparse.Namespace) -> Config | None:
    """Raises ``ConfigError``."""
    if options.config is None:
        return None
    return load_config(options.config, environ=process_environment(), needs_pairs=False).model


def wanted_settings(options: argparse.Namespace, config: Config | None) -> ScanSettings:
    """Options over the config over the defaults. Raises ``ScanError``."""
    base = settings_of(config) if config else ScanSettings()
    interval = options.interval or base.interval
    return replace(
        base,
        interval=interval,
        bars=_bars(options, base, interval),
        end_ms=datetime_to_ms(options.end) if options.end else base.end_ms,
        test=replace(base.test, **_given(max_lag=options.max_lag), **_autolag(options)),
        gates=_over(
            base.gates,
            max_q_value=options.max_q,
            false_discovery=options.false_discovery,
            max_pvalue=options.max_p,
            max_half_life_hours=options.max_half_life,
            min_correlation=options.min_correlation,
            min_edge=options.min_edge,
        ),
        care=_over(base.care, max_jump=options.max_jump, min_volume=options.min_volume),
        **_given(
            top_n=options.top,
            allow_shared_symbols=options.allow_shared,
            simulated_pairs=options.simulated_pairs,
            seed=options.seed,
            johansen=options.johansen,
            windows=options.windows,
        ),
    )


def wanted_source(options: argparse.Namespace, config: Config | None) -> Source:
    """A folder where one is named or the config replays one, else an exchange. Raises ``ScanError``."""
    symbols = None
    if options.symbols is not None:
        symbols = tuple(symbol.strip() for symbol in options.symbols.split(",") if symbol.strip())
    wants_exchange = bool(options.exchange or options.exchange_url)
    folder = options.data or (None if wants_exchange else _replayed(config))
    if folder is not None:
        return FolderSource(folder, symbols)
    if options.universe is not None and options.universe < 2:
        raise ScanError(f"a universe of {options.universe} symbols holds no pair: two or more are wanted")
    source = exchange_of(config) if config else ExchangeSource(SessionSettings("binanceusdm"))
    try:
        session = _over(source.session, exchange_id=options.exchange, url=options.exchange_url)
    except ValueError as error:
        raise ScanError(str(error)) from error
    more = _given(
        cache=options.cache, symbols=symbols, quote=options.quote, count=options.universe,
        min_volume=options.min_volume,
    )  # fmt: skip
    return replace(source, session=session, **more)


def _replayed(config: Config | None) -> Path | None:
    """The folder that a config replays."""
    if config is None or config.data.data_source != "replay" or config.data.dir is None:
        return None
    return Path(config.data.dir)


def wanted_output(options: argparse.Namespace, made: datetime) -> Output:
    """Of several universes, the files of each have its name at the end of theirs."""
    return Output(
        csv=_apart(options.csv or stamped(made.astimezone(UTC), "csv"), options.suffix),
        pairs_config=_apart(options.pairs_config, options.suffix),
        json=options.json and _apart(options.json, options.suffix),
        plots=None if options.no_plots else _apart(options.plots, options.suffix),
    )


def _apart(path: Path, suffix: str) -> Path:
    return path.parent / f"{path.stem}{suffix}{path.suffix}"


def refuse_beside_repeat(options: argparse.Namespace) -> None:
    """Raises ``ScanError`` for an option that a repeated scan would not heed."""
    given = [name for name, value in vars(options).items() if value is not None and name not in BESIDE_REPEAT]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given).replace("--end", "--to")
        raise ScanError(f"--repeat scans as that scan did, whatever {names} says: leave it out, or scan anew")


def repeated(options: argparse.Namespace, inputs: Inputs) -> FolderSource:
    """The folder of a former scan, or where it lies now (``--data``)."""
    return FolderSource(options.data or inputs.folder, inputs.symbols)


def _bars(options: argparse.Namespace, base: ScanSettings, interval: str) -> int:
    if options.bars is not None:
        return int(options.bars)
    if options.days is not None:
        return days_of_bars(options.days, interval)
    return base.bars * base.interval_ms // INTERVALS[interval]


def _autolag(options: argparse.Namespace) -> dict[str, Any]:
    return {} if options.autolag is None else {"autolag": AUTOLAGS[options.autolag]}


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _over(base: Value, **values: object) -> Value:
    """``base`` with the values that are given."""
    return replace(base, **_given(**values))
