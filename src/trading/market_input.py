"""The bars, rules and funding that a config names: the same for a backtest and for the simulated exchange."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from brokers.funding import FundingSchedule
from brokers.market_rules import markets_for
from brokers.mock_market import MockMarket, MockPair
from brokers.simulated.source import MarketSource
from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.series import BarSeries
from ccxt_bt_bridge.words import Market
from feeds.history import HistoryError, align, carry, load_bars, load_funding
from pairs.words import Pair
from trading.config.model import Config, LoadedConfig


class InputError(Exception):
    """The market a config names cannot be had: stop and tell the person."""


@dataclass(frozen=True, slots=True)
class DataChoice:
    """What the command line says about data; ``start`` and ``end`` are close times, inclusive."""

    folder: Path | None = None
    funding_folder: Path | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class MarketInput:
    """``notes``: what a summary must say about these data."""

    source: MarketSource
    rules: Mapping[str, Market]
    funding: Mapping[str, FundingSchedule]
    warmup_bars: int
    notes: tuple[str, ...]
    carries: bool = False
    choice: DataChoice = DataChoice()

    @property
    def trade_after(self) -> datetime:
        """Close of the last warm-up step."""
        return ms_to_datetime(self.source.start_ms(self.warmup_bars))

    def opens_ms(self) -> dict[str, frozenset[int]]:
        """When a bar of each symbol opens: the moments at which it trades."""
        interval = self.source.interval_ms
        return {symbol: frozenset((one.time_ms - interval).tolist()) for symbol, one in self.source.series.items()}

    def aligned(self, pair: Pair) -> tuple[BarSeries, ...]:
        """The legs' bars on their common close times; on all, when a missing leg is carried."""
        if pair.leg_b is None:
            return (self.source.series[pair.leg_a],)
        legs = self.source.series[pair.leg_a], self.source.series[pair.leg_b]
        if self.carries:
            return carry(*legs)
        first, second, _ = align(*legs)
        return first, second


def require_pairs(config: LoadedConfig) -> None:
    """Raises InputError when there is nothing to trade: a scan found no pair, and no trade of one is open."""
    if not config.pairs:
        raise InputError(
            f"{config.model.pairs_file} names no pair, and no trade is open: there is nothing to trade. Scan again "
            "with other thresholds or other data, or write the pairs yourself"
        )


def market_input(config: LoadedConfig, choice: DataChoice) -> MarketInput:
    """Raises InputError with what is missing and what to do."""
    require_pairs(config)
    model = config.model
    try:
        series = _series(config, choice)
        source = MarketSource(series)
        source.start_ms(model.data.lookback_bars)
        funding = _funding(config, choice, source)
    except (HistoryError, ValueError) as error:
        raise InputError(str(error)) from error
    rules = _rules(model, source)
    notes = (*_data_notes(series), *_hole_notes(config, source), *_funding_notes(config, source, funding))
    carries = model.data.missing_leg == "carry"
    return MarketInput(source, rules, funding, model.data.lookback_bars, notes, carries, choice)


def _series(config: LoadedConfig, choice: DataChoice) -> dict[str, BarSeries]:
    data = config.model.data
    folder = choice.folder or (Path(data.dir) if data.dir else None)
    if folder is not None and (data.data_source != "mock" or choice.folder is not None):
        return {s: load_bars(folder, s, data.interval, start=choice.start, end=choice.end) for s in config.symbols}
    if data.data_source == "mock":
        return _cut(_mock_series(config), choice)
    raise InputError(
        f'data_source "{data.data_source}" needs history files here: give --data DIR '
        "(one SYMBOL.csv, .csv.gz or .parquet each) or set data.dir"
    )


