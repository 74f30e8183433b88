"""Printing to a reader that may go away, or to a disk that is full: then the program falls silent and goes on."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Print a line; never raises for the reader's sake."""
    try:
        print(text, flush=True)
    except OSError:
        fall_silent()


def fall_silent() -> None:
    """Whatever is still printed goes nowhere, also what the interpreter flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
