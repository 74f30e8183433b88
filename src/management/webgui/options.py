"""What the panel may be told on its command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from management.webgui.binding import LOOPBACK, PORT
from trading.command_line import EXIT_CODES

LAST_PORT = 65_535


def panel_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tandem panel", description="Show and command the bots of a folder in a browser.", epilog=EXIT_CODES
    )
    parser.add_argument("--state", metavar="DIR", type=Path, default=Path("state"), help="the bots' state folder")
    parser.add_argument("--host", default=LOOPBACK, help=f"where to listen; default {LOOPBACK}, this machine alone")
    parser.add_argument("--port", type=_port, default=PORT, help=f"default {PORT}")
    parser.add_argument(
        "--name", action="append", default=[], help="a host name by which it is called, beside localhost; repeatable"
    )
    parser.add_argument("--certfile", metavar="PEM", help="for TLS")
    parser.add_argument("--keyfile", metavar="PEM", help="for TLS")
    parser.add_argument(
        "--i-understand", action="store_true", help="listen where other machines can reach it; wants TLS too"
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r}: wanted a port from 0 (any that is free) to {LAST_PORT}")
    return int(text)
