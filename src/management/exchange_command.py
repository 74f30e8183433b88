"""``tandem exchange``: serve the exchange on the desk until Ctrl+C or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brokers.desk.api_key import DEMO_KEY
from brokers.desk.desk import Desk
from brokers.desk.tls import CA_FILE, throwaway_tls
from brokers.desk.wire_kinds import WIRE_KINDS
from brokers.desk.wire_plan import WireFault
from brokers.simulated.fault_kinds import KINDS
from brokers.simulated.faults import Fault
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore, StoreError
from feeds.history import HistoryError
from management.exchange_market import account_terms, is_real_time, market_source
from management.exchange_options import exchange_parser
from pairs.symbols import quote_currency

OK, BAD_USAGE = 0, 2
DEFAULT_PAIRS = (("ETHUSDT", "BTCUSDT"),)


@dataclass(frozen=True, slots=True)
class Faults:
    """``inside``: what the exchange does wrong; ``wire``: what happens on the way."""

    inside: Sequence[Fault] = ()
    wire: Sequence[WireFault] = ()


class UsageError(Exception):
    """The exchange cannot be started as asked: told in a sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = exchange_parser().parse_args(arguments)
    if options.list_faults:
        print(fault_list())
        return OK
    try:
        _complete(options)
        asyncio.run(_serve(options))
    except (UsageError, HistoryError, StoreError) as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    return OK


def fault_list() -> str:
    """Every kind of fault, and on what it can happen."""
    rows = [(kind, row.does, row.on) for kind, row in KINDS.items()]
    rows += [(kind, row.text, row.on) for kind, row in WIRE_KINDS.items()]
    return "\n".join(f"{kind}: {text}\n    on: {', '.join(on)}" for kind, text, on in rows)


def _complete(options: argparse.Namespace) -> None:
    """Fill in what one option's default takes from another. Raises UsageError."""
    if not 0 <= options.port <= 65_535:
        raise UsageError(f"--port {options.port} is no port; expected 0 (any) to 65535")
    if options.pairs is None:
        options.pairs = () if options.symbols or options.data else DEFAULT_PAIRS
    if not options.data:
        _require_quotes(options)
    if options.wait_for_client is None:
        options.wait_for_client = options.speed > 1.0


def _require_quotes(options: argparse.Namespace) -> None:
    """What is made up has a name that says what it is paid in."""
    symbols = (*options.symbols, *(leg for pair in options.pairs for leg in pair))
    nameless = [symbol for symbol in symbols if quote_currency(symbol) is None]
    if nameless:
        raise UsageError(f"{', '.join(nameless)}: ends in no quote currency; expected names such as BTCUSDT")


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    faults = read_faults(options.faults) if options.faults else Faults()
    desk = _desk(options, faults)
    try:
        async with desk:
            walk = desk.walk()
            walk.add_done_callback(lambda ended: None if ended.cancelled() or not ended.exception() else stop.set())
            print(json.dumps(_ready(desk, options)), flush=True)
            await stop.wait()
            if walk.done():
                walk.result()
    except OSError as error:
        raise UsageError(
            f"cannot listen on port {options.port}: {error.strerror}; choose another, or 0 for any"
        ) from None


def _desk(options: argparse.Namespace, faults: Faults) -> Desk:
    try:
        source = market_source(options, _wall_ms())
        terms = account_terms(options, source) | {"faults": faults.inside, "fault_seed": options.seed}
        store = ExchangeStore(options.state, fingerprint=_fingerprint(source, options))
        return Desk(
            source,
            store,
            ports={options.dialect: options.port},
            speed=options.speed,
            wait_for_client=options.wait_for_client,
            now_ms=_wall_ms() if is_real_time(options) else None,
            terms=terms,
            server_terms={
                "keys": [replace(DEMO_KEY, permissions=options.key_may)],
                "backend_timeout_ms": options.backend_timeout_ms,
                "faults": faults.wire,
                "fault_seed": options.seed,
                "tls": throwaway_tls(options.tls) if options.tls else None,
            },
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; choose a place that can be written") from None


def _wall_ms() -> int:
    return int(time.time() * 1000)


def _ready(desk: Desk, options: argparse.Namespace) -> Mapping[str, Any]:
    rest = desk.url.replace("http", "https", 1) if options.tls else desk.url
    trust = {"ca_file": str(options.tls / CA_FILE)} if options.tls else {}
    return {
        "ready": True,
        "rest": rest,
        "ws": f"{rest.replace('http', 'ws', 1)}/ws",
        "dialect": options.dialect,
        "pid": os.getpid(),
        **trust,
    }


def _fingerprint(source: MarketSource, options: argparse.Namespace) -> str:
    """An account belongs to one market and one start."""
    return hashlib.sha256(f"{source.digest()} {options.history} {options.dialect}".encode()).hexdigest()[:16]


def read_faults(path: Path) -> Faults:
    """The faults of a script. Raises UsageError that says what is wrong with which entry."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("expected a list of objects")
        return Faults(
            [Fault.parse(entry) for entry in entries if entry.get("kind") not in WIRE_KINDS],
            [WireFault.parse(entry) for entry in entries if entry.get("kind") in WIRE_KINDS],
        )
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: {error}; `tandem exchange --list-faults` lists what there is") from None