def _mock_series(config: LoadedConfig) -> dict[str, BarSeries]:
    mock, legs = config.model.mock, [pair for pair in config.pairs if pair.leg_b is not None]
    singles = [pair.leg_a for pair in config.pairs if pair.leg_b is None]
    market = MockMarket(
        mock.seed,
        mock.bars,
        config.model.data.interval,
        pairs=[MockPair.of(pair) for pair in legs],
        symbols=(*singles, *(mock.symbols or ())),
    )
    return {symbol: one for symbol, one in market.series().items() if symbol in config.symbols}


def _cut(series: dict[str, BarSeries], choice: DataChoice) -> dict[str, BarSeries]:
    if choice.start is None and choice.end is None:
        return series
    return {symbol: _between(one, choice) for symbol, one in series.items()}


def _between(series: BarSeries, choice: DataChoice) -> BarSeries:
    first = -math.inf if choice.start is None else choice.start.timestamp() * 1000
    last = math.inf if choice.end is None else choice.end.timestamp() * 1000
    inside = (series.time_ms >= first) & (series.time_ms <= last)
    if not inside.any():
        raise InputError(f"{series.symbol} has no bar between {choice.start} and {choice.end}")
    return series.take(inside.nonzero()[0])


def _funding(config: LoadedConfig, choice: DataChoice, source: MarketSource) -> dict[str, FundingSchedule]:
    data = config.model.data
    folder = choice.funding_folder or (Path(data.funding_dir) if data.funding_dir else None)
    rate = Decimal(repr(data.funding_rate_8h)) if config.model.market == "usdm" else Decimal(0)
    return {
        symbol: FundingSchedule(
            load_funding(folder, symbol) if folder is not None and rate is not None else None,
            rate,
            end_ms=int(source.series[symbol].time_ms[-1]),
        )
        for symbol in config.symbols
    }


def _rules(model: Config, source: MarketSource) -> dict[str, Market]:
    """The venue's rules, and no order smaller than the config wants any to be."""
    smallest = Decimal(repr(model.execution.min_order_value))
    known = markets_for(
        source.series,
        source.first_prices(),
        _overrides(model),
        kind=model.market,
        taker_fee=Decimal(repr(model.broker.commission)),
    )
    return {symbol: replace(one, min_notional=max(one.min_notional, smallest)) for symbol, one in known.items()}


def _overrides(model: Config) -> dict[str, dict[str, float]]:
    names = {"tick": "price_tick", "step": "amount_step"}
    return {
        symbol: {names.get(name, name): value for name, value in info.model_dump().items() if value is not None}
        for symbol, info in model.data.market_info.items()
    }


def _data_notes(series: Mapping[str, BarSeries]) -> list[str]:
    return [f"{symbol}: {note}" for symbol, one in series.items() for note in one.notes]


def _hole_notes(config: LoadedConfig, source: MarketSource) -> list[str]:
    notes = []
    for pair in config.pairs:
        if pair.leg_b is not None:
            *_, dropped = align(source.series[pair.leg_a], source.series[pair.leg_b])
            if dropped:
                fate = "the partner was carried" if config.model.data.missing_leg == "carry" else "were dropped"
                notes.append(f"{pair.pair_id}: {dropped} bars of one leg had no partner and {fate}")
    ends = {int(one.time_ms[-1]) for one in source.series.values()}
    for symbol, one in source.series.items():
        if len(ends) > 1 and int(one.time_ms[-1]) != max(ends):
            notes.append(f"{symbol} ends at {ms_to_datetime(int(one.time_ms[-1])):%Y-%m-%d %H:%MZ}, before the others")
    return notes


def _funding_notes(config: LoadedConfig, source: MarketSource, funding: Mapping[str, FundingSchedule]) -> list[str]:
    if config.model.market != "usdm":
        return []
    start_ms = source.start_ms(config.model.data.lookback_bars)
    counts = [schedule.counts(start_ms, source.end_ms) for schedule in funding.values()]
    recorded, constant = sum(c.series for c in counts), sum(c.constant for c in counts)
    rate = config.model.data.funding_rate_8h
    return [f"funding: {recorded} settlements from recorded series, {constant} from the constant {rate:.4%} per 8 h"]
