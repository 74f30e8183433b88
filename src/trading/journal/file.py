"""A journal's file: the connection, creation, the checks of what is there, migration, a copy of what was deleted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, NullPool, create_engine, insert, select, update
from sqlalchemy.exc import DatabaseError

from trading.journal.errors import JournalElsewhere, JournalRefused, JournalUnwritable
from trading.journal.locks import WriterLock, lock_path
from trading.journal.schema import MIGRATIONS, SCHEMA_VERSION, meta, metadata

BUSY_TIMEOUT_MS = 5000
PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose journal it is. ``account`` is the account's fingerprint."""

    bot_id: str
    mode: str
    account: str


@dataclass(frozen=True, slots=True)
class Meta:
    """The one row that says what a file is; ``is_used``: whether anything was ever done for its owner."""

    schema_version: int
    owner: Owner
    epoch: str
    created_at: datetime
    is_used: bool


def file_identity(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to; None: to none. Raises ``OSError`` when it cannot be told."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def connect(path: Path, *, access: str, pragmas: tuple[str, ...]) -> Connection:
    """One connection in autocommit. ``access``: rwc, rw or ro."""

    def creator() -> sqlite3.Connection:
        frozen = "&immutable=1" if access == "ro" and _is_frozen(path) else ""
        uri = f"file:{quote(str(path.absolute()))}?mode={access}{frozen}"
        raw = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        try:
            for pragma in pragmas:
                raw.execute(pragma)
        except sqlite3.Error:
            raw.close()
            raise
        return raw

    engine = create_engine(
        "sqlite+pysqlite://", creator=creator, poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True
    )
    return engine.connect()


def _is_frozen(path: Path) -> bool:
    """Nobody writes it, and SQLite could not make the files beside it that reading takes otherwise."""
    return not os.access(path.parent, os.W_OK) and not _beside(path, "-wal").exists()


def open_writable(
    path: Path, owner: Owner, *, nonce: Callable[[], str], clock: Callable[[], datetime]
) -> tuple[Connection, Meta]:
    """The connection to a journal that is whole, current and the owner's. Raises ``JournalRefused``."""
    if not path.exists():
        _create(path, owner, epoch=nonce(), created_at=clock())
    found = inspect(path)
    require_owner(path, found, owner)
    if found.schema_version < SCHEMA_VERSION:
        _back_up(path, found.schema_version)
    connection = connect(path, access="rw", pragmas=PRAGMAS)
    try:
        _migrate(connection, found.schema_version)
        # Anew at each opening: a copy that was put back counts its orders from where it was, under other ids.
        opened = replace(found, epoch=nonce(), owner=owner)
        connection.execute(update(meta).values(epoch=opened.epoch, account=owner.account))
    except BaseException:
        connection.close()
        raise
    return connection, opened


def bring_forward(path: Path) -> None:
    """Make an older journal current, before anybody reads it; a copy of it stays beside. Nothing for any other file.

    Raises ``JournalBusy``, ``JournalRefused`` or ``JournalUnwritable``.
    """
    if not path.exists() or not _is_older(path):
        return
    lock = WriterLock(lock_path(path))
    try:
        found = inspect(path)
        _back_up(path, found.schema_version)
        connection = connect(path, access="rw", pragmas=PRAGMAS)
        try:
            _migrate(connection, found.schema_version)
        finally:
            connection.close()
    except (DatabaseError, sqlite3.Error, OSError) as error:
        raise JournalUnwritable(f"{path} cannot be brought forward to schema {SCHEMA_VERSION} ({error})") from None
    finally:
        lock.release()


def _is_older(path: Path) -> bool:
    """What cannot be read is for whoever opens it to tell."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as connection:
            return bool(connection.execute("SELECT schema_version < ? FROM meta", (SCHEMA_VERSION,)).fetchone()[0])
    except (sqlite3.Error, TypeError):
        return False


def inspect(path: Path) -> Meta:
    """What the file is, having read all of it. Changes nothing; raises ``JournalRefused``."""
    if path.stat().st_size == 0:
        raise JournalRefused(f"{path} is empty, which no journal ever is: {_WHAT_TO_DO}")
    try:
        connection = connect(path, access="ro", pragmas=("PRAGMA query_only = ON",))
    except DatabaseError as error:
        raise JournalRefused(f"{path} cannot be opened ({error.orig}): {_WHAT_TO_DO}") from None
    try:
        return _inspected(path, connection)
    except DatabaseError as error:
        raise JournalRefused(f"{path} is not a readable journal ({error.orig}): {_WHAT_TO_DO}") from None
    finally:
        connection.close()


_WHAT_TO_DO = "it was left as it is; look at it, restore a copy, or move it away to start anew"


def _inspected(path: Path, connection: Connection) -> Meta:
    damage = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if damage != "ok":
        raise JournalRefused(f"{path} is damaged ({damage}): {_WHAT_TO_DO}")
    row = connection.execute(select(meta)).one_or_none()
    if row is None:
        raise JournalRefused(f"{path} does not say whose journal it is: {_WHAT_TO_DO}")
    if row.schema_version > SCHEMA_VERSION:
        raise JournalRefused(
            f"{path} has schema {row.schema_version} of a newer program, this one knows up to {SCHEMA_VERSION}: "
            "update the program, or start with another journal"
        )
    if row.schema_version < min(MIGRATIONS):
        raise JournalRefused(f"{path} has schema {row.schema_version}, which no migration starts from: {_WHAT_TO_DO}")
    owner = Owner(row.bot_id, row.mode, row.account)
    return Meta(row.schema_version, owner, row.epoch, row.created_at, is_used=_is_used(connection))


def _is_used(connection: Connection) -> bool:
    tables = ("runs", "intents", "fills")
    return any(connection.exec_driver_sql(f"SELECT EXISTS (SELECT 1 FROM {name})").scalar_one() for name in tables)


def require_owner(path: Path, journal: Meta, wanted: Owner) -> None:
    """Raises ``JournalRefused`` for another's. One in which nothing was ever done binds to no account."""
    found = journal.owner
    if found.bot_id != wanted.bot_id:
        raise JournalRefused(
            f"{path} belongs to bot '{found.bot_id}', not to '{wanted.bot_id}': give each bot a journal of its own"
        )
    if found.mode != wanted.mode:
        raise JournalRefused(
            f"{path} was written in mode '{found.mode}', this run is '{wanted.mode}': "
            "positions of one mode mean nothing in another, use a journal per mode"
        )
    if journal.is_used and found.account != wanted.account:
        raise JournalElsewhere(
            f"{path} was written for another account (fingerprint {found.account}, now {wanted.account}): go back to "
            "its exchange, market and network, or move it away to begin anew",
            found.account,
        )


def _create(path: Path, owner: Owner, *, epoch: str, created_at: datetime) -> None:
    """Under another name first, so that a kill half-way never leaves half a journal at ``path``."""
    log = _beside(path, "-wal")
    if log.exists() and log.stat().st_size:
        raise JournalRefused(
            f"{path} is gone but its write-ahead log {path.name}-wal is there: restore the journal, "
            "or move the log away to start anew"
        )
    draft = _beside(path, ".new")
    _remove(draft)
    draft.touch(0o600)  # it says what is owned and what was made: SQLite makes the files beside it alike
    connection = connect(draft, access="rwc", pragmas=PRAGMAS)
    metadata.create_all(connection)
    connection.execute(
        insert(meta).values(
            schema_version=SCHEMA_VERSION,
            bot_id=owner.bot_id,
            mode=owner.mode,
            account=owner.account,
            epoch=epoch,
            created_at=created_at,
        )
    )
    connection.close()
    os.replace(draft, path)
    _sync_folder(path.parent)


def copy_beside(path: Path, connection: Connection) -> Path:
    """All of a journal whose file was deleted or moved away, from the connection that still has it."""
    draft = _beside(path, ".new")
    _remove(draft)
    draft.touch(0o600)
    with closing(sqlite3.connect(draft)) as target:
        _raw(connection).backup(target)
    return draft


def put_in_place(draft: Path, path: Path) -> Connection:
    """The connection to what was copied, durably at ``path`` now. The one it was copied from may be closed after:
    SQLite leaves the log at its name alone once another file stands there."""
    _remove(path)
    os.replace(draft, path)
    _sync_folder(path.parent)
    return connect(path, access="rw", pragmas=PRAGMAS)


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _back_up(path: Path, version: int) -> None:
    """A whole copy at ``NAME.bak-vN``, taken through SQLite so that it includes what is still in the WAL."""
    draft = _beside(path, ".bak-new")
    _remove(draft)
    draft.touch(0o600)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(draft)) as target:
        source.backup(target)
    os.replace(draft, _beside(path, f".bak-v{version}"))
    _sync_folder(path.parent)


def _migrate(connection: Connection, version: int) -> None:
    if version == SCHEMA_VERSION:
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    for step in range(version, SCHEMA_VERSION):
        for statement in MIGRATIONS[step]:
            connection.exec_driver_sql(statement)
    connection.execute(meta.update().values(schema_version=SCHEMA_VERSION))
    connection.exec_driver_sql("COMMIT")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            _beside(path, suffix).unlink()


def _sync_folder(folder: Path) -> None:
    """A rename is only durable once its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
