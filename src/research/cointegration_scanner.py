"""The scanner: a universe from an exchange or a folder, every pair tested, the best ones written for the bot.

scanner = CointegrationScanner(source=FolderSource(Path("bars")))
await scanner.connect()
for leg_a, leg_b, hedge_ratio in await scanner.scan_pairs():
    ...
await scanner.disconnect()
scanner.export_results("csv")
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccxt_bt_bridge.backfill import fetch_bars
from ccxt_bt_bridge.session import CcxtSession, SessionSettings
from ccxt_bt_bridge.words import BINANCE_IDS
from feeds.history import load_bars, symbols_in
from pairs.all_pairs import pairwise_cointegration
from pairs.symbols import compact_symbol
from research.scan.data_care import Excluded, universe
from research.scan.errors import ScanError
from research.scan.exchange import fetch_folder, most_traded
from research.scan.folder import read_folder
from research.scan.inputs import Inputs
from research.scan.output import PAIRS_FILE, stamped
from research.scan.result_files import csv_text, pair_facts, pairs_config, report, slashed, write_json
from research.scan.scan import Scan, scan
from research.scan.settings import ScanSettings, days_of_bars, settings_of
from research.scan.tester import Tell, Tester
from research.scan.windows import earlier_windows
from trading.config.model import Config
from trading.reports.output_files import write_atomically

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FolderSource:
    """Bars that lie in ``folder``; ``symbols`` None: all that it has."""

    folder: Path
    symbols: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ExchangeSource:
    """The ``count`` most traded symbols in ``quote`` (or just ``symbols``), fetched into a folder of ``cache``.

    ``min_volume``: traded a day, quote currency.
    """

    session: SessionSettings
    cache: Path = Path("data/scan")
    symbols: tuple[str, ...] | None = None
    quote: str = "USDT"
    count: int = 30
    min_volume: float = 1_000_000.0

    @property
    def folder(self) -> Path:
        """Of this exchange alone: others name other prices alike."""
        session = self.session
        place = "testnet" if session.testnet else (session.url or "").partition("//")[2]
        name = f"{session.exchange_id}_{place}" if place else session.exchange_id
        return self.cache / re.sub(r"[^A-Za-z0-9_.]+", "-", name)


Source = FolderSource | ExchangeSource


def exchange_of(config: Config) -> ExchangeSource:
    """The most traded symbols of the market that a bot's config trades."""
    broker, wanted = config.broker, config.cointegration
    session = SessionSettings(BINANCE_IDS[config.market], url=broker.exchange_url, ca_file=broker.ca_file)
    return ExchangeSource(session, count=wanted.universe_size, min_volume=wanted.min_volume_usdt)


@dataclass(frozen=True, slots=True)
class CointegrationResult:
    """One chosen pair, ``log(leg_a) = intercept + hedge_ratio · log(leg_b)``; unpacks as leg_a, leg_b, hedge_ratio."""

    leg_a: str
    leg_b: str
    hedge_ratio: float
    intercept: float
    pvalue: float
    q_value: float
    half_life_bars: float

    def __iter__(self) -> Iterator[str | float]:
        return iter((self.leg_a, self.leg_b, self.hedge_ratio))


