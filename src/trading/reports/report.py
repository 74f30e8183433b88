"""Everything a report shows of one run, gathered from its result and, where they can be had, the bars it was played on.

No page is made here: the values serve a page, a picture or a message alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trading.config.loader import ConfigError, load_config
from trading.config.model import LoadedConfig
from trading.journal.reads import JournalReader
from trading.market_input import DataChoice, InputError, MarketInput, market_input
from trading.records import RunResult
from trading.reports.benchmark import Benchmark, Course, MarketBeta, benchmark, course, market_beta
from trading.reports.cautions import Caution, cautions
from trading.reports.equity_figures import EquityFigures, Month, equity_figures, months
from trading.reports.pair_views import views_of_bars, views_of_decisions
from trading.reports.panels import PairPlotData
from trading.reports.performance import Metrics, equity_curve, metrics
from trading.reports.run_reading import run_of, run_result
from trading.reports.trade_figures import (
    PairRow,
    ProfitParts,
    TradeFigures,
    pair_rows,
    profit_parts,
    trade_figures,
)
from trading.run_facts import read_facts
from trading.utc_text import parse_utc
from trading.venues.opening import state_paths


@dataclass(frozen=True, slots=True)
class Report:
    """``own``: the run beside ``benchmark``'s courses. ``without``: what could not be shown, and why, as sentences.

    ``title``: the bot or config and which run. ``open_parts``: of the trades that are still open.
    """

    title: str
    result: RunResult
    metrics: Metrics
    equity: EquityFigures
    months: tuple[Month, ...]
    own: Course
    parts: ProfitParts
    open_parts: ProfitParts
    trades: TradeFigures | None
    pairs: tuple[PairRow, ...]
    cautions: tuple[Caution, ...]
    benchmark: Benchmark | None
    beta: MarketBeta | None
    views: tuple[PairPlotData, ...]
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """The bars of a run and the config that names them; None where they cannot be had, and ``why``."""

    config: LoadedConfig | None
    market: MarketInput | None
    why: str = ""


def report_of_result(
    result: RunResult, *, config: str | None, choice: DataChoice, environ: Mapping[str, str]
) -> Report:
    """``config``: the config's file, where it is not the one the result names. Never raises for missing bars."""
    bars = _bars_of_result(result, config or result.config, choice, environ)
    views = () if bars.config is None or bars.market is None else _views(bars.config, bars.market, result)
    return _gathered(f"{result.config}: {result.mode}", result, bars, views)


def report_of_run(config: LoadedConfig, number: int | None, *, choice: DataChoice) -> Report:
    """A run in the bot's journal, the newest by default. Raises JournalError and RunUnknown."""
    path, _ = state_paths(config)
    with JournalReader.open(path) as journal:
        run = run_of(journal, number, config.bot_id)
        bars = _bars_of_config(config, _completed(choice, read_facts(journal, run.number).data), run.config_sha256)
        result = run_result(journal, config, run, _last_prices(bars.market, journal.equity(run.number)))
        views = views_of_decisions(config, journal.decisions(run.number))
    if bars.market is not None:
        views = _views(config, bars.market, result)
    return _gathered(f"{config.bot_id} on {config.model.broker.type}, run {run.number}", result, bars, views)


def _gathered(title: str, result: RunResult, bars: Bars, views: Sequence[PairPlotData]) -> Report:
    held, beta, without = None, None, [bars.why] if bars.why else []
    if bars.config is not None and bars.market is not None:
        held = benchmark(result, bars.market, [pair.leg_a for pair in bars.config.pairs])
        beta = market_beta(result, bars.market)
        without += _too_short(held, beta)
    curve = equity_curve(result.equity, start=float(result.equity_start))
    return Report(
        title=title,
        result=result,
        metrics=metrics(result),
        equity=equity_figures(result),
        months=months(result),
        own=course("this run", curve, result.bar_hours),
        parts=profit_parts(result.trades),
        open_parts=profit_parts(result.open),
        trades=trade_figures(result.trades),
        pairs=pair_rows(result),
        cautions=cautions(result),
        benchmark=held,
        beta=beta,
        views=tuple(views),
        without=tuple(without),
    )


def _too_short(held: Benchmark | None, beta: MarketBeta | None) -> list[str]:
    missing = [name for name, found in (("the benchmark", held), ("the beta to the market", beta)) if found is None]
    return [f"The run has too few bars for {' and '.join(missing)}, or they are not those at hand."] if missing else []


def _views(config: LoadedConfig, market: MarketInput, result: RunResult) -> tuple[PairPlotData, ...]:
    first = result.equity[0][0] if result.equity else result.start
    return views_of_bars(config, market, first, result.end)


# the bars


def _bars_of_result(result: RunResult, name: str, choice: DataChoice, environ: Mapping[str, str]) -> Bars:
    try:
        config = load_config(name, environ=environ)
    except ConfigError as error:
        first = str(error).splitlines()[0]
        return Bars(None, None, f"No benchmark, no beta, no charts of pairs: the config cannot be had ({first}).")
    made_of = result.provenance
    return _bars_of_config(
        config,
        _completed(choice, {} if made_of is None else made_of.data),
        "" if made_of is None else made_of.config_sha256,
        digest="" if made_of is None else str(made_of.data.get("digest", "")),
    )


def _bars_of_config(config: LoadedConfig, choice: DataChoice, sha256: str, *, digest: str = "") -> Bars:
    """What does not fit the run is used all the same, and said."""
    try:
        market = market_input(config, choice)
    except InputError as error:
        return Bars(config, None, f"No benchmark and no beta: the bars cannot be had here ({error}).")
    if digest and market.source.digest() != digest:
        return Bars(config, market, "The bars at hand are not those of the run: benchmark and charts are of these.")
    if sha256 and config.sha256 != sha256:
        return Bars(
            config, market, "The config has changed since the run: benchmark and charts are by the present one."
        )
    return Bars(config, market)


def _completed(choice: DataChoice, data: Mapping[str, Any]) -> DataChoice:
    """What the command line left open, as the run had it."""
    return DataChoice(
        choice.folder or (Path(data["dir"]) if "dir" in data else None),
        choice.funding_folder or (Path(data["funding_dir"]) if "funding_dir" in data else None),
        choice.start or (parse_utc(data["from"]) if "from" in data else None),
        choice.end or (parse_utc(data["to"]) if "to" in data else None),
    )


def _last_prices(market: MarketInput | None, equity: Sequence[tuple[Any, float]]) -> dict[str, float] | None:
    """The closes at the run's last bar; None without bars."""
    if market is None or not equity:
        return None
    end_ms = equity[-1][0].timestamp() * 1000.0
    found = {
        symbol: series.time_ms.searchsorted(end_ms, side="right") - 1 for symbol, series in market.source.series.items()
    }
    return {symbol: float(market.source.series[symbol].close[at]) for symbol, at in found.items() if at >= 0}
