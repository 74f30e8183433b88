"""Writing a file that a person asked for: whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class OutputPathError(Exception):
    """A path that will not be written: stop and tell the person."""


class NotWritten(OutputPathError):
    """A path that could be written when it was asked for, and cannot now: what stood there is unchanged."""


def output_path(path: str | Path) -> Path:
    """The real place of an output file that the command line named; it may lie anywhere. Makes its folder.

    Raises ``OutputPathError`` for a folder, or where no file can be written: ask before a long run, not after it.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise OutputPathError(f"{path} is a folder: name a file")
    if target.exists() and not target.is_file():
        raise OutputPathError(f"{path} is a device or a pipe, which a file would replace: name a file")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise OutputPathError(f"{path}: a file stands where a folder is wanted; move it or name another path") from None
    except OSError as error:
        raise OutputPathError(f"{path}: its folder cannot be made ({error.strerror}); name another path") from None
    if not os.access(target.parent, os.W_OK):
        raise OutputPathError(f"{path}: the folder cannot be written to; name another path")
    return target


def write_atomically(path: str | Path, content: bytes, *, is_private: bool = False) -> Path:
    """Write under another name, then rename: a reader finds the former file or this one, never half of it.

    ``is_private``: with mode 0600. Raises ``OutputPathError``.
    """
    target = output_path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        draft.touch(0o600 if is_private else 0o666)
        draft.write_bytes(content)
        os.replace(draft, target)
    except OSError as error:
        raise NotWritten(f"{path}: cannot be written ({error.strerror}); mend that, and give the call again") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return target
