"""The telling of one run: a listener that only hands over, and everything behind it, from start to stop."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from notifications.dispatcher import Dispatcher
from notifications.outbox import Outbox
from notifications.words import Kind, Notice
from trading.config.credentials import CredentialsError, known_secrets, secret_value
from trading.config.model import LoadedConfig
from trading.config.notifiers import HEARTBEAT
from trading.events import (
    Alarm,
    BarMarked,
    ConnectionChanged,
    EntryRefused,
    Event,
    OrderFailed,
    PairClosed,
    PairOpened,
    StepMissed,
)
from trading.live.assembly import LivePath
from trading.plan_builder import signal_terms, stop_levels
from trading.risk.state import Breaker, BreakerTripped, LimitReached, PairQuarantined
from trading.secret_text import Redactor
from trading.telling.channels import build_channels
from trading.telling.health import Wellness
from trading.telling.history import History
from trading.telling.teller import EventTeller, Teller
from trading.telling.wording import Rows, money, sum_of_money
from trading.venues.venue import network_of

if TYPE_CHECKING:
    from notifications.heartbeat import Heartbeat

TOLD = frozenset(
    {
        Alarm, BarMarked, BreakerTripped, ConnectionChanged, EntryRefused, LimitReached, OrderFailed, PairClosed,
        PairOpened, PairQuarantined, StepMissed,
    }
)  # fmt: skip

log = logging.getLogger(__name__)


def outbox_path(config: LoadedConfig) -> Path:
    """Beside the journal: one per bot and mode."""
    return Path(config.model.state.dir) / f"{config.bot_id}_{config.model.broker.type}.outbox.sqlite"


class Telling:
    """Listens from ``__enter__`` on, tells from ``begin`` on, says goodbye at the end. Never raises into a run.

    In virtual time hours pass in milliseconds: ``notifications.virtual_time`` says how much is told there.
    """

    def __init__(self, path: LivePath, environ: Mapping[str, str]) -> None:
        config = path.config
        self._path = path
        self._is_brief = path.loop.is_virtual and config.model.notifications.virtual_time == "brief"
        self._channels = build_channels(config, environ, listens=True)
        self._dispatcher = Dispatcher(
            self._channels.routes,
            Outbox(outbox_path(config) if self._channels.routes else None),
            translate=lambda event: self._teller(event) if self._teller else (),
            redact=Redactor(known_secrets(environ)),
        )
        self._teller: EventTeller | None = None
        self._problems = self._channels.problems
        self._heartbeat = self._heartbeat_of(environ)

    def on_event(self, event: Event) -> None:
        """The engine's thread: a critical fact in one queue, what else is told in another."""
        if is_critical(event):
            self._dispatcher.offer(event, is_critical=True)
        elif not self._is_brief and type(event) in TOLD:
            self._dispatcher.offer(event)

    def begin(self) -> None:
        """The run has its number now."""
        try:
            self._begin()
        except Exception:
            log.exception("telling_failed")

    def _begin(self) -> None:
        self._say_what_is_amiss()
        if self._heartbeat is not None:
            self._heartbeat.start()
        if self._channels.routes:
            self._teller = event_teller(self._path)
            self._dispatcher.offer(self._start_notice())
            self._dispatcher.start()

    def __enter__(self) -> Self:
        if self._channels.routes:
            self._path.floor.bus.add(self.on_event)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop()
        if self._channels.routes and self._teller is None:
            self.begin()
        if self._teller is not None:
            self._say_goodbye(error)

    def _say_goodbye(self, error: BaseException | None) -> None:
        try:
            self._dispatcher.offer(self._end_notice(error), is_critical=isinstance(error, Exception))
        except Exception:
            log.exception("telling_failed")
        self._dispatcher.stop()

    def _heartbeat_of(self, environ: Mapping[str, str]) -> Heartbeat | None:
        """None in virtual time: nothing may disturb it, and it is over in seconds."""
        try:
            url = secret_value(environ, HEARTBEAT)
            if not url or self._path.loop.is_virtual:
                return None
            from notifications.heartbeat import Heartbeat  # loads aiohttp

            every_s = self._path.config.model.notifications.heartbeat_s
            return Heartbeat(
                url, every_s=every_s, is_well=Wellness(self._path), on_unheard=self._tell_unheard_heartbeat
            )
        except (CredentialsError, ValueError) as error:
            self._problems += (("the heartbeat", str(error)),)
            return None

    def _tell_unheard_heartbeat(self, reason: str) -> None:
        """On the heartbeat's thread."""
        mark = f"heartbeat:{self._path.market_now().isoformat()}"
        body = "Whoever waits for it may raise an alarm; the bot itself is well. It is called again and again."
        title = f"the heartbeat is not heard ({reason})"
        if self._channels.routes:
            self._dispatcher.offer(self._notice(mark, title, (), body, kind=Kind.HEALTH))

    def _say_what_is_amiss(self) -> None:
        for name, problem in self._problems:
            message = f"{name} tells nothing: {problem}"
            log.warning("channel_missing channel=%s reason=%s", name, problem)
            alarm = Alarm(self._path.market_now(), message)
            self._path.loop.loop.call_soon_threadsafe(self._path.floor.bus.publish, alarm)
        if self._channels.routes and self._is_brief:
            log.info("notices_brief reason=virtual_time told=start,stop,critical")

    def _start_notice(self) -> Notice:
        path = self._path
        rows = (
            ("Run", str(path.session.progress.run)),
            ("Trades on", f"{path.config.model.broker.type} ({network_of(path.config.model)}), {path.venue.pace}"),
            ("Pairs", str(len(path.config.pairs))),
            *self._standing(),
        )
        note = "Virtual time: only start, stop and what is critical are told." if self._is_brief else ""
        return self._notice("start", "started", rows, note)

    def _end_notice(self, error: BaseException | None) -> Notice:
        path = self._path
        trades = path.floor.ledger.trades
        rows = (*self._standing(), ("Closed trades", f"{len(trades)}, {money(sum(trade.pnl for trade in trades))}"))
        if isinstance(error, Exception):
            return self._notice("end", f"the run failed: {error!r}", rows, "", kind=Kind.ERROR)
        why = "its market has ended" if path.venue.has_ended else "it was asked to"
        return self._notice("end", f"stopped: {why}", rows, "")

    def _standing(self) -> Rows:
        ledger, prices = self._path.floor.ledger, self._path.session.progress.prices
        return (
            ("Equity", sum_of_money(ledger.equity(prices), quote_of(self._path))),
            ("Open pairs", ", ".join(sorted(ledger.open_pairs)) or "none"),
            ("Breaker", self._path.floor.guard.breaker.value),
        )

    def _notice(self, mark: str, title: str, rows: Rows, body: str, kind: Kind = Kind.START_STOP) -> Notice:
        """Told for every process that starts: its journal's epoch is its own."""
        key = f"{self._path.floor.journal.epoch}:{mark}"
        title = f"{bot_name(self._path.config)}: {title}"
        is_critical = kind is Kind.ERROR
        return Notice(key, kind, self._path.market_now(), title, rows, body, is_critical=is_critical)


