"""Questions to a bot's files, each answered with a few rows: a page must not cost what a whole year of rows costs.

Beside ``trading.journal.reads``, which gives everything as the engine's own values and first reads the whole file to
find damage: here only the last rows are wanted, every two seconds, of twenty bots.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from management.bots.finding import BotFiles
from trading.journal.schema import SCHEMA_VERSION

BUSY_TIMEOUT_S = 0.5
WAYS = ("ASC", "DESC")
Row = dict[str, Any]
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError)  # what a row that makes no sense raises


class Unreadable(Exception):
    """A bot's journal cannot be read now; the message says why, and what to do where something can be done."""


class BotReader:
    """One onlooker's connection to a journal, which it cannot write. Every method raises ``Unreadable``."""

    def __init__(self, files: BotFiles) -> None:
        self._files = files
        try:
            self._journal = _opened(files.journal)
        except sqlite3.Error as error:
            raise Unreadable(f"{files.journal.name} cannot be opened ({error})") from None
        try:
            self.meta = self._one("SELECT schema_version, bot_id, mode FROM meta") or {}
            self._check_schema(self.meta.get("schema_version"))
            self.run = self._one("SELECT * FROM runs ORDER BY number DESC LIMIT 1") or {}
        except Unreadable:
            self.close()
            raise

    def close(self) -> None:
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def states(self) -> dict[str, Row]:
        """Everything that the bot keeps under a key: its guard, its status, its config."""
        return {row["key"]: self.parsed(row["value"]) for row in self._ask("SELECT key, value FROM risk_state")}

    def positions(self) -> list[Row]:
        rows = self._ask("SELECT pair_id, state, payload FROM pair_positions ORDER BY pair_id")
        return [row | {"payload": self.parsed(row["payload"])} for row in rows]

    def decisions_of(self, pair_id: str, limit: int) -> list[Row]:
        """Of the newest run, oldest first."""
        wanted = "SELECT time, spread, zscore, answer, reason, rule FROM decisions WHERE pair_id = ? AND run = ?"
        return self._ask(f"{wanted} ORDER BY id DESC LIMIT ?", pair_id, self._run, limit)[::-1]

    def newest(self, table: str, limit: int) -> list[Row]:
        """Rows of the newest run, newest first."""
        return self._ask(f"SELECT * FROM {table} WHERE run = ? ORDER BY id DESC LIMIT ?", self._run, limit)

    def equity_after(self, row_id: int) -> list[tuple[int, str, float]]:
        """Id, time and equity of the newest run's bars after this row."""
        wanted = "SELECT id, time, equity FROM equity WHERE id > ? AND run = ? ORDER BY id"
        return [tuple(row) for row in self._raw(wanted, row_id, self._run)]

    def equity_sample(self, most: int) -> list[float]:
        """The newest run's equity at about so many moments, evenly spread, the last one always.

        By row ids, which follow each other within a run: a whole year is not gone through.
        """
        ends = [self._raw(f"SELECT id FROM equity WHERE run = ? ORDER BY id {way} LIMIT 1", self._run) for way in WAYS]
        if not all(ends):
            return []
        low, high = (int(rows[0]["id"]) for rows in ends)
        wanted = [*range(low, high, max(1, (high - low) // most)), high]
        found = "SELECT equity FROM equity WHERE id IN (SELECT value FROM json_each(?)) AND run = ? ORDER BY id"
        return [equity for (equity,) in self._raw(found, json.dumps(wanted), self._run)]

    def last_decision(self, pair_id: str) -> Row:
        return next(iter(self.decisions_of(pair_id, 1)), {})

    def fills_of(self, pair_id: str, ref: str) -> list[Row]:
        wanted = "SELECT symbol, side, amount, base_fee FROM fills WHERE pair_id = ? AND ref = ? AND run = ?"
        return self._ask(wanted, pair_id, ref, self._run)

    def trades_of(self, pair_id: str, limit: int) -> list[Row]:
        wanted = "SELECT * FROM trades WHERE pair_id = ? AND run = ? ORDER BY id DESC LIMIT ?"
        return self._ask(wanted, pair_id, self._run, limit)

    def count(self, table: str) -> int:
        """Rows of the newest run."""
        return int(self._ask(f"SELECT count(*) AS number FROM {table} WHERE run = ?", self._run)[0]["number"])

    def commands(self, limit: int) -> list[Row]:
        """The newest commands first; none where there is no queue yet."""
        return _rows(self._files.commands, "SELECT * FROM commands ORDER BY number DESC LIMIT ?", limit)

    def command(self, number: int) -> Row | None:
        return next(iter(_rows(self._files.commands, "SELECT * FROM commands WHERE number = ?", number)), None)

    def commands_waiting(self) -> int:
        return len(_rows(self._files.commands, "SELECT 1 FROM commands WHERE state = 'waiting'"))

    def ended_orders(self, row_id: int) -> list[Row]:
        """Intents of the newest run after this one, with the time of their last fill in ``filled_ms``."""
        wanted = (
            "SELECT id, side, state, filled, average, reference_price, created_ms, (SELECT max(time_ms) FROM fills "
            "WHERE fills.pair_id = intents.pair_id AND fills.ref = intents.ref "
            "AND fills.client_order_id = intents.client_order_id) AS filled_ms "
            "FROM intents WHERE id > ? AND run = ? ORDER BY id"
        )
        return self._ask(wanted, row_id, self._run)

    def notices_waiting(self) -> dict[str, int]:
        """Channel → notices that were not sent yet."""
        wanted = "SELECT channel, count(*) AS number FROM waiting GROUP BY channel"
        return {row["channel"]: row["number"] for row in _rows(self._files.outbox, wanted)}

    def parsed(self, text: str) -> Any:
        """A cell's JSON."""
        try:
            return json.loads(text)
        except (ValueError, TypeError) as error:
            raise Unreadable(f"{self._files.journal.name} has a damaged row ({error}): restore a copy of it") from None

    @property
    def _run(self) -> int:
        return int(self.run.get("number", 0))

    def _check_schema(self, version: int | None) -> None:
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise Unreadable(
                f"{self._files.journal.name} has schema {version}, of a newer program; this one reads "
                f"{SCHEMA_VERSION}: update the program"
            )
        if version != SCHEMA_VERSION:
            raise Unreadable(
                f"{self._files.journal.name} has schema {version}, this program reads {SCHEMA_VERSION}: start the bot "
                "with this version of the program once, which migrates it"
            )

    def _one(self, question: str) -> Row | None:
        return next(iter(self._ask(question)), None)

    def _ask(self, question: str, *values: object) -> list[Row]:
        return [dict(row) for row in self._raw(question, *values)]

    def _raw(self, question: str, *values: object) -> list[sqlite3.Row]:
        try:
            return self._journal.execute(question, values).fetchall()
        except sqlite3.Error as error:
            raise Unreadable(f"{self._files.journal.name} cannot be read ({error})") from None


def _rows(path: Path, question: str, *values: object) -> list[Row]:
    """Of a file that may not be there, or not be one."""
    if not path.exists():
        return []
    try:
        with closing(_opened(path)) as connection:
            return [dict(row) for row in connection.execute(question, values)]
    except sqlite3.Error:
        return []


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
    )
    connection.row_factory = sqlite3.Row
    return connection
