"""A run's log files: main log, errors with tracebacks, trades and orders as JSON lines, the equity curve as CSV.

What is logged can cost lines, never the caller's turn: a full or unwritable disk is counted and told once on stderr.
Secrets are replaced in the finished line, so that they do not slip through in arguments or tracebacks either.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from trading.journal.words import Intent
from trading.records import TradeRecord
from trading.reports.rows import number, trade_row
from trading.secret_text import Redactor
from trading.utc_text import utc_text

QUIET = ("httpx", "httpcore", "ccxt", "telegram")  # they print keys and tokens at DEBUG and INFO


@dataclass(frozen=True, slots=True)
class LogPlan:
    """Where a run logs and how much of it is kept. Paths as the config has them, folders are made on first use.

    A file of ``max_mb`` megabytes is rotated, ``backups`` old ones are kept. ``save_trades``: write ``trades.json``
    and ``orders.json`` in ``json_dir``. ``save_equity_curve``: write ``equity_file``. ``level``: of the main log.
    """

    log_file: str | Path
    json_dir: str | Path = "logs/json"
    error_file: str | Path = "logs/errors.log"
    equity_file: str | Path = "logs/equity.csv"
    level: str = "INFO"
    max_mb: float = 10.0
    backups: int = 5
    save_trades: bool = True
    save_equity_curve: bool = False


class LineFormatter(logging.Formatter):
    """``time level name event key=value``, in UTC; with ``tracebacks`` the traceback follows, else one line it is."""

    converter = staticmethod(time.gmtime)

    def __init__(self, redactor: Redactor, *, tracebacks: bool) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self._redactor = redactor
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        record.asctime = self.formatTime(record, self.datefmt)
        line = self.formatMessage(record)
        if self._tracebacks and record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return self._redactor(line)


class RawFormatter(logging.Formatter):
    """The message alone, without secrets."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(message)s")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor(record.getMessage())


class PatientHandler(RotatingFileHandler):
    """A rotating file that never raises: a line it cannot write is counted in ``lost``, and the file tried anew."""

    def __init__(self, path: str | Path, plan: LogPlan, formatter: logging.Formatter, *, header: str = "") -> None:
        self._header = header
        self.lost = 0
        size = max(int(plan.max_mb * 1024 * 1024), 1)
        super().__init__(path, maxBytes=size, backupCount=plan.backups, encoding="utf-8", delay=True)
        self.setFormatter(formatter)

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        stream = super()._open()
        if self._header and stream.tell() == 0:
            stream.write(f"{self._header}\n")
        return stream

    def handleError(self, record: logging.LogRecord) -> None:
        self.lost += 1
        if self.lost == 1:
            with suppress(Exception):
                print(f"log_unwritable file={self.baseFilename} error={sys.exc_info()[1]}", file=sys.stderr)
        self._drop_stream()

    def close(self) -> None:
        with suppress(OSError):
            super().close()

    def _drop_stream(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()


class RunLogs:
    """The logs of one run, from construction to ``close``, which leaves the logging module as it was before."""

    def __init__(self, plan: LogPlan, *, secrets: Iterable[str] = ()) -> None:
        redactor = Redactor(secrets)
        raw = RawFormatter(redactor)
        main = PatientHandler(plan.log_file, plan, LineFormatter(redactor, tracebacks=False))
        main.setLevel(plan.level.upper())
        errors = PatientHandler(plan.error_file, plan, LineFormatter(redactor, tracebacks=True))
        errors.setLevel(logging.ERROR)
        self._root_handlers: tuple[logging.Handler, ...] = (main, errors)
        folder = Path(plan.json_dir)
        self._trades = _sink(PatientHandler(folder / "trades.json", plan, raw) if plan.save_trades else None)
        self._orders = _sink(PatientHandler(folder / "orders.json", plan, raw) if plan.save_trades else None)
        curve = PatientHandler(plan.equity_file, plan, raw, header="time,equity") if plan.save_equity_curve else None
        self._equity = _sink(curve)
        self._levels_before = self._take_over(min(main.level, errors.level))

    def trade(self, trade: TradeRecord) -> None:
        """One line in ``trades.json``."""
        self._trades.info("%s", _json_line(trade_line(trade)))

    def order(self, intent: Intent, *, time: datetime, order_id: str | None = None) -> None:
        """One line in ``orders.json``."""
        self._orders.info("%s", _json_line(order_line(intent, time=time, order_id=order_id)))

    def equity(self, time: datetime, equity: float) -> None:
        """One row of the equity curve."""
        self._equity.info("%s,%r", utc_text(time), float(equity))

    @property
    def lost_lines(self) -> int:
        """Lines that no file took."""
        return sum(handler.lost for handler in self._handlers() if isinstance(handler, PatientHandler))

    def close(self) -> None:
        """Take the handlers off and put the levels back. Idempotent."""
        for handler in self._root_handlers:
            logging.getLogger().removeHandler(handler)
        for name, level in self._levels_before.items():
            logging.getLogger(name).setLevel(level)
        self._levels_before = {}
        for handler in self._handlers():
            handler.close()

    def __enter__(self) -> RunLogs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _handlers(self) -> list[logging.Handler]:
        sinks = (self._trades, self._orders, self._equity)
        return [*self._root_handlers, *(handler for sink in sinks for handler in sink.handlers)]

    def _take_over(self, level: int) -> dict[str | None, int]:
        root = logging.getLogger()
        before: dict[str | None, int] = {None: root.level}
        before |= {name: logging.getLogger(name).level for name in QUIET}
        root.setLevel(level)
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
        for handler in self._root_handlers:
            root.addHandler(handler)
        return before


def trade_line(trade: TradeRecord) -> dict[str, Any]:
    """A closed round trip as ``trades.json`` holds it: the row of a run's result."""
    return trade_row(trade)


def order_line(intent: Intent, *, time: datetime, order_id: str | None = None) -> dict[str, Any]:
    """An order as ``orders.json`` holds it: the intent in its present state. ``order_id``: the exchange's."""
    return {
        "time": utc_text(time),
        "client_order_id": intent.client_order_id,
        "order_id": order_id,
        "pair_id": intent.pair_id,
        "ref": intent.ref,
        "action": intent.action,
        "leg": intent.leg,
        "symbol": intent.symbol,
        "side": intent.side.value,
        "amount": number(intent.amount),
        "filled": number(intent.filled),
        "average": number(intent.average),
        "reference_price": number(intent.reference_price),
        "reduce_only": intent.reduce_only,
        "state": intent.state.value,
    }


def _json_line(row: dict[str, Any]) -> str:
    return json.dumps(row, allow_nan=False)


def _sink(handler: logging.Handler | None) -> logging.Logger:
    """A logger that no one else can reach by name, so that closing it leaves nothing behind."""
    sink = logging.Logger("run")
    sink.propagate = False
    if handler is None:
        sink.disabled = True
    else:
        sink.addHandler(handler)
    return sink
