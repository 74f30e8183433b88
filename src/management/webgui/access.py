"""Who may see the panel: whoever has its token, in a file of mode 0600, or a session that was opened with it.

TokenUnusable    the token's file cannot be used: stop and tell the person
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

TOKEN_FILE = "panel.token"
LEAST_LETTERS = 32
SESSION_S = 12 * 3600.0
MOST_SESSIONS = 64
MOST_TRIES = 10  # wrong tokens of one address at once; after that one more every so often
TRY_EVERY_S = 6.0
MOST_ADDRESSES = 1_000


class TokenUnusable(Exception):
    """The token's file is not one that only its owner can read, or holds no token."""


class Answer(Enum):
    OPEN = "open"
    CLOSED = "closed"
    TOO_MANY_TRIES = "too many tries"


def kept_token(state: Path) -> str:
    """The token in ``state/panel.token``; a new one where there is no such file. Raises ``TokenUnusable``."""
    path = state / TOKEN_FILE
    try:
        state.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise TokenUnusable(f"{path} cannot be written ({error.strerror})") from None
    token = secrets.token_urlsafe(32)
    with open(handle, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
    return token


def _read(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenUnusable(f"{path} cannot be read: {type(error).__name__}") from None
    if mode & 0o077:
        raise TokenUnusable(f"{path} is open to others (mode {mode:04o}): chmod 600 it, or remove it for a new token")
    if len(token) < LEAST_LETTERS:
        raise TokenUnusable(f"{path} holds no token of {LEAST_LETTERS} letters: remove it for a new one")
    return token


@dataclass(slots=True)
class _Tries:
    left: float
    at_s: float


class TryLimit:
    """How often an address may still be wrong. The oldest addresses are forgotten first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tries: dict[str, _Tries] = {}

    def allows(self, address: str) -> bool:
        return self._of(address).left >= 1.0

    def note_wrong(self, address: str) -> None:
        self._of(address).left -= 1.0

    def _of(self, address: str) -> _Tries:
        now = self._clock()
        tries = self._tries.pop(address, None) or _Tries(MOST_TRIES, now)
        tries.left = min(float(MOST_TRIES), tries.left + (now - tries.at_s) / TRY_EVERY_S)
        tries.at_s = now
        self._tries[address] = tries
        while len(self._tries) > MOST_ADDRESSES:
            del self._tries[next(iter(self._tries))]
        return tries


class Access:
    """Compares in constant time; keeps of a session only a digest. ``clock``: monotonic seconds. One thread."""

    def __init__(self, token: str, clock: Callable[[], float]) -> None:
        self._token, self._clock = token.encode(), clock
        self._tries = TryLimit(clock)
        self._sessions: dict[bytes, float] = {}

    def check_token(self, given: str, address: str, door: str) -> Answer:
        """While an address has been wrong too often by this door, no token of it is looked at there.

        A program that shows an old token by one door does not lock its owner out of the other.
        """
        caller = f"{door} {address}"
        if not self._tries.allows(caller):
            return Answer.TOO_MANY_TRIES
        if hmac.compare_digest(self._token, given.encode("utf-8", "replace")):
            return Answer.OPEN
        self._tries.note_wrong(caller)
        return Answer.CLOSED

    def open_session(self) -> str:
        """What the cookie holds; the oldest session ends where there are too many."""
        session = secrets.token_urlsafe(32)
        self._sessions[_digest(session)] = self._clock() + SESSION_S
        while len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session

    def has_session(self, session: str) -> bool:
        return self._sessions.get(_digest(session), 0.0) > self._clock()

    def end_session(self, session: str) -> None:
        self._sessions.pop(_digest(session), None)


def _digest(session: str) -> bytes:
    return hashlib.sha256(session.encode("utf-8", "replace")).digest()
