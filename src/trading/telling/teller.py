"""What a run tells, in words: from its events to notices. Runs on the dispatcher's thread, never on the engine's."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from notifications.words import Kind, Notice, SpreadChart
from pairs.words import PairOrder
from trading.events import (
    Alarm,
    BarMarked,
    ConnectionChanged,
    EntryRefused,
    OrderFailed,
    PairClosed,
    PairOpened,
    StepMissed,
)
from trading.journal.errors import JournalError
from trading.records import TradeRecord
from trading.risk.state import Breaker, BreakerTripped, LimitReached, PairQuarantined
from trading.telling.folding import Folding
from trading.telling.history import History
from trading.telling.pictures import equity_picture
from trading.telling.summaries import day_body, day_rows, status_rows
from trading.telling.wording import Rows, entry_rows, exit_rows, money, z_text

CHART_BARS = 120
DAY = timedelta(days=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Teller:
    """Who tells. ``name``: of the bot, at the head of each title; ``run`` makes a fact of one run another than the
    same of the next; ``levels``: pair → (label, z) lines of its charts.
    """

    name: str
    run: int
    quote: str
    status_hours: float
    levels: Mapping[str, tuple[tuple[str, float], ...]]


class EventTeller:
    """``last``: when the run's newest bar closed, if an earlier process wrote one."""

    def __init__(self, teller: Teller, history: History, *, last: datetime | None) -> None:
        self._teller, self._history = teller, history
        self._folding = Folding(teller.levels)
        self._refused: dict[str, tuple[str, ...]] = {}
        # A bar of midnight ended its day: whether that was told, the outbox knows.
        self._day_end = None if last is None else last if last == _day_begin(last) else _day_begin(last) + DAY
        self._slot = None if last is None else self._slot_of(last)

    def __call__(self, event: object) -> Iterator[Notice]:
        match event:
            case PairOpened():
                self._refused.pop(event.order.pair_id, None)
                yield self._entry(event)
            case PairClosed(trade=trade):
                yield self._exit(trade)
            case BarMarked(time=time, equity=equity):
                yield from self._regular(time, equity)
            case Alarm():
                yield self._alarm(event)
            case OrderFailed(order=order, reason=reason):
                title = f"{order.pair_id}: {order.action.value} came to nothing ({reason})"
                yield self._notice(Kind.ERROR, event.time, title, fold=f"failed:{title}", pair_id=order.pair_id)
            case EntryRefused(order=order, reasons=reasons) if self._refused.get(order.pair_id) != reasons:
                self._refused[order.pair_id] = reasons  # the same again and again is told once
                yield self._refusal(event.time, order, reasons)
            case BreakerTripped() | LimitReached() | PairQuarantined():
                yield self._risk(event)
            case StepMissed():
                yield self._missed(event)
            case ConnectionChanged():
                yield self._connection(event)

    # trades

    def _entry(self, event: PairOpened) -> Notice:
        order = event.order
        fills = None
        with suppress(JournalError):
            fills = self._history.entry_fills(order.pair_id, order.ref)
        return self._notice(
            Kind.TRADE_ENTRY,
            event.time,
            f"{order.pair_id} opened {order.direction.word}{_at_z(order.zscore)}",
            key=order.ref,
            pair_id=order.pair_id,
            rows=entry_rows(order, event.position, fills, self._teller.quote),
            chart=self._chart(order.pair_id, ((order.decided_at, order.zscore, "entry"),), since=None),
        )

    def _exit(self, trade: TradeRecord) -> Notice:
        marks = ((trade.entry_time, trade.entry_z, "entry"), (trade.exit_time, trade.exit_z, "exit"))
        return self._notice(
            Kind.TRADE_EXIT,
            trade.exit_time,
            f"{trade.pair_id} closed ({trade.exit_reason}): {money(trade.pnl, self._teller.quote)}",
            key=f"exit:{trade.pair_id}:{trade.entry_time.isoformat()}",
            pair_id=trade.pair_id,
            rows=exit_rows(trade, self._teller.quote),
            chart=self._chart(trade.pair_id, marks, since=trade.entry_time),
        )

    def _chart(
        self, pair_id: str, marks: tuple[tuple[datetime, float | None, str], ...], *, since: datetime | None
    ) -> SpreadChart | None:
        """None where there is no z: a single symbol, or a journal that cannot be read just now."""
        known = tuple((time, z, label) for time, z, label in marks if z is not None)
        if not known:
            return None
        series: dict[datetime, float] = {}
        with suppress(JournalError):
            series = dict(self._history.zscores(pair_id, since=since, most=CHART_BARS))
        series |= {time: z for time, z, _ in known}  # the bar that decided is not on disk yet
        times = tuple(sorted(series))
        levels = self._teller.levels.get(pair_id, ())
        return SpreadChart(pair_id, times, tuple(series[time] for time in times), levels, known)

    # what goes wrong, or could

    def _alarm(self, alarm: Alarm) -> Notice:
        mark = hashlib.sha256(alarm.message.encode()).hexdigest()[:12]
        return self._notice(
            Kind.HEALTH if alarm.of_health else Kind.ERROR,
            alarm.time,
            alarm.message,
            key=f"alarm:{alarm.time.isoformat()}:{mark}",
            fold=f"alarm:{self._folding.of(alarm.message, alarm.pair_id, is_critical=alarm.critical)}",
            pair_id=alarm.pair_id,
            is_critical=alarm.critical,
        )

    def _refusal(self, time: datetime, order: PairOrder, reasons: tuple[str, ...]) -> Notice:
        title = f"{order.pair_id} not entered{_at_z(order.zscore)}: {', '.join(reasons)}"
        return self._notice(Kind.RISK, time, title, fold=f"refused:{order.pair_id}", pair_id=order.pair_id)

    def _risk(self, event: BreakerTripped | LimitReached | PairQuarantined) -> Notice:
        halted = isinstance(event, BreakerTripped) and event.breaker is Breaker.HALTED
        pair_id = None if isinstance(event, BreakerTripped) else event.pair_id
        text = str(event)
        limit = "" if isinstance(event, PairQuarantined) else event.reason
        fold = f"risk:{type(event).__name__}:{pair_id}:{limit}" if not halted else ""
        return self._notice(
            Kind.RISK, event.time, text[0].upper() + text[1:], fold=fold, pair_id=pair_id, is_critical=halted
        )

    def _missed(self, event: StepMissed) -> Notice:
        fate = "carried with the last close" if event.is_carried else "dropped"
        title = f"{event.pair_id}: a step lacked {', '.join(event.missing)} and was {fate}"
        return self._notice(Kind.HEALTH, event.time, title, fold=f"missed:{event.pair_id}", pair_id=event.pair_id)

    def _connection(self, event: ConnectionChanged) -> Notice:
        reason = f" ({event.reason})" if event.reason else ""
        title = f"The {event.stream} stream is {'back' if event.is_up else 'down'}{reason}"
        return self._notice(Kind.HEALTH, event.time, title, fold=f"connection:{event.stream}")

    # regularly

    def _regular(self, time: datetime, equity: float) -> Iterator[Notice]:
        if self._slot is not None and self._slot_of(time) != self._slot:
            yield from self._status(time)
        self._slot = self._slot_of(time)
        if self._day_end is not None and time >= self._day_end:
            yield from self._summary(self._day_end, (time, equity))
        if self._day_end is None or time >= self._day_end:
            self._day_end = _day_begin(time) + DAY

    def _status(self, time: datetime) -> Iterator[Notice]:
        status = self._asked_status(time)
        if status:
            rows = status_rows(status, self._teller.quote)
            yield self._notice(Kind.STATUS, time, "status", rows=rows, fold="status")

    def _summary(self, end: datetime, last: tuple[datetime, float]) -> Iterator[Notice]:
        try:
            figures = self._history.day(end).with_bar(last, end)
        except JournalError as error:
            log.warning("day_not_told day_end=%s error=%s", end.isoformat(), error)
            return
        if not figures.equity:
            return
        day = f"{end - DAY:%Y-%m-%d}"
        yield self._notice(
            Kind.DAILY_SUMMARY,
            end,
            f"{day}: {money(figures.gain, self._teller.quote)}, {len(figures.trades)} trades",
            key=f"day:{day}",
            rows=day_rows(figures, self._asked_status(end), self._teller.quote),
            body=day_body(figures.trades),
            pictures=equity_picture(figures.past),
        )

    def _asked_status(self, now: datetime) -> Mapping[str, Any]:
        try:
            return self._history.status(now)
        except JournalError as error:
            log.warning("status_not_told error=%s", error)
            return {}

    def _slot_of(self, time: datetime) -> int:
        """Which of the spans between two status notices it is: the same after a restart."""
        return int(time.timestamp() // (self._teller.status_hours * 3600.0))

    def _notice(self, kind: Kind, time: datetime, title: str, *, key: str = "", rows: Rows = (), **more: Any) -> Notice:
        key = key or f"{kind.value}:{time.isoformat()}:{title}"
        return Notice(f"{self._teller.run}:{key}", kind, time, f"{self._teller.name}: {title}", rows, **more)


def _day_begin(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _at_z(zscore: float | None) -> str:
    return "" if zscore is None else f" at z {z_text(zscore)}"
