"""The ``tandem`` command: one word per thing to do, each with its own --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

# verb → (module, or module:function, with ``main(arguments) -> exit code``, what it does); imported when asked for
INTERRUPTED = 130

COMMANDS = {
    "exchange": ("management.exchange_command", "serve a simulated exchange on this machine"),
    "run": ("trading.trading_bot", "run a config as a bot"),
    "scan": ("research.scan_command", "find pairs worth trading"),
    "status": ("management.status_command", "what a bot is doing, whether it runs or not"),
    "halt": ("management.control_command:halt", "let a bot open nothing more"),
    "resume": ("management.control_command:resume", "let a halted bot trade again"),
    "flatten": ("management.control_command:flatten", "emergency stop: cancel and close everything"),
    "close": ("management.control_command:close", "close one pair"),
    "panel": ("management.panel_command", "show and command all bots in a browser"),
    "metrics": ("management.metrics_command", "all bots as Prometheus metrics"),
    "notify-test": ("management.notify_command", "send one message through every channel of a config"),
    "download": ("trading.commands.download", "bring a folder of bars up to date from an exchange"),
    "preflight": ("trading.commands.preflight", "check config, key, account and market before a bot is started"),
    "backtest": ("trading.commands.backtest", "test a config on history"),
    "bundle": ("management.bundle_command", "an archive of what a bot did, without secrets"),
    "report": ("management.report_command", "a run as one page of HTML"),
    "export": ("management.export_command", "trades as CSV, for accounts and taxes"),
    "why": ("management.why_command", "why a trade went as it did"),
    "validate": ("trading.config_validator", "report everything that is wrong with a config"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="tandem",
        description="Pair trading on Backtrader, from a scan of the market to live orders, with one JSON config.",
        epilog="commands: "
        + "; ".join(f"{verb}: {text}" for verb, (_, text) in COMMANDS.items())
        + ". Each has its own --help.",
    )
    parser.add_argument("command", choices=sorted(COMMANDS))
    options = parser.parse_args(given[:1])
    try:
        module, _, function = COMMANDS[options.command][0].partition(":")
        command: Callable[[Sequence[str]], int] = getattr(import_module(module), function or "main")
        return command(given[1:])
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
