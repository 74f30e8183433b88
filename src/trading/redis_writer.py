"""Live state for other processes to read, in Redis. Whatever Redis does, nobody who trades waits for it.

Keys (values are JSON texts):

===============================  ====================================================================================
``tandem:order:<client id>``     an order as it is known now; gone a week after its last change
``tandem:orders:open``           a set: client ids of the orders that are not done
``tandem:orders``                a channel: every change of an order is published there
``tandem:execution``             speed and slippage (an ``OrderMonitor``'s summary); gone after a week
===============================  ====================================================================================
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from trading.execution_models import ExecutionOrder

QUEUE = 1_000
WEEK_S = 7 * 86_400
BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
LAST_WORDS_S, FLUSH_POLL_S = 2.0, 0.01
ORDER, OPEN_ORDERS, CHANNEL, EXECUTION = "tandem:order:{}", "tandem:orders:open", "tandem:orders", "tandem:execution"

State = ExecutionOrder | Mapping[str, Any]

log = logging.getLogger(__name__)


class StateWriter(Protocol):
    """Takes what may be told and returns at once."""

    def put_order(self, order: ExecutionOrder) -> None:
        """As it is now."""

    def put_execution(self, summary: Mapping[str, Any]) -> None:
        """The figures as they are now."""

    async def close(self) -> None:
        """Wait a moment for what waits to be written."""


class NoWriter:
    """Nobody reads along."""

    def put_order(self, order: ExecutionOrder) -> None:
        pass

    def put_execution(self, summary: Mapping[str, Any]) -> None:
        pass

    async def close(self) -> None:
        pass


class RedisWriter:
    """Over a ``redis.Redis``, from a thread of its own. At most ``QUEUE`` states wait, each in its last version: when
    Redis is slow, only what is old is left out; when it is full or away, the oldest goes, and the rest is tried again.

    Raises TypeError for an asyncio client.
    """

    def __init__(self, redis_conn: Any) -> None:
        if inspect.iscoroutinefunction(getattr(redis_conn, "execute_command", None)):
            raise TypeError("redis.Redis was wanted, found an asyncio client: the writer has a thread of its own")
        if not hasattr(redis_conn, "pipeline"):
            raise TypeError(
                f"redis.Redis was wanted, found {type(redis_conn).__name__}: redis.Redis.from_url(…) makes one"
            )
        self._redis = redis_conn
        self._waiting: OrderedDict[str, State] = OrderedDict()
        self._changed = threading.Condition()
        self._is_writing, self._is_up = False, True
        self.dropped = 0
        self._is_closed = threading.Event()
        self._is_closed.set()

    def put_order(self, order: ExecutionOrder) -> None:
        self._put(order.client_order_id, order)

    def put_execution(self, summary: Mapping[str, Any]) -> None:
        self._put(EXECUTION, summary)

    async def _flush(self) -> None:
        waited_s = 0.0
        while (self._waiting or self._is_writing) and waited_s < LAST_WORDS_S:
            await asyncio.sleep(FLUSH_POLL_S)
            waited_s += FLUSH_POLL_S

    async def close(self) -> None:
        """Wait a moment for what waits; then the thread ends as soon as Redis lets go of it."""
        await self._flush()
        with self._changed:
            self._is_closed.set()
            self._changed.notify_all()

    def _put(self, key: str, state: State) -> None:
        with self._changed:
            self._waiting[key] = state
            self._drop_the_oldest()
            if self._is_closed.is_set():
                self._begin()
            self._changed.notify_all()

    def _begin(self) -> None:
        """A daemon: a process that ends does not wait for a Redis that hangs."""
        self._is_closed = threading.Event()
        threading.Thread(target=self._run, args=(self._is_closed,), name="redis writer", daemon=True).start()

    def _drop_the_oldest(self) -> None:
        while len(self._waiting) > QUEUE:
            self._waiting.popitem(last=False)
            self.dropped += 1

    # the thread

    def _run(self, is_closed: threading.Event) -> None:
        tries = 0
        while not is_closed.is_set():
            batch = self._next_batch(is_closed)
            is_written = self._wrote(batch)
            tries = 0 if is_written else tries + 1
            self._end_batch({} if is_written else batch)
            if tries:
                is_closed.wait(BACK_OFF_S[min(tries, len(BACK_OFF_S)) - 1])

    def _next_batch(self, is_closed: threading.Event) -> dict[str, State]:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or is_closed.is_set())
            batch = dict(self._waiting)
            self._waiting.clear()
            self._is_writing = True
            return batch

    def _end_batch(self, unwritten: Mapping[str, State]) -> None:
        """What could not be written and has not changed since is tried again, before what is newer."""
        with self._changed:
            newer = self._waiting
            self._waiting = OrderedDict({key: value for key, value in unwritten.items() if key not in newer} | newer)
            self._drop_the_oldest()
            self._is_writing = False
            self._changed.notify_all()

    def _wrote(self, batch: Mapping[str, State]) -> bool:
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for state in batch.values():
                    _add(pipeline, state)
                pipeline.execute()
        except Exception as error:  # of whatever kind: it is nobody's business who trades
            self._note(False, repr(error))
            return False
        self._note(True, "")
        return True

    def _note(self, is_up: bool, reason: str) -> None:
        if is_up != self._is_up:
            self._is_up = is_up
            log.warning("redis_%s %s", "up" if is_up else "down", reason)


def _add(pipeline: Any, state: State) -> None:
    if not isinstance(state, ExecutionOrder):
        pipeline.set(EXECUTION, json.dumps(state, allow_nan=False), ex=WEEK_S)
        return
    text = json.dumps(asdict(state), allow_nan=False)
    pipeline.set(ORDER.format(state.client_order_id), text, ex=WEEK_S)
    (pipeline.srem if state.status.is_done else pipeline.sadd)(OPEN_ORDERS, state.client_order_id)
    pipeline.publish(CHANNEL, text)


def state_writer(redis_conn: Any) -> StateWriter:
    """``None``: nobody is told."""
    return NoWriter() if redis_conn is None else RedisWriter(redis_conn)
