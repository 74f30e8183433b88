"""The bot's memory on disk: what it intends, what happened, what it holds and why it decided as it did.

A commit returns only when the operating system was told to put it on the disk (WAL with ``synchronous = FULL``), so
that an intent is on disk before its order is on the wire. Written synchronously, by one process at a time.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, CursorResult, Executable, Table, bindparam, insert, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)

from ccxt_bt_bridge.words import Fill, FundingPayment, OrderReport
from pairs.words import PairState
from trading.journal import schema as tables
from trading.journal.errors import IntentConflict, JournalBusy, JournalUnwritable
from trading.journal.file import Meta, Owner, copy_beside, file_identity, open_writable, put_in_place
from trading.journal.locks import WriterLock, account_lock, lock_path
from trading.journal.reads import JournalReads
from trading.journal.words import (
    Intent,
    IntentState,
    Run,
    WireOutcome,
    account_fingerprint,
    fresh_epoch,
)
from trading.records import Decision, RefusalRecord, TradeRecord

FLUSH_ROWS = 500
KEPT_ROWS = 50_000  # while the disk refuses them; the oldest go first

log = logging.getLogger(__name__)


def _put(table: Table, *, key: str, changes: Iterable[str]) -> Executable:
    """A new row, or these columns of the row that has its ``key``."""
    statement = upsert(table)
    return statement.on_conflict_do_update(
        index_elements=[key], set_={name: statement.excluded[name] for name in changes}
    )


# Built once: building one costs SQLAlchemy more than running it.
_ADD_INTENT = insert(tables.intents)
_ADD_OUTCOME = insert(tables.wire_outcomes)
_ADD_FILL = upsert(tables.fills).on_conflict_do_nothing()
_ADD_FUNDING = insert(tables.funding)
_PUT_ORDER = _put(tables.orders, key="client_order_id", changes=OrderReport.__dataclass_fields__)
_PUT_POSITION = _put(tables.pair_positions, key="pair_id", changes=("state", "payload"))
_PUT_RISK_STATE = _put(tables.risk_state, key="key", changes=("value",))
_ADD_ROWS = {table: insert(table) for table in (tables.decisions, tables.refusals, tables.equity)}
_CHANGE_INTENT = update(tables.intents).where(tables.intents.c.client_order_id == bindparam("changed"))
_COUNT_RUN = update(tables.runs).where(tables.runs.c.number == bindparam("run"))
_COUNT = (
    upsert(tables.sequences)
    .on_conflict_do_update(index_elements=["name"], set_={"value": tables.sequences.c.value + 1})
    .returning(tables.sequences.c.value)
)


def _now() -> datetime:
    return datetime.now(UTC)


class Journal(JournalReads):
    """The one writer of a journal file.

    Every method that writes is a durable commit of its own, unless it stands inside ``transaction()``. Rows of a bar
    (``record_decision``, ``record_equity``, ``record_refusal``, ``note_progress``) wait in memory and go with the next
    commit, with ``flush()``, or when 500 wait; recording one never raises for the disk. Writers raise
    ``JournalUnwritable`` when nothing was written. Any thread may call, one at a time.
    """

    def __init__(self, connection: Connection, meta: Meta, locks: ExitStack, path: Path) -> None:
        super().__init__(connection, meta)
        self._locks = locks
        self._path, self._identity = path, file_identity(path)
        self._anew: tuple[int, int] | None = None  # the copy that is to take its place
        self._depth = 0
        self._failure: str | None = None
        self._waiting: list[tuple[Table, dict[str, Any]]] = []
        self._progress: tuple[int, int] | None = None
        self._run: int | None = None

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        bot_id: str,
        mode: str,
        account: str,
        login: str = "",
        nonce: Callable[[], str] = fresh_epoch,
        clock: Callable[[], datetime] = _now,
    ) -> Self:
        """Create or open; of ``account`` only a fingerprint is stored. ``nonce`` makes the epoch of this opening.

        ``login``: what the exchange knows the account by; two processes never trade the same one as the same bot.
        Raises ``JournalBusy`` when another process writes the journal or trades so, ``JournalRefused`` when it is not
        a whole journal of this bot, mode and account.
        """
        path = Path(path)
        owner = Owner(bot_id, mode, account_fingerprint(account))
        try:
            with ExitStack() as locks:
                locks.callback(WriterLock(lock_path(path)).release)
                if login:
                    locks.callback(account_lock(bot_id, login).release)
                connection, found = open_writable(path, owner, nonce=nonce, clock=clock)
                return cls(connection, found, locks.pop_all(), path)
        except (DatabaseError, OSError) as error:
            raise JournalUnwritable(f"{path} cannot be opened for writing ({error})") from None

    @property
    def run(self) -> int | None:
        """The run that rows are written for; None outside any."""
        return self._run

    def close(self) -> None:
        """Write what waits, then let go of file and lock. Idempotent."""
        if self._connection.closed:
            return
        try:
            self.flush()
        finally:
            self._connection.close()
            self._locks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One commit for everything inside; a nested use joins the outer one. An exception undoes it all."""
        with self._turn:
            if self._depth:
                yield
                return
            self._require_its_file()
            self._depth, self._failure = 1, None
            try:
                waiting = len(self._waiting)
                self._execute_sql("BEGIN IMMEDIATE")
                yield
                self._write_waiting(waiting)
                self._execute_sql("COMMIT")
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._depth = 0
            del self._waiting[:waiting]
            self._progress = None

    def flush(self) -> None:
        """Write the waiting rows now."""
        if self._waiting or self._progress:
            with self.transaction():
                pass

    # Intents, orders, fills, funding

    def write_intent(self, intent: Intent) -> None:
        """Put an intent on disk; only then may its order be sent. Raises ``IntentConflict`` for an id used before."""
        with self.transaction():
            try:
                self._execute(_ADD_INTENT, {"run": self._run, **_intent_values(intent)})
            except IntegrityError:
                raise IntentConflict(
                    f"intent {intent.client_order_id} is already in the journal: an intent is sent at most once"
                ) from None

    def update_intent(
        self, client_order_id: str, *, state: IntentState, filled: Decimal | None = None, average: Decimal | None = None
    ) -> None:
        """The intent's new state; None leaves a number as it is. Raises ``IntentConflict`` for an unknown id."""
        values: dict[str, Any] = {"state": IntentState(state).value}
        values |= {name: value for name, value in (("filled", filled), ("average", average)) if value is not None}
        with self.transaction():
            if self._execute(_CHANGE_INTENT, {"changed": client_order_id, **values}).rowcount != 1:
                raise IntentConflict(f"intent {client_order_id} is not in the journal: it cannot become {state}")

    def record_outcome(self, outcome: WireOutcome) -> None:
        """One step of an order on the wire."""
        with self.transaction():
            self._execute(_ADD_OUTCOME, {"run": self._run, **_row(outcome), "state": outcome.state.value})

    def record_order(self, report: OrderReport, *, pair_id: str, ref: str) -> None:
        """The order as the exchange last reported it."""
        values = _row(report) | {"side": report.side.value, "status": report.status.value}
        with self.transaction():
            self._execute(_PUT_ORDER, {"run": self._run, "pair_id": pair_id, "ref": ref, **values})

    def record_fill(self, fill: Fill, pair_id: str, ref: str) -> bool:
        """False when this fill (symbol and trade id) is already there."""
        values = _row(fill) | {"side": fill.side.value}
        with self.transaction():
            row = {"run": self._run, "pair_id": pair_id, "ref": ref, **values}
            return self._execute(_ADD_FILL, row).rowcount == 1

    def record_funding(self, payment: FundingPayment, shares: Mapping[str, Decimal]) -> bool:
        """A payment as it is shared out, by pair; False when it has been shared out before, to whomever."""
        row = {"run": self._run} | _row(payment)
        with self.transaction():
            if self.has_funding(payment):
                return False
            for pair_id, amount in shares.items():
                self._execute(_ADD_FUNDING, row | {"pair_id": pair_id, "amount": amount})
            return True

    def next_sequence(self) -> int:
        """1, 2, 3, … and never one of them twice in this file's life: the number in a client order id."""
        with self.transaction():
            return int(self._execute(_COUNT, {"name": "client_order_id", "value": 1}).scalar_one())

    # Positions, trades, risk, runs

    def save_position(self, pair_id: str, state: PairState, payload: Mapping[str, Any]) -> None:
        """Replace what is known of a pair: its state and the JSON that restores it."""
        with self.transaction():
            self._execute(_PUT_POSITION, {"pair_id": pair_id, "state": state.value, "payload": dict(payload)})

    def save_trade(self, trade: TradeRecord) -> None:
        """A closed round trip."""
        with self.transaction():
            self._execute(insert(tables.trades).values(run=self._run, pnl=trade.pnl, **asdict(trade)))

    def update_trade(self, trade: TradeRecord) -> None:
        """A closed trade of this run whose profit has changed since."""
        mine = (
            tables.trades.c.run == self._run,
            tables.trades.c.pair_id == trade.pair_id,
            tables.trades.c.entry_time == trade.entry_time,
        )
        with self.transaction():
            self._execute(update(tables.trades).where(*mine).values(pnl=trade.pnl, **asdict(trade)))

    def save_risk_state(self, key: str, value: Mapping[str, Any]) -> None:
        self.save_risk_states({key: value})

    def save_risk_states(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Several by key, in one statement."""
        with self.transaction():
            self._execute(_PUT_RISK_STATE, [{"key": key, "value": dict(value)} for key, value in values.items()])

    def start_run(
        self,
        *,
        started: datetime,
        config_sha256: str,
        code_version: str,
        opening_equity: Decimal | None = None,
        terms: Mapping[str, Any] | None = None,
    ) -> int:
        """Open a new run; later rows carry its number. ``terms``: the sections of the config that decide, as JSON."""
        values = {
            "started": started,
            "config_sha256": config_sha256,
            "code_version": code_version,
            "opening_equity": opening_equity,
            "terms": terms,
        }
        with self.transaction():
            statement = insert(tables.runs).values(bars=0, signals=0, **values).returning(tables.runs.c.number)
            number = int(self._execute(statement).scalar_one())
        self._run = number
        return number

    def resume_run(self) -> Run | None:
        """Go on with the newest run if it never ended (the bot was killed), else None."""
        runs = self.runs()
        if not runs or runs[-1].ended is not None:
            return None
        self._run = runs[-1].number
        return runs[-1]

    def end_run(self, *, ended: datetime, bars: int, signals: int) -> None:
        self._update_run(ended=ended, bars=bars, signals=signals)

    # Rows of a bar, buffered

    def record_decision(self, decision: Decision) -> None:
        row = _row(decision)
        self._wait(tables.decisions, row | {name: _finite(row[name]) for name in ("spread", "zscore", "hedge_ratio")})

    def record_refusal(self, refusal: RefusalRecord) -> None:
        self._wait(tables.refusals, _row(refusal))

    def record_equity(self, time: datetime, equity: float) -> None:
        self._wait(tables.equity, {"time": time, "equity": float(equity)})

    def note_progress(self, *, bars: int, signals: int) -> None:
        """The run's counters so far, so that a resumed run goes on counting."""
        self._progress = (bars, signals)

    # How it is written

    def _wait(self, table: Table, row: dict[str, Any]) -> None:
        with self._turn:
            self._waiting.append((table, {"run": self._run, **row}))
            if len(self._waiting) < FLUSH_ROWS or self._depth:
                return
            try:
                self.flush()
            except JournalUnwritable as failure:
                log.error("journal_unwritable waiting_rows=%d error=%s", len(self._waiting), failure)
                del self._waiting[:-KEPT_ROWS]

    def _write_waiting(self, count: int) -> None:
        rows: dict[Table, list[dict[str, Any]]] = {}
        for table, row in self._waiting[:count]:
            rows.setdefault(table, []).append(row)
        for table, batch in rows.items():
            try:
                self._execute(_ADD_ROWS[table], batch)
            except StatementError as error:  # what is told must never stop what is done: an intent may be in here
                log.error("journal_rows_dropped table=%s rows=%d error=%s", table.name, len(batch), error.orig)
        if self._progress and self._run is not None:
            bars, signals = self._progress
            self._execute(_COUNT_RUN, {"run": self._run, "bars": bars, "signals": signals})

    def _update_run(self, **values: Any) -> None:
        with self.transaction():
            self._execute(update(tables.runs).where(tables.runs.c.number == self._run).values(**values))

    def _execute(
        self, statement: Executable, rows: dict[str, Any] | list[dict[str, Any]] | None = None
    ) -> CursorResult[Any]:
        with self._writing():
            return self._connection.execute(statement, rows)

    def _execute_sql(self, statement: str) -> None:
        with self._writing():
            self._connection.exec_driver_sql(statement)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """SQLite may undo a whole transaction when a statement fails: whatever followed would commit by itself."""
        if self._failure is not None:
            raise JournalUnwritable(f"this transaction has already failed ({self._failure})")
        try:
            yield
        except (IntegrityError, DataError, ProgrammingError):
            raise
        except DatabaseError as error:
            self._failure = str(error.orig)
            raise JournalUnwritable(f"the journal could not be written ({error.orig}): nothing was stored") from None

    def _require_its_file(self) -> None:
        """A file that was deleted or moved away is written anew, with all that was in it; one that stands in its place
        is not this bot's to write. While nobody can tell, SQLite writes the one that it has open."""
        try:
            found = file_identity(self._path)
        except OSError:
            return
        if found == self._identity:
            return
        if found not in (None, self._anew):
            raise JournalUnwritable(
                f"{self._path} is not the file any more that this bot opened: take it away, and the bot writes its own "
                "again"
            )
        try:
            self._write_anew()
        except (OSError, sqlite3.Error, SQLAlchemyError, JournalBusy) as error:
            reason = error.orig if isinstance(error, DatabaseError) else error
            raise JournalUnwritable(
                f"{self._path} was deleted or moved away and could not be written anew ({reason}): the next commit "
                "tries again"
            ) from None
        log.error("journal_written_anew path=%s reason=it was deleted or moved away", self._path)

    def _write_anew(self) -> None:
        """The old connection has everything, and is let go of last: whatever fails before may be done again."""
        if not lock_path(self._path).exists():
            self._locks.callback(WriterLock(lock_path(self._path)).release)
        draft = copy_beside(self._path, self._connection)
        self._anew = file_identity(draft)
        old, self._connection = self._connection, put_in_place(draft, self._path)
        self._identity = self._anew
        old.close()

    def _roll_back(self) -> None:
        raw = self._connection.connection.dbapi_connection
        if raw is not None and raw.in_transaction:
            raw.rollback()


def _intent_values(intent: Intent) -> dict[str, Any]:
    return _row(intent) | {"side": intent.side.value, "state": intent.state.value}


def _row(value: Any) -> dict[str, Any]:
    """A flat dataclass as a row; ``asdict`` would copy every value in it deeply, once a bar and pair."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _finite(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None
