"""Errors of the journal, and what the bot does about each.

JournalError
├── JournalRefused      not a journal that this bot may use (corrupt, newer, another's): stop and tell the person
│   ├── JournalOlder    whoever looks on may not migrate it: the bot's next start does
│   └── JournalElsewhere  written at another exchange, market or network, and something is in it
├── JournalGone         its bot runs, but the file is no longer there: tell whoever looks on what to do
├── JournalBusy         another process is writing it: stop and tell the person
├── JournalUnwritable   a commit failed (disk full, read-only, I/O): send nothing that adds risk, keep trying
└── IntentConflict      an intent's id is used twice or unknown: a defect, halt
"""

from __future__ import annotations


class JournalError(Exception):
    """Root of the journal's errors."""


class JournalRefused(JournalError):
    """The file is not one that this bot may use; it was left as it is."""


class JournalOlder(JournalRefused):
    """An earlier program wrote it: a start of its bot brings it forward."""


class JournalElsewhere(JournalRefused):
    """It was written for another account; ``account`` is the fingerprint of that one."""

    def __init__(self, message: str, account: str) -> None:
        super().__init__(message)
        self.account = account


class JournalGone(JournalError):
    """A bot runs whose journal is no longer where it belongs."""


class JournalBusy(JournalError):
    """Another process holds the journal."""


class JournalUnwritable(JournalError):
    """What was to be written is not on disk."""


class IntentConflict(JournalError):
    """An intent that contradicts what the journal already holds."""
