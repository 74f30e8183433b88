"""Who may write a journal, and trade an account: locks that end with their process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from trading.journal.errors import JournalBusy

LOCK_TRIES = 10
LOCK_WAIT_S = 0.02
UNKNOWN_PID = "PID"


class WriterLock:
    """The right to write one journal, or to trade one account as one bot, until ``release`` or the end of the process.

    ``rule``: what a second one is told. Raises ``JournalBusy``.
    """

    def __init__(self, path: Path, rule: str = "one bot writes one journal; stop the other one first") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = open(path, "a+", encoding="ascii")  # closing it gives the lock up
        if not self._acquired():
            holder = self._holder()
            self._file.close()
            raise JournalBusy(f"{path} is held by another process{holder}: {rule}")
        with suppress(OSError):  # a courtesy to whoever asks: a full disk is no reason to give the lock up
            self._file.truncate(0)
            os.write(self._file.fileno(), f"{os.getpid()}\n".encode("ascii"))

    def _acquired(self) -> bool:
        # More than once: whoever asks is_held touches the lock for a moment, which is no reason not to start.
        for _ in range(LOCK_TRIES):
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            time.sleep(LOCK_WAIT_S)
        return False

    def _holder(self) -> str:
        self._file.seek(0)
        pid = self._file.read().strip()
        return f" (process {pid})" if pid else ""

    def release(self) -> None:
        self._file.close()


def lock_path(journal: Path) -> Path:
    """The file whose lock is the right to write ``journal``."""
    return journal.with_name(journal.name + ".lock")


def account_lock(bot_id: str, account: str) -> WriterLock:
    """The right to trade ``account`` as ``bot_id`` on this machine, whatever folder the journal lies in. Of the account
    the name of the lock's file has only a fingerprint."""
    place = Path(tempfile.gettempdir()) / f"tandem-{os.getuid()}"
    name = hashlib.sha256(f"{bot_id} {account}".encode()).hexdigest()[:16]
    rule = f"it trades this account as bot '{bot_id}' already; stop it first, or give this bot a bot_id of its own"
    return WriterLock(place / f"{name}.lock", rule)


def is_held(lock_path: Path) -> bool:
    """True while some process holds the writer's lock. Several may ask at once, also where nothing can be written."""
    try:
        file = open(lock_path, encoding="ascii")
    except (FileNotFoundError, NotADirectoryError):
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def holder_of(lock_path: Path) -> str:
    """The process id of whoever holds the lock, "PID" while it is not known."""
    try:
        return lock_path.read_text(encoding="ascii").strip() or UNKNOWN_PID
    except (OSError, ValueError):
        return UNKNOWN_PID