class CointegrationScanner:
    """``source``: where the bars come from; by default the most traded USDT perpetuals of Binance.

    ``connect`` first and ``disconnect`` at last; with a folder they do nothing. Every method raises ``ScanError`` for
    what cannot be scanned, ``HistoryError`` for bad files, and ``BridgeError`` for an exchange that does not answer.
    """

    def __init__(
        self,
        settings: ScanSettings | None = None,
        *,
        source: Source | None = None,
        tester: Tester = pairwise_cointegration,
        tell: Tell = lambda *_: None,
    ) -> None:
        self._settings = settings or ScanSettings()
        self._source = source or ExchangeSource(SessionSettings("binanceusdm"))
        self._tester, self._tell = tester, tell
        self._session: CcxtSession | None = None
        self._symbols: Sequence[str] = ()
        self._found: tuple[Scan, Inputs] | None = None
        self._left_out: tuple[Excluded, ...] = ()

    @classmethod
    def from_config(cls, config: Config, *, source: Source | None = None, **more: Any) -> CointegrationScanner:
        """By a bot's config: its section ``cointegration``, its market, costs and thresholds."""
        return cls(settings_of(config), source=source or exchange_of(config), **more)

    @property
    def scan(self) -> Scan:
        """Everything that the last ``scan_pairs`` found. Raises ``ScanError`` before the first."""
        return self._result()[0]

    @property
    def inputs(self) -> Inputs:
        """What it came from. Raises ``ScanError`` before the first."""
        return self._result()[1]

    async def connect(self) -> bool:
        """True when bars can be had."""
        if isinstance(self._source, ExchangeSource) and self._session is None:
            self._session = await CcxtSession.open(self._source.session)
        return True

    async def disconnect(self) -> None:
        if self._session is not None:
            await self._session.close()
        self._session = None

    async def get_universe(self) -> list[str]:
        """Compact symbols: those asked for, else the most traded ones, else all that the folder has."""
        source = self._source
        if source.symbols is not None:
            return list(dict.fromkeys(map(compact_symbol, source.symbols)))
        if isinstance(source, FolderSource):
            return symbols_in(source.folder)
        chosen, self._left_out = await most_traded(
            self._open_session(), quote=source.quote, count=source.count, min_volume=source.min_volume
        )
        return list(chosen)

    async def fetch_ohlcv(self, pair: str, days: int) -> Floats:
        """The last ``days`` of one symbol: rows of close time (ms UTC), open, high, low, close, volume."""
        settings, source = self._settings, self._source
        bars = days_of_bars(days, settings.interval)
        if isinstance(source, FolderSource):
            series = load_bars(source.folder, pair, settings.interval)
            return np.column_stack([column[-bars:].astype(float) for column in series.columns])
        session = self._open_session()
        await session.hear_time()
        now_ms = session.clock.now_ms()
        since_ms = now_ms // settings.interval_ms * settings.interval_ms - (bars - 1) * settings.interval_ms
        pages = fetch_bars(session, pair, settings.interval, since_ms=since_ms, until_ms=now_ms)
        rows = [(b.time_ms, b.open, b.high, b.low, b.close, b.volume) async for page in pages for b in page]
        return np.array(rows, dtype=float).reshape(-1, 6)

    async def scan_pairs(self) -> list[CointegrationResult]:
        """Test every pair of the universe; the chosen ones, best first. None is a normal answer: see ``scan``."""
        await self.gather()
        return self.compare()

    async def gather(self) -> None:
        """Find the universe, and fetch what the folder lacks of it: the half of a scan that waits for others."""
        symbols, settings = await self.get_universe(), self._settings
        if isinstance(self._source, ExchangeSource):
            session, folder = self._open_session(), self._source.folder
            bars = settings.bars * settings.windows
            end_ms = await fetch_folder(
                session, symbols, settings.interval, bars=bars, end_ms=settings.end_ms, folder=folder, tell=self._tell
            )
            self._settings = replace(settings, end_ms=settings.end_ms or end_ms)
            symbols = self._with_bars(symbols)
        self._symbols = symbols

    def compare(self) -> list[CointegrationResult]:
        """Test what was gathered: the half that computes."""
        settings, folder = self._settings, self._source.folder
        read = read_folder(folder, settings.interval, symbols=self._symbols, tell=self._tell)
        lost = (*self._left_out, *read.unreadable)
        compared = universe(read.series, bars=settings.bars, end_ms=settings.end_ms, care=settings.care, lost=lost)
        settings = replace(settings, end_ms=int(compared.time_ms[-1]))
        found = scan(compared, settings, tester=self._tester, tell=self._tell)
        if settings.windows > 1:
            windows = earlier_windows(read.series, settings, tester=self._tester, tell=self._tell)
            found = replace(found, windows=windows)
        self._found = found, Inputs(folder, read.files, settings)
        return [_result(found, row) for row in found.choice.chosen]

    def export_results(self, format: str = "csv") -> str:
        """Write ``csv`` (every tested pair), ``json`` (everything) or ``pairs`` (``pairs_config.json``); returns where.

        The first two have a name of their own for every call.
        """
        found, inputs = self._result()
        path = PAIRS_FILE if format == "pairs" else stamped(datetime.now(UTC), format)
        if format == "csv":
            write_atomically(path, csv_text(found).encode())
        elif format == "json":
            write_json(path, report(found, inputs))
        elif format == "pairs":
            write_json(path, pairs_config(found, "the scanner's own"))
        else:
            raise ScanError(f"unknown format {format!r}; known: csv, json, pairs")
        return str(path)

    def get_best_pairs(self, n: int = 5) -> list[tuple[str, str, float]]:
        """leg_a, leg_b and hedge ratio of the ``n`` best chosen pairs."""
        best = (_result(self.scan, row) for row in self.scan.choice.chosen[:n])
        return [(one.leg_a, one.leg_b, one.hedge_ratio) for one in best]

    def _with_bars(self, symbols: Sequence[str]) -> list[str]:
        """Those that the exchange had any bar of."""
        there = symbols_in(self._source.folder)
        lost = [Excluded(symbol, "the exchange has no bar of it") for symbol in symbols if symbol not in there]
        self._left_out = (*self._left_out, *lost)
        return [symbol for symbol in symbols if symbol in there]

    def _result(self) -> tuple[Scan, Inputs]:
        if self._found is None:
            raise ScanError("nothing has been scanned yet: call scan_pairs first")
        return self._found

    def _open_session(self) -> CcxtSession:
        if self._session is None:
            raise ScanError("not connected: call connect first")
        return self._session


def _result(found: Scan, row: int) -> CointegrationResult:
    facts = pair_facts(found, row)
    return CointegrationResult(
        leg_a=slashed(facts["leg_a"]),
        leg_b=slashed(facts["leg_b"]),
        hedge_ratio=facts["hedge_ratio"],
        intercept=facts["intercept"],
        pvalue=facts["coint_p"],
        q_value=facts["q_value"],
        half_life_bars=facts["half_life_bars"],
    )
