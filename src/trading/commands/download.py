"""``tandem download``: bring a folder of bars up to date from an exchange."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from ccxt_bt_bridge.backfill import fetch_bars, known_interval
from ccxt_bt_bridge.bt_time import datetime_to_ms, ms_to_datetime
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketUnknown, NotSupported
from ccxt_bt_bridge.funding_history import fetch_funding
from ccxt_bt_bridge.series import INTERVALS, interval_ms
from ccxt_bt_bridge.session import CcxtSession, SessionSettings
from ccxt_bt_bridge.words import BINANCE_IDS, Bar
from feeds.bar_files import FORMATS, BarFile, BarFileError, DiskFull
from feeds.download import Download, Downloaded, Pages, Span
from feeds.funding_files import add_funding
from pairs.symbols import compact_symbol
from trading.command_line import BAD_INPUT, EXIT_CODES, EXPECTED, FAILURE, INTERRUPTED, OK, ended, utc_time
from trading.commands.download_display import DownloadDisplay
from trading.config.environment import process_environment
from trading.config.loader import load_config
from trading.reports.output_files import output_path, write_atomically
from trading.saying import say
from trading.utc_text import utc_text

FUNDING_FOLDER = "funding"
HOLES_SHOWN = 5
NO_END_MS = 2**53


class UsageError(Exception):
    """The command line asks for something that makes no sense."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be fetched, from where, to where."""

    settings: SessionSettings
    symbols: tuple[str, ...]
    interval: str
    span: Span
    folder: Path
    form: str
    with_funding: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one symbol. ``funding_added``: None when it was not asked for."""

    bars: Downloaded
    funding_added: int | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Download, print what came of it; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.json not in (None, "-"):
            output_path(options.json)
        order = _order(options)
        deliveries = asyncio.run(_download(order))
        _tell(order, deliveries, options.json)
    except (MarketUnknown, NotSupported, BarFileError, UsageError) as error:
        return ended(str(error), FAILURE if isinstance(error, DiskFull) else BAD_INPUT)
    except ExchangeUnreachable as error:
        return ended(f"{error}. The same call goes on from what is on disk", FAILURE)
    except EXPECTED as error:
        return ended(str(error), BAD_INPUT)
    except KeyboardInterrupt:
        return ended("stopped; what came is kept, and the same call goes on from there", INTERRUPTED)
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tandem download",
        description="Fetch the history of symbols into one file each, or bring such files up to date. Needs no key.",
        epilog=f"Symbols, interval and market of a config are taken where the options say nothing. {EXIT_CODES}",
    )
    parser.add_argument("config", nargs="?", help="a config file; a bare name is also looked for in config/trading")
    parser.add_argument(
        "--exchange", metavar="ID", help="ccxt's id, such as binanceusdm (USD-M futures) or binance (spot)"
    )
    parser.add_argument("--symbols", metavar="A,B", help="in any notation: BTC/USDT,ETHUSDT")
    parser.add_argument("--interval", choices=tuple(INTERVALS), help="length of a bar")
    parser.add_argument("--from", dest="start", metavar="T", type=utc_time, required=True, help="first open time, UTC")
    parser.add_argument("--to", dest="end", metavar="T", type=utc_time, help="last close time, UTC; default: now")
    parser.add_argument("--dir", metavar="DIR", type=Path, help="where the files lie; default: the config's data.dir")
    parser.add_argument("--format", choices=FORMATS, default="csv", help="default: csv")
    parser.add_argument("--funding", action="store_true", help=f"also the funding rates, into DIR/{FUNDING_FOLDER}")
    parser.add_argument("--exchange-url", metavar="URL", help="an exchange on this machine instead of the real one")
    parser.add_argument("--json", metavar="PATH", help="write the report as JSON to PATH (- for the screen)")
    return parser


def _order(options: argparse.Namespace) -> Order:
    given = _from_config(options.config) if options.config else {}
    wanted: dict[str, Any] = {
        name: getattr(options, name) or given.get(name) for name in ("exchange", "symbols", "interval", "dir")
    }
    missing = [f"--{name}" for name, value in wanted.items() if not value]
    if missing:
        raise UsageError(f"{', '.join(missing)}: needed" + ("" if options.config else ", or a config that says so"))
    symbols = wanted["symbols"].split(",") if isinstance(wanted["symbols"], str) else wanted["symbols"]
    return Order(
        settings=_settings(wanted["exchange"], options.exchange_url or given.get("url"), given.get("ca_file")),
        symbols=tuple(dict.fromkeys(symbol.strip() for symbol in symbols if symbol.strip())),
        interval=wanted["interval"],
        span=_span(options, interval_ms(wanted["interval"])),
        folder=Path(wanted["dir"]),
        form=options.format,
        with_funding=options.funding,
    )


def _from_config(path: str) -> dict[str, Any]:
    config = load_config(path, environ=process_environment())
    model = config.model
    return {
        "exchange": BINANCE_IDS[model.market],
        "symbols": config.symbols,
        "interval": model.data.interval,
        "dir": model.data.dir,
        "url": model.broker.exchange_url,
        "ca_file": model.broker.ca_file,
    }


def _settings(exchange_id: str, url: str | None, ca_file: str | None) -> SessionSettings:
    try:
        return SessionSettings(exchange_id, url=url, ca_file=ca_file)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _span(options: argparse.Namespace, step_ms: int) -> Span:
    """Closes from the first bar that opens at ``--from`` or later."""
    opens_ms = -(-datetime_to_ms(options.start) // step_ms) * step_ms
    last_ms = datetime_to_ms(options.end) if options.end else NO_END_MS
    if last_ms < opens_ms + step_ms:
        raise UsageError(f"no bar fits between --from {utc_text(options.start)} and --to {_end_text(options)}")
    return Span(opens_ms + step_ms, last_ms)


def _end_text(options: argparse.Namespace) -> str:
    return utc_text(options.end) if options.end else "now"


async def _download(order: Order) -> list[Delivery]:
    session = await CcxtSession.open(order.settings)
    try:
        known_interval(session, order.interval)
        for symbol in order.symbols:
            session.market_of(symbol)
        files = [BarFile(order.folder, symbol, order.interval, form=order.form) for symbol in order.symbols]
        with DownloadDisplay(order.symbols, Console(stderr=True)) as display:
            download = Download(_pages(session, order.interval), now_ms=session.clock.now_ms, tell=display.show)
            return [
                await _deliver(session, download, order, symbol, file)
                for symbol, file in zip(order.symbols, files, strict=True)
            ]
    finally:
        await session.close()


def _pages(session: CcxtSession, interval: str) -> Pages:
    def pages(symbol: str, since_ms: int, until_ms: int) -> AsyncIterator[list[Bar]]:
        return fetch_bars(session, symbol, interval, since_ms=since_ms, until_ms=until_ms)

    return pages


async def _deliver(session: CcxtSession, download: Download, order: Order, symbol: str, file: BarFile) -> Delivery:
    bars = await download.bring(symbol, file, interval_ms(order.interval), order.span)
    return Delivery(bars, await _funding(session, order, symbol) if order.with_funding else None)


async def _funding(session: CcxtSession, order: Order, symbol: str) -> int:
    until_ms = min(order.span.last_ms, session.clock.now_ms())
    opens_ms = order.span.first_ms - interval_ms(order.interval)
    series = await fetch_funding(session, compact_symbol(symbol), since_ms=opens_ms, until_ms=until_ms)
    return add_funding(order.folder / FUNDING_FOLDER, series)


def _tell(order: Order, deliveries: Sequence[Delivery], json_path: str | None) -> None:
    report = {
        "exchange": order.settings.exchange_id,
        "interval": order.interval,
        "symbols": [_as_json(delivery, interval_ms(order.interval)) for delivery in deliveries],
    }
    listing = json.dumps(report, indent=2)
    say(listing if json_path == "-" else "\n".join(line for one in deliveries for line in _lines(one)))
    if json_path not in (None, "-"):
        write_atomically(str(json_path), f"{listing}\n".encode())


def _as_json(delivery: Delivery, step_ms: int) -> dict[str, Any]:
    bars = delivery.bars
    return {
        "symbol": bars.symbol,
        "path": str(bars.path),
        "bars": bars.bars,
        "added": bars.added,
        "first": None if bars.first_ms is None else _text(bars.first_ms),
        "last": None if bars.last_ms is None else _text(bars.last_ms),
        "begins_later": bars.begins_later,
        "holes": [
            {"first": _text(hole.first_ms), "last": _text(hole.last_ms),
             "bars": (hole.last_ms - hole.first_ms) // step_ms + 1}
            for hole in bars.holes
        ],
        "funding_added": delivery.funding_added,
    }  # fmt: skip


def _lines(delivery: Delivery) -> Iterator[str]:
    bars = delivery.bars
    if bars.first_ms is None or bars.last_ms is None:
        yield f"{bars.symbol}: the exchange has no bar of that time"
        return
    span = f"closes {_text(bars.first_ms)} to {_text(bars.last_ms)}"
    yield f"{bars.symbol}: {bars.bars} bars in {bars.path}, {bars.added} new, {span}"
    if bars.begins_later:
        yield "  it was listed later than --from: there is nothing before its first bar"
    for hole in bars.holes[:HOLES_SHOWN]:
        yield f"  the exchange has no bars that close {_text(hole.first_ms)} to {_text(hole.last_ms)} (asked twice)"
    if len(bars.holes) > HOLES_SHOWN:
        yield f"  and {len(bars.holes) - HOLES_SHOWN} more such holes (--json lists them all)"
    if delivery.funding_added is not None:
        yield f"  funding: {delivery.funding_added} new events"


def _text(time_ms: int) -> str:
    return utc_text(ms_to_datetime(time_ms))
