"""From facts to people: whoever offers a fact goes on at once, a thread of its own makes notices of it and sees to it
that each channel gets them.

The thread is the only one that touches lanes and outbox; channels answer through a queue.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from notifications.channel_thread import SEND_TIMEOUT_S, ChannelThread
from notifications.channel_threads import ChannelThreads
from notifications.cleaning import cleaned
from notifications.lane import MOST_WAITING, REST_S, Lane, Sound
from notifications.outbox import Outbox, Waiting
from notifications.words import (
    Channel,
    Delivered,
    Delivery,
    Failed,
    Kind,
    Notice,
    Refused,
    TryLater,
    Undeliverable,
)

MOST_FACTS = 10_000
TURN_S = 0.1
STOP_GRACE_S = 5.0
JOIN_S = 5.0
MANY_FAILURES = 8  # some minutes: then the other channels say so
STUMBLE_S = 0.5

log = logging.getLogger(__name__)

Translate = Callable[[object], Iterable[Notice]]


@dataclass(frozen=True, slots=True)
class Route:
    """A channel, and how it tells each kind; a kind without a word is off."""

    channel: Channel
    sounds: Mapping[Kind, Sound]


@dataclass(frozen=True, slots=True)
class Bounds:
    """``facts`` and ``waiting`` (of each channel): so many that are not critical are kept."""

    facts: int = MOST_FACTS
    waiting: int = MOST_WAITING
    send_timeout_s: float = SEND_TIMEOUT_S


class Dispatcher:
    """``translate``: notices of a fact, called on the dispatcher's thread; a Notice that is offered needs none.

    ``redact``: every text of a notice goes through it. ``now`` only goes forward, ``wall``: seconds since 1970.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        outbox: Outbox,
        *,
        translate: Translate = lambda fact: (),
        redact: Callable[[str], str] = str,
        bounds: Bounds = Bounds(),
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._outbox, self._translate, self._redact = outbox, translate, redact
        self._clean = partial(cleaned, redact=redact)
        self._now, self._wall = now, wall
        lanes = [Lane(route.channel.name, route.sounds, bound=bounds.waiting) for route in routes]
        self._lanes = {lane.name: lane for lane in lanes}
        self._threads = ChannelThreads(
            [route.channel for route in routes], self._on_result, send_timeout_s=bounds.send_timeout_s, now=now
        )
        self._most_facts = bounds.facts
        self._critical: deque[object] = deque()
        self._facts: deque[object] = deque()
        self._lost: deque[object] = deque()
        self._results: deque[tuple[ChannelThread, Delivery]] = deque()
        self._wake = threading.Event()
        self._end_at: float | None = None
        self._told_trouble = self._told_stumble = self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)

    # any thread

    def offer(self, fact: object, *, is_critical: bool = False) -> None:
        """Never waits and never raises. Before ``start`` it is kept."""
        if self._has_ended:
            return
        if is_critical:
            self._critical.append(fact)
        else:
            self._facts.append(fact)
            if len(self._facts) > self._most_facts:
                self._lost.append(None)  # counted so: a number that two threads change would be wrong
                self._facts.popleft()
        self._wake.set()

    def start(self) -> None:
        self._threads.start()
        self._thread.start()

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Send what waits, for ``grace_s`` at most; the rest is kept for the next start. Takes ``JOIN_S`` longer."""
        self._end_at = self._now() + grace_s
        self._wake.set()
        self._thread.join(grace_s + JOIN_S)

    def _on_result(self, thread: ChannelThread, delivery: Delivery) -> None:
        self._results.append((thread, delivery))
        self._wake.set()

    # the dispatcher's thread

    def _run(self) -> None:
        try:
            self._keep_on(lambda: self._take_up(self._outbox.open()))
            self._keep_on(self._step)
            while not self._is_over():
                self._wake.wait(self._pause_s())
                self._wake.clear()
                self._keep_on(self._step)
        except Exception:
            log.exception("notices_ended")
        finally:
            self._has_ended = True  # from now on nobody takes what is offered
            self._let_go()

    def _keep_on(self, act: Callable[[], None]) -> None:
        """What fails costs itself, and a moment: what waits is told by the next step."""
        try:
            act()
        except Exception as error:
            log.exception("notices_stumbled")
            time.sleep(STUMBLE_S)
            if not self._told_stumble:
                self._told_stumble = True
                title = f"A part of the telling has failed ({type(error).__name__})"
                self._tell_all(title, "A notice may be missing: see the log. The rest goes on.")

    def _step(self) -> None:
        self._settle_all()
        if self._end_at is None:
            for lane in self._lanes.values():
                self._look_after(lane)
        self._take_facts()
        self._tell_trouble()
        self._outbox.flush()
        for lane in self._lanes.values():
            self._send_due(lane)

    def _is_over(self) -> bool:
        """Also when there is more to send, but not before the time is up."""
        if self._end_at is None:
            return False
        left = self._end_at - self._now()
        if left <= 0.0:
            return True
        if self._critical or self._facts or self._results or any(lane.is_busy for lane in self._lanes.values()):
            return False
        soonest = [lane.next_s(self._now(), hurry=True) for lane in self._lanes.values()]
        return all(wait is None or wait > left for wait in soonest)

    def _pause_s(self) -> float | None:
        if self._critical or self._facts or self._results:
            return 0.0
        waits = [lane.next_s(self._now(), hurry=self._end_at is not None) for lane in self._lanes.values()]
        waits += [self._threads.left_s(lane.name) for lane in self._lanes.values() if lane.is_busy]
        if self._end_at is not None:
            waits.append(max(0.0, self._end_at - self._now()))
        return min((wait for wait in waits if wait is not None), default=None)

    def _let_go(self) -> None:
        self._threads.ask_to_stop()
        self._keep_on(lambda: self._translate_for(JOIN_S / 3))
        self._threads.join(JOIN_S / 2)
        self._keep_on(self._settle_all)
        self._outbox.close()

    # facts become notices

    def _take_facts(self) -> None:
        self._translate_for(TURN_S)
        lost = len(self._lost)
        if lost:
            for _ in range(lost):
                self._lost.popleft()
            log.warning("facts_not_told count=%d", lost)
            for lane in self._lanes.values():
                lane.note_dropped(lost)

    def _translate_for(self, seconds: float) -> None:
        """Everything critical, and of the rest what time allows: some facts need a picture drawn."""
        until = self._now() + seconds
        while self._critical or (self._facts and self._now() < until):
            self._take((self._critical or self._facts).popleft())

    def _take(self, fact: object) -> None:
        try:
            for notice in (fact,) if isinstance(fact, Notice) else self._translate(fact):
                self._route(self._clean(notice))
        except Exception:
            log.exception("notice_failed fact=%s", type(fact).__name__)

    def _route(self, notice: Notice) -> None:
        if not self._outbox.is_new(notice.key):
            return
        for lane in self._lanes.values():
            if (waiting := lane.waiting_of(notice, self._wall())) is not None:
                self._add(lane, waiting)

    def _add(self, lane: Lane, waiting: Waiting) -> None:
        added = lane.add(waiting)
        for gone in added.gone:
            self._outbox.remove(gone)
        self._outbox.put(added.kept)

    def _take_up(self, left: Iterable[Waiting]) -> None:
        """What an earlier process has not told. A channel that is no longer there tells nothing."""
        for waiting in left:
            lane = self._lanes.get(waiting.channel)
            if lane is None:
                self._outbox.remove(waiting)
            else:
                self._add(lane, replace(waiting, notice=self._clean(waiting.notice)))

    # notices go out

    def _send_due(self, lane: Lane) -> None:
        waiting, old = lane.due(self._now(), self._wall(), hurry=self._end_at is not None)
        for one in old:
            self._outbox.remove(one)
        if waiting is not None:
            self._threads.send(waiting)

    def _settle_all(self) -> None:
        while self._results:
            thread, delivery = self._results.popleft()
            if self._threads.is_current(thread):
                self._settle(thread.channel.name, delivery)

    def _settle(self, name: str, delivery: Delivery) -> None:
        lane, sent = self._lanes[name], self._lanes[name].flying
        was_resting = lane.is_resting(self._now())
        done = lane.settle(delivery, self._now())
        if done is not None:
            self._outbox.remove(done)
        match delivery:
            case Delivered():
                log.debug("notice_sent channel=%s", name)
            case TryLater(reason=reason) | Failed(reason=reason):
                log.warning("notice_waits channel=%s reason=%s", name, self._redact(reason))
                if lane.failures == MANY_FAILURES:
                    title = f"Nothing arrives by {name}: {self._redact(reason)}"
                    self._tell_all(title, "It is tried again and again.", but=name)
            case Refused(reason=reason):
                assert sent is not None
                self._tell_refused(name, sent.notice, self._redact(reason))
            case Undeliverable(reason=reason) if was_resting:
                log.warning("channel_still_rests channel=%s reason=%s", name, self._redact(reason))
            case Undeliverable(reason=reason):
                self._tell_rest(name, self._redact(reason))

    def _tell_refused(self, name: str, notice: Notice, reason: str) -> None:
        """Once, however often what is critical is tried again."""
        log.error("notice_refused channel=%s title=%s reason=%s", name, notice.title, reason)
        if self._outbox.is_new(f"refused:{name}:{notice.key}"):
            fate = "It is tried again for a day" if notice.is_critical else "It is not tried again"
            self._tell_all(f"{name} refused one notice: {notice.title}", f"{reason}. {fate}; others go on.", but=name)

    def _look_after(self, lane: Lane) -> None:
        """A channel that blocks its thread or has ended it hears of no time limit of its own."""
        if not lane.is_busy or self._threads.left_s(lane.name) != 0.0:
            return
        goes_on = self._threads.renew(lane.name)
        log.error("channel_hangs channel=%s is_begun_anew=%s", lane.name, goes_on)
        fate = "It is begun anew." if goes_on else "It is given up until the next start."
        self._tell_all(f"Nothing arrives by {lane.name}: it hangs", fate, but=lane.name)
        if goes_on:
            self._settle(lane.name, Failed("it hangs"))

    def _tell_rest(self, name: str, reason: str) -> None:
        log.error("channel_rests channel=%s reason=%s", name, reason)
        hours = f"{REST_S / 3600.0:g} hours"
        title = f"Nothing can be told by {name}: {reason}"
        body = f"Looked at again after {hours}, or at the next start."
        self._tell_all(title, body, but=name)

    def _tell_trouble(self) -> None:
        """Each once a process: the file is a help, not a need."""
        while self._outbox.remarks:
            remark = self._redact(self._outbox.remarks.pop())
            log.error("outbox_begun_anew reason=%s", remark)
            self._tell_all(remark, "What waited in the old one may not be told, or told twice.")
        if self._outbox.trouble and not self._told_trouble:
            self._told_trouble = True
            reason = self._redact(self._outbox.trouble)
            log.error("outbox_unusable reason=%s", reason)
            body = "Notices go on from memory: what waits when the process ends may be lost, or told twice."
            self._tell_all(f"The file of notices cannot be used: {reason}", body)

    def _tell_all(self, title: str, body: str, *, but: str = "") -> None:
        """What is told of the telling itself, whatever kinds a channel wants."""
        when = datetime.fromtimestamp(self._wall(), UTC)
        notice = self._clean(Notice(f"{title}:{when.isoformat()}", Kind.HEALTH, when, title, body=body, fold=title))
        for name, lane in self._lanes.items():
            if name != but:
                self._add(lane, Waiting(name, notice, self._wall()))
