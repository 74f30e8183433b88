"""The options of ``tandem exchange``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path

from brokers.desk.api_key import DEMO_KEY, PERMISSIONS
from brokers.desk.server import DIALECTS
from ccxt_bt_bridge.series import INTERVALS
from pairs.symbols import compact_symbol

EXAMPLE = """\
A bot trades here when its config's exchange_url is the printed "rest" address. The key pair is public, "desk-key" and
"desk-secret": it guards nothing, and the server listens on this machine only. Time: --speed 1 is real time, and a
made-up market is then shifted so that it is now; with more, the idle rest of each bar is skipped, so that bars keep
their stamps and time-outs stay real.
exit codes: 0 stopped by Ctrl+C or SIGTERM, 2 bad usage, files or port"""


def exchange_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tandem exchange",
        description="Start an exchange on this machine that speaks Binance's dialect, for trying bots without money.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_server(parser)
    _add_market(parser)
    _add_account(parser)
    _add_faults(parser)
    return parser


def _add_server(parser: argparse.ArgumentParser) -> None:
    server = parser.add_argument_group("server")
    server.add_argument(
        "--dialect",
        choices=sorted(DIALECTS),
        default="binanceusdm",
        help="binanceusdm: futures, binance: spot (default: %(default)s)",
    )
    server.add_argument("--port", type=int, default=0, metavar="N", help="0: any free port (default)")
    server.add_argument(
        "--tls",
        type=Path,
        metavar="DIR",
        help="serve TLS under Binance's host names; DIR/ca.pem is then what a client must trust",
    )
    server.add_argument(
        "--backend-timeout-ms",
        type=_whole,
        default=1_000,
        metavar="N",
        help="after so long a request is answered 'status unknown' (default: %(default)s)",
    )


def _add_market(parser: argparse.ArgumentParser) -> None:
    market = parser.add_argument_group("market")
    market.add_argument(
        "--data", type=Path, metavar="DIR", help="replay bars: one SYMBOL.csv, .csv.gz or .parquet each"
    )
    market.add_argument(
        "--symbols",
        type=_symbols,
        default=(),
        metavar="A,B",
        help="made up: symbols that walk at random; with --data: which files (default: all)",
    )
    market.add_argument(
        "--pairs",
        type=_pairs,
        default=None,
        metavar="A/B,C/D",
        help="made up: cointegrated pairs (default: ETHUSDT/BTCUSDT when there are no --symbols)",
    )
    market.add_argument("--interval", choices=list(INTERVALS), default="1m", help="of the bars (default: %(default)s)")
    market.add_argument("--seed", type=_whole, default=7, metavar="S", help="of a made-up market and of faults by rate")
    market.add_argument(
        "--history", type=_whole, default=500, metavar="N", help="bars before the start (default: %(default)s)"
    )
    market.add_argument(
        "--bars", type=_whole, default=2_000, metavar="N", help="made up: bars from the start on (default: %(default)s)"
    )
    market.add_argument("--speed", type=_speed, default=1.0, metavar="X", help="bars come X times as fast (default: 1)")
    market.add_argument(
        "--wait-for-client",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="start the market at the first subscription to klines (default: when --speed is above 1)",
    )


def _add_account(parser: argparse.ArgumentParser) -> None:
    account = parser.add_argument_group("account")
    money, leverage, fee = _from_to(0, 10**12), _from_to(1, 125), _from_to(0, Decimal("0.1"))
    account.add_argument("--balance", type=money, default=Decimal(10_000), metavar="M", help="(default: %(default)s)")
    account.add_argument("--leverage", type=leverage, default=Decimal(2), metavar="L", help="(default: %(default)s)")
    account.add_argument(
        "--fee",
        type=fee,
        default=Decimal("0.0005"),
        metavar="F",
        help="of a taker, as a fraction (default: %(default)s)",
    )
    account.add_argument(
        "--slippage-bps", type=_from_to(0, 1_000), default=Decimal(1), metavar="B", help="(default: %(default)s)"
    )
    account.add_argument(
        "--latency-ms", type=_from_to(0, 600_000), default=Decimal(0), metavar="N", help="added to every answer"
    )
    account.add_argument(
        "--key-may",
        type=_permissions,
        default=DEMO_KEY.permissions,
        metavar="A,B",
        help=f"what the key may do, of {', '.join(PERMISSIONS)} (default: read, futures and spot)",
    )
    account.add_argument("--state", type=Path, metavar="FILE", help="keep the account in this file and go on from it")


def _add_faults(parser: argparse.ArgumentParser) -> None:
    faults = parser.add_argument_group("faults")
    faults.add_argument(
        "--faults",
        type=Path,
        metavar="FILE",
        help='a JSON list such as [{"kind": "timeout_after_execution", "on": "create_order", "at": 3}]',
    )
    faults.add_argument("--list-faults", action="store_true", help="print every kind with what it does, and stop")


def _whole(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 0 or more")
    return int(text)


def _from_to(least: Decimal | int, most: Decimal | int) -> Callable[[str], Decimal]:
    def number(text: str) -> Decimal:
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite() or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return value

    return number


def _speed(text: str) -> float:
    return float(_from_to(1, 10**9)(text))


def _permissions(text: str) -> frozenset[str]:
    named = frozenset(word.strip() for word in text.split(","))
    if not named <= {*PERMISSIONS}:
        raise argparse.ArgumentTypeError(f"{text!r}: wanted some of {','.join(PERMISSIONS)}")
    return named


def _symbols(text: str) -> tuple[str, ...]:
    symbols = tuple(symbol.strip().upper() for symbol in text.split(","))
    if not all(symbols) or len({*map(compact_symbol, symbols)}) < len(symbols):
        raise argparse.ArgumentTypeError(f"{text!r}: wanted symbols such as ETHUSDT,BTCUSDT, each once")
    return symbols


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [tuple(leg.strip().upper() for leg in pair.split("/")) for pair in text.split(",")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} are no pairs; wanted such as ETHUSDT/BTCUSDT,LTCUSDT/BCHUSDT")
    if any(len({*pair}) < 2 for pair in pairs) or len({*map(frozenset, pairs)}) < len(pairs):
        raise argparse.ArgumentTypeError(f"{text!r}: wanted pairs of two symbols, each pair once")
    return tuple((pair[0], pair[1]) for pair in pairs)
