"""An archive for whoever is to find out what went wrong: config, journal, logs, status and versions, without secrets.

BundleUnsafe    a secret would have been in it: nothing was written
"""

from __future__ import annotations

import io
import json
import platform
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from management.masking import Masking
from trading.config.model import LoadedConfig
from trading.config.redaction import redacted
from trading.journal.errors import JournalError
from trading.live_trading_bot import log_plan
from trading.provenance import code_version, finite
from trading.status_reading import bot_status
from trading.utc_text import utc_text
from trading.venues.opening import state_paths

MEGABYTE = 2**20
Member = tuple[str, bytes]


class BundleUnsafe(Exception):
    """A secret was found in what would have been written: stop and tell the person."""


class Bundle:
    """What of a bot goes into an archive. ``log_bytes``: the newest so many of each log file."""

    def __init__(self, config: LoadedConfig, masking: Masking, *, now: datetime, log_bytes: int) -> None:
        self._config, self._masking, self._now, self._log_bytes = config, masking, now, log_bytes
        self._remarks: list[str] = []

    def archive(self) -> bytes:
        """A zip file's bytes. Raises BundleUnsafe when a known secret is in any member."""
        members = [*self._members()]
        members.append(_json("contents.json", self._contents(members)))
        unsafe = [name for name, content in members if self._masking.shows(content)]
        if unsafe:
            raise BundleUnsafe(f"a secret was left in {', '.join(unsafe)}: nothing was written; please report this")
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return target.getvalue()

    def _members(self) -> Iterator[Member]:
        yield _json("config.json", self._config_row())
        yield _json("versions.json", versions())
        yield from self._status()
        yield from self._journal()
        yield from self._logs()

    def _contents(self, members: list[Member]) -> dict[str, Any]:
        return {
            "bot_id": self._config.bot_id,
            "mode": self._config.model.broker.type,
            "made": utc_text(self._now),
            "config_sha256": self._config.sha256,
            "files": {name: len(content) for name, content in members},
            "remarks": self._remarks,
        }

    def _config_row(self) -> dict[str, Any]:
        """The known sections alone, with their defaults; what is written under a secret's name is hidden."""
        row: dict[str, Any] = finite(redacted(self._config.model.model_dump(mode="json")))
        warnings = [f"{problem.path}: {problem.message}" for problem in self._config.warnings]
        found: dict[str, Any] = self._masking.value({"config": row, "warnings": warnings})
        return found

    def _status(self) -> Iterator[Member]:
        try:
            yield _json("status.json", self._masking.value(finite(bot_status(self._config, self._now))))
        except JournalError as error:
            self._remark(f"no status: {error}")

    def _journal(self) -> Iterator[Member]:
        path, _ = state_paths(self._config)
        if not path.exists():
            self._remark("no journal: the bot has never run here")
            return
        try:
            with TemporaryDirectory(prefix="tandem-bundle-") as folder:
                copy = Path(folder) / "journal.sqlite"
                self._remarks += [f"journal: {line}" for line in copied_journal(path, copy, self._masking)]
                yield "journal.sqlite", copy.read_bytes()
        except (sqlite3.Error, OSError) as error:
            self._remark(f"no journal: it cannot be copied ({error})")

    def _logs(self) -> Iterator[Member]:
        plan = log_plan(self._config)
        folder = Path(plan.json_dir)
        wanted = (plan.log_file, plan.error_file, folder / "trades.json", folder / "orders.json", plan.equity_file)
        for path in dict.fromkeys(map(Path, wanted)):
            if path.is_file():
                yield f"logs/{path.name}", self._tail(path)

    def _tail(self, path: Path) -> bytes:
        """Whole lines from the end, with those of the file before the last rotation where there is room."""
        before = path.with_name(f"{path.name}.1")
        content = b"".join(part.read_bytes() for part in (before, path) if part.is_file())
        if len(content) > self._log_bytes:
            self._remark(f"{path.name}: the newest {self._log_bytes:,} of {len(content):,} bytes")
            content = content[-self._log_bytes :].partition(b"\n")[2]
        return self._masking(content.decode("utf-8", "replace")).encode()

    def _remark(self, text: str) -> None:
        self._remarks.append(self._masking(text))


def copied_journal(path: Path, copy: Path, masking: Masking) -> list[str]:
    """Make a whole copy, also while the bot writes, and mask every text in it. What SQLite's integrity check says.

    Raises ``sqlite3.Error``.
    """
    source_uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    with closing(sqlite3.connect(source_uri, uri=True)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        checked = [str(row[0]) for row in target.execute("PRAGMA integrity_check(20)")]
        target.execute("PRAGMA journal_mode = DELETE")
        target.create_function("masked", 1, lambda text: masking(text) if isinstance(text, str) else text)
        for table, column in _text_columns(target):
            target.execute(
                f'UPDATE "{table}" SET "{column}" = masked("{column}") WHERE "{column}" != masked("{column}")'
            )
        target.commit()
        target.execute("VACUUM")  # what was replaced would still lie in free pages
    return checked


def _text_columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
            if kind == "TEXT":
                yield table, column


def versions() -> dict[str, Any]:
    """Program, Python, system and every installed distribution; no name of user or host."""
    found = {dist.metadata["Name"]: dist.version for dist in distributions() if dist.metadata["Name"]}
    return {
        "program": code_version(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "sqlite": sqlite3.sqlite_version,
        "distributions": [
            f"{name}=={version}" for name, version in sorted(found.items(), key=lambda one: one[0].lower())
        ],
    }


def _json(name: str, value: Any) -> Member:
    return name, f"{json.dumps(value, indent=1, allow_nan=False, default=str)}\n".encode()