def is_critical(event: Event) -> bool:
    """Money is exposed, or nothing is traded any more until a person looks."""
    if isinstance(event, Alarm):
        return event.critical
    return isinstance(event, BreakerTripped) and event.breaker is Breaker.HALTED


def event_teller(path: LivePath) -> EventTeller:
    config, progress = path.config, path.session.progress
    last = progress.equity[-1][0] if progress.equity else None
    teller = Teller(
        name=bot_name(config),
        run=progress.run,
        quote=quote_of(path),
        status_hours=config.model.notifications.status_hours,
        levels=chart_levels(config),
    )
    return EventTeller(teller, History(config, progress.run), last=last)


def bot_name(config: LoadedConfig) -> str:
    """With its mode where no money is at stake, so that nobody takes a rehearsal for the real thing."""
    network = network_of(config.model)
    return config.bot_id if network == "live" else f"{config.bot_id} ({network})"


def quote_of(path: LivePath) -> str:
    return next((market.quote for market in path.venue.rules.values()), "")


def chart_levels(config: LoadedConfig) -> dict[str, tuple[tuple[str, float], ...]]:
    """Pair → the lines of its chart: where it is entered on either side, and where it is stopped."""
    stops, terms = stop_levels(config), signal_terms(config)
    levels: dict[str, tuple[tuple[str, float], ...]] = {}
    for pair in config.pairs:
        entry = terms[pair.pair_id].entry_z if pair.pair_id in terms else pair.entry_z
        known = [("entry", entry), ("stop", stops.get(pair.pair_id))]
        lines = [(name, z) for name, z in known if z is not None and z < float("inf")]
        levels[pair.pair_id] = tuple((name, sign * z) for name, z in lines for sign in (1.0, -1.0))
    return levels
