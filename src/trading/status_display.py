"""What a person sees of a running bot: a live panel in a terminal, plain lines anywhere else.

A listener and a reader of published views: it never asks the engine, and a display that fails stops nothing.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from ccxt_bt_bridge.bt_time import datetime_to_ms
from trading.events import Alarm, BarMarked, EntryRefused, Event, PairClosed, PairOpened
from trading.live.assembly import LivePath
from trading.risk.state import BreakerTripped, LimitReached, PairQuarantined

REFRESH_PER_S = 8
PLAIN_PARTS = 10


class StatusDisplay:
    """Add ``on_event`` as a listener and wrap the run in ``showing(path)``."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._path: LivePath | None = None
        self._next_part = 1
        self._refused: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def showing(self, path: LivePath) -> Iterator[None]:
        """Show the status while the block runs."""
        self._path = path
        self._line(_start_line(path))
        if not self._console.is_terminal:
            yield
            return
        with Live(get_renderable=self._panel, console=self._console, refresh_per_second=REFRESH_PER_S, transient=True):
            yield

    def on_event(self, event: Event) -> None:
        match event:
            case EntryRefused(order=order, reasons=reasons) if self._refused.get(order.pair_id) != reasons:
                self._refused[order.pair_id] = reasons  # the same again and again is told once
                self._line(f"{event.time:%Y-%m-%d %H:%M}  {order.pair_id} not entered: {', '.join(reasons)}")
            case PairOpened(order=order):
                self._refused.pop(order.pair_id, None)
                zscore = "" if order.zscore is None else f" at z {order.zscore:+.2f}"
                self._line(
                    f"{event.order.decided_at:%Y-%m-%d %H:%M}  {order.pair_id} opened {order.direction.word}{zscore}"
                )
            case PairClosed(trade=trade):
                self._line(
                    f"{trade.exit_time:%Y-%m-%d %H:%M}  {trade.pair_id} closed ({trade.exit_reason}), "
                    f"profit {trade.pnl:+.2f}"
                )
            case Alarm():
                self._line(f"{event.time:%Y-%m-%d %H:%M}  {'ALARM' if event.critical else 'note'}: {event.message}")
            case BreakerTripped() | LimitReached() | PairQuarantined():
                self._line(f"{event.time:%Y-%m-%d %H:%M}  risk: {event}")
            case BarMarked() if not self._console.is_terminal:
                self._plain_status(event)

    def _plain_status(self, event: BarMarked) -> None:
        """Without a terminal: a line for every tenth of the market, for every bar of one that has no end."""
        path = self._path
        if path is None:
            return
        done = path.venue.share_done(datetime_to_ms(event.time))
        if done is None:
            self._line(f"{event.time:%Y-%m-%d %H:%M}  {_status_text(path, event.equity)}")
        elif done * PLAIN_PARTS >= self._next_part:
            self._next_part = math.floor(done * PLAIN_PARTS) + 1
            self._line(f"{event.time:%Y-%m-%d %H:%M}  {_status_text(path, event.equity)}")

    def _line(self, text: str) -> None:
        with self._lock:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _panel(self) -> Table:
        path = self._path
        table = Table.grid(padding=(0, 2))
        if path is None or path.gateway.view.time is None:
            table.add_row("waiting for the first bar")
            return table
        view = path.gateway.view
        table.add_row(f"{view.time:%Y-%m-%d %H:%M} UTC", _status_text(path, view.equity))
        return table


def _start_line(path: LivePath) -> str:
    model = path.config.model
    state = "resumes" if path.floor.ledger.trades or path.floor.ledger.open_pairs else "starts"
    return (
        f"{path.config.name}: {len(path.config.pairs)} pairs on {model.broker.type}, {path.venue.pace}; "
        f"run {path.session.progress.run} {state} at {path.market_now():%Y-%m-%d %H:%M} UTC. Ctrl+C stops."
    )


def _status_text(path: LivePath, equity: float) -> str:
    view, zscores = path.gateway.view, dict(path.recorder.zscores)
    pairs = []
    for pair in path.config.pairs:
        zscore, held = zscores.get(pair.pair_id, math.nan), view.positions.get(pair.pair_id)
        mark = "" if held is None else f" {held.direction.word if held.is_open else held.state.value}"
        pairs.append(f"{pair.pair_id} {'' if math.isnan(zscore) else f'z {zscore:+.2f}'}{mark}".rstrip())
    return f"equity {equity:,.2f}  positions {len(view.positions)}  " + "  ".join(pairs)
