"""Writing a file a person asked for: inside the working directory, and whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


class OutputPathError(Exception):
    """A path that will not be written: stop and tell the person."""


def output_path(path: str | Path) -> Path:
    """The real place of an output file. Raises ``OutputPathError`` outside the working directory or for a folder."""
    here = Path.cwd().resolve()
    wanted = (here / path).resolve()
    if wanted == here or not wanted.is_relative_to(here):
        raise OutputPathError(f"{path} leaves the working directory {here}: name a file inside it")
    if wanted.is_dir():
        raise OutputPathError(f"{path} is a folder: name a file")
    return wanted


def write_atomically(path: str | Path, content: bytes) -> Path:
    """Write under another name, then rename: a reader finds the former file or this one, never half of it."""
    target = output_path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise OutputPathError(f"{path}: a file stands where a folder is wanted; move it or name another path") from None
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(content)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return target
