"""The journal's tables. Money is ``Decimal`` text, times are ISO-8601 UTC text, what is nested is JSON text."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from trading.utc_text import parse_utc, utc_text

SCHEMA_VERSION = 4

# From version → the statements that lead to the next one. A migration runs in one transaction, after a backup copy.
MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE decisions ADD COLUMN rule TEXT NOT NULL DEFAULT ''",),
    2: ("ALTER TABLE fills ADD COLUMN base_fee TEXT NOT NULL DEFAULT '0'",),
    3: (
        "ALTER TABLE runs ADD COLUMN opening_equity TEXT",
        "ALTER TABLE runs ADD COLUMN terms TEXT",
        "CREATE TABLE wire_outcomes (id INTEGER NOT NULL, run INTEGER, client_order_id TEXT NOT NULL, "
        "state TEXT NOT NULL, text TEXT NOT NULL, time_ms INTEGER NOT NULL, PRIMARY KEY (id), "
        "FOREIGN KEY(run) REFERENCES runs (number))",
        "CREATE INDEX wire_outcomes_of_order ON wire_outcomes (client_order_id)",
    ),
}


class DecimalText(TypeDecorator[Decimal]):
    """An exact ``Decimal``; refuses what is not finite."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> str | None:
        if value is None:
            return None
        if not value.is_finite():
            raise ValueError(f"an amount of money was wanted, found {value}")
        return format(value, "f")

    def process_result_value(self, value: str | None, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value)


class UtcText(TypeDecorator[datetime]):
    """A UTC-aware time."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:
        return None if value is None else utc_text(value)

    def process_result_value(self, value: str | None, dialect: Any) -> datetime | None:
        return None if value is None else parse_utc(value)


class JsonText(TypeDecorator[Any]):
    """A JSON document; decimals and times inside become text, NaN is refused."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        return None if value is None else json.dumps(value, allow_nan=False, default=_json_text, sort_keys=True)

    def process_result_value(self, value: str | None, dialect: Any) -> Any:
        return None if value is None else json.loads(value)


def _json_text(value: object) -> str:
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"a JSON value was wanted, found {type(value).__name__}")


def _text(name: str, **options: Any) -> Column[str]:
    return Column(name, Text, nullable=False, **options)


def _money(name: str, *, nullable: bool = False) -> Column[Decimal]:
    return Column(name, DecimalText, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, UtcText, nullable=nullable)


def _number(name: str) -> Column[float]:
    return Column(name, Float, nullable=True)


def _whole(name: str, **options: Any) -> Column[int]:
    return Column(name, Integer, nullable=False, **options)


def _run() -> Column[int]:
    """The run that wrote the row; null for rows written outside any run."""
    return Column("run", Integer, ForeignKey("runs.number"), nullable=True)


def _row_id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    _whole("schema_version"),
    _text("bot_id"),
    _text("mode"),
    _text("account"),
    _text("epoch"),
    _time("created_at"),
)

sequences = Table("sequences", metadata, _text("name", primary_key=True), _whole("value"))

runs = Table(
    "runs",
    metadata,
    Column("number", Integer, primary_key=True),
    _time("started"),
    _time("ended", nullable=True),
    _text("config_sha256"),
    _text("code_version"),
    _whole("bars"),
    _whole("signals"),
    _money("opening_equity", nullable=True),
    Column("terms", JsonText, nullable=True),
)

intents = Table(
    "intents",
    metadata,
    _row_id(),
    _run(),
    _text("client_order_id", unique=True),
    _text("pair_id"),
    _text("ref"),
    _text("action"),
    _whole("leg"),
    _text("symbol"),
    _text("side"),
    _money("amount"),
    Column("reduce_only", Boolean, nullable=False),
    _text("state"),
    _money("filled"),
    _money("average", nullable=True),
    _whole("created_ms"),
    Column("reference_price", Float, nullable=False),
    Index("intents_of_pair", "pair_id", "ref"),
    Index("intents_by_state", "state"),
)

orders = Table(
    "orders",
    metadata,
    _row_id(),
    _run(),
    _text("client_order_id", unique=True),
    _text("order_id"),
    _text("pair_id"),
    _text("ref"),
    _text("symbol"),
    _text("side"),
    _text("status"),
    _money("amount"),
    _money("filled"),
    _money("average", nullable=True),
    _whole("time_ms"),
)

# What became of an order on the wire, step by step: an intent keeps only its last state.
wire_outcomes = Table(
    "wire_outcomes",
    metadata,
    _row_id(),
    _run(),
    _text("client_order_id"),
    _text("state"),
    _text("text"),
    _whole("time_ms"),
    Index("wire_outcomes_of_order", "client_order_id"),
)

# A venue numbers its trades per symbol, so that the id alone would drop a real fill of another symbol.
fills = Table(
    "fills",
    metadata,
    _row_id(),
    _run(),
    _text("trade_id"),
    _text("order_id"),
    _text("client_order_id"),
    _text("pair_id"),
    _text("ref"),
    _text("symbol"),
    _text("side"),
    _money("amount"),
    _money("price"),
    _money("fee"),
    _money("base_fee"),
    _whole("time_ms"),
    UniqueConstraint("symbol", "trade_id"),
    Index("fills_of_pair", "pair_id", "ref"),
)

# One payment of the account may be shared out to several pairs that hold the symbol: unique per pair.
funding = Table(
    "funding",
    metadata,
    _row_id(),
    _run(),
    _text("payment_id"),
    _text("pair_id"),
    _text("symbol"),
    _money("amount"),
    _money("rate"),
    _money("mark_price"),
    _whole("time_ms"),
    UniqueConstraint("payment_id", "symbol", "pair_id"),
)

pair_positions = Table(
    "pair_positions",
    metadata,
    _text("pair_id", primary_key=True),
    _text("state"),
    Column("payload", JsonText, nullable=False),
)

trades = Table(
    "trades",
    metadata,
    _row_id(),
    _run(),
    _text("pair_id"),
    _text("direction"),
    _time("entry_time"),
    _time("exit_time"),
    _number("entry_z"),
    _number("exit_z"),
    _text("exit_reason"),
    Column("in_formation", Boolean, nullable=False),
    Column("legs", JsonText, nullable=False),
    _money("legging_cost"),
    _money("pnl"),
)

decisions = Table(
    "decisions",
    metadata,
    _row_id(),
    _run(),
    _time("time"),
    _text("pair_id"),
    _number("spread"),
    _number("zscore"),
    _number("hedge_ratio"),
    _text("answer"),
    _text("reason"),
    _text("rule", server_default=""),
)

refusals = Table(
    "refusals",
    metadata,
    _row_id(),
    _run(),
    _time("time"),
    _text("pair_id"),
    Column("reasons", JsonText, nullable=False),
)

equity = Table("equity", metadata, _row_id(), _run(), _time("time"), Column("equity", Float, nullable=False))

risk_state = Table("risk_state", metadata, _text("key", primary_key=True), Column("value", JsonText, nullable=False))
