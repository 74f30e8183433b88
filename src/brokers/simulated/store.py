"""The simulated exchange's own file: what "the exchange" remembers while the bot is dead.

StoreError    the file is not this market's, is newer than this program, or is no such file: stop and tell the person

SQLite in WAL mode with ``synchronous=NORMAL``: the file stands for a remote machine, which survives the death of our
process; it need not survive the death of this one's power supply. (The bot's journal does, and syncs fully.)
Every change is committed before the exchange answers for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from brokers.simulated.ledger import Position, Totals
from brokers.simulated.orders import Order
from brokers.simulated.tables import (
    ACCOUNT,
    BALANCES,
    FAULTS,
    FILLS,
    FUNDING,
    ORDERS,
    POSITIONS,
    RUN,
    SCHEMA_VERSION,
    SETTINGS,
    TABLES,
    UPGRADES,
    fill_of,
    fill_row,
    order_of,
    order_row,
    payment_of,
    payment_row,
)
from ccxt_bt_bridge.words import Fill, FundingPayment


class StoreError(Exception):
    """The exchange's file cannot serve this run."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """Everything of one run, as it was at its last commit."""

    market_ms: int
    totals: Totals
    positions: tuple[Position, ...]
    balances: dict[str, Decimal]
    settings: dict[str, str]
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    maker_ids: frozenset[str]
    payments: tuple[FundingPayment, ...]


class ExchangeStore:
    """One file (``path`` None: in memory, gone with the process) and the run that is open in it.

    Opening refuses a file whose unfinished run is of another ``fingerprint`` (the market's seed and rules). A run that
    ended stays in the file; the next one starts afresh. Used by one thread at a time.
    """

    def __init__(self, path: Path | None, *, fingerprint: str) -> None:
        self.is_lasting = path is not None
        self._where = "memory" if path is None else str(path)
        self._fingerprint = fingerprint
        self._depth = 0
        self._engine = sa.create_engine(
            "sqlite://" if path is None else f"sqlite:///{path}",
            connect_args={"check_same_thread": False},
            poolclass=sa.StaticPool,
        )
        try:
            self._connection = self._engine.connect()
            self._prepare()
            self.run, self._ended = self._last_run()
        except BaseException as error:
            self._engine.dispose()
            if isinstance(error, DatabaseError):
                raise StoreError(f"{self._where} is no exchange file ({error.orig}); move it away") from error
            raise

    @property
    def market_ms(self) -> int | None:
        """Market time of the unfinished run, None when there is none."""
        if self.run == 0 or self._ended:
            return None
        return self._connection.scalar(sa.select(RUN.c.market_ms).where(RUN.c.run == self.run))

    @property
    def ended(self) -> bool:
        """True when the last run's market came to its end."""
        return self._ended

    def begin(self, *, market_ms: int, initial: Decimal) -> None:
        """Open a new run with a fresh account."""
        self.run, self._ended = self.run + 1, False
        totals = {"initial": str(initial), "realised": "0", "fees": "0", "funding": "0"}
        with self.transaction():
            self._insert(RUN, fingerprint=self._fingerprint, market_ms=market_ms, ended=False)
            self._insert(ACCOUNT, **totals)

    def load(self) -> Remembered:
        """The unfinished run. Raises ``StoreError`` when there is none."""
        if self.market_ms is None:
            raise StoreError(f"{self._where} has no unfinished run")
        account, fills = self._rows(ACCOUNT)[0], self._rows(FILLS, FILLS.c.trade_id)
        return Remembered(
            self.market_ms,
            Totals(*(Decimal(account[name]) for name in ("initial", "realised", "fees", "funding"))),
            tuple(
                Position(row["symbol"], Decimal(row["amount"]), Decimal(row["cost"])) for row in self._rows(POSITIONS)
            ),
            {row["asset"]: Decimal(row["total"]) for row in self._rows(BALANCES)},
            {row["name"]: row["value"] for row in self._rows(SETTINGS)},
            tuple(order_of(row) for row in self._rows(ORDERS, ORDERS.c.order_id)),
            tuple(fill_of(row) for row in fills),
            frozenset(str(row["trade_id"]) for row in fills if row["is_maker"]),
            tuple(payment_of(row) for row in self._rows(FUNDING, FUNDING.c.time_ms, FUNDING.c.payment_id)),
        )

    def last_ids(self) -> tuple[int, int]:
        """The highest order and trade id ever given, over all runs: an exchange never gives one twice."""
        highest = (sa.func.max(ORDERS.c.order_id), sa.func.max(FILLS.c.trade_id))
        orders, fills = (self._connection.scalar(sa.select(one)) or 0 for one in highest)
        return orders, fills

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside are committed together, at the end of the outermost block; none of them on an error."""
        self._depth += 1
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        else:
            if self._depth == 1:
                self._connection.commit()
        finally:
            self._depth -= 1

    def save_order(self, order: Order) -> None:
        self._upsert(ORDERS, **order_row(order))

    def save_fill(self, fill: Fill, *, is_maker: bool) -> None:
        self._insert(FILLS, **fill_row(fill, is_maker=is_maker))

    def save_payment(self, payment: FundingPayment) -> None:
        self._insert(FUNDING, **payment_row(payment))

    def save_position(self, position: Position) -> None:
        if position.amount:
            self._upsert(POSITIONS, symbol=position.symbol, amount=str(position.amount), cost=str(position.cost))
        else:
            self._execute(_DROP_POSITION, {"at_run": self.run, "at_symbol": position.symbol})

    def save_totals(self, totals: Totals) -> None:
        values = {name: str(getattr(totals, name)) for name in ("realised", "fees", "funding")}
        self._execute(_SET_TOTALS, {"at_run": self.run, **values})

    def save_balance(self, asset: str, total: Decimal) -> None:
        self._upsert(BALANCES, asset=asset, total=str(total))

    def save_setting(self, name: str, value: str) -> None:
        self._upsert(SETTINGS, name=name, value=value)

    def save_market_time(self, market_ms: int, *, ended: bool) -> None:
        self._execute(_SET_TIME, {"at_run": self.run, "market_ms": market_ms, "ended": ended})
        self._ended = ended

    def fault_counts(self) -> dict[int, tuple[int, int]]:
        return {row["fault"]: (row["calls"], row["fired"]) for row in self._rows(FAULTS)}

    def save_fault_count(self, index: int, calls: int, fired: int) -> None:
        with self.transaction():
            self._upsert(FAULTS, fault=index, calls=calls, fired=fired)

    def close(self) -> None:
        """May be called again."""
        self._connection.close()
        self._engine.dispose()

    def _prepare(self) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
            self._connection.exec_driver_sql(f"PRAGMA {pragma}")
        version = self._connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self._where} has schema version {version}, this program knows {SCHEMA_VERSION}; update the program"
            )
        # A new file has version 0 and no table yet; an older one is brought forward, step by step.
        for older in range(version, SCHEMA_VERSION) if version else ():
            for statement in UPGRADES[older]:
                self._connection.exec_driver_sql(statement)
        TABLES.create_all(self._connection)
        self._connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._connection.commit()

    def _last_run(self) -> tuple[int, bool]:
        row = self._connection.execute(sa.select(RUN).order_by(RUN.c.run.desc()).limit(1)).mappings().first()
        if row is None:
            return 0, False
        if not row["ended"] and row["fingerprint"] != self._fingerprint:
            raise StoreError(
                f"{self._where} holds an unfinished run of another market ({row['fingerprint']}); wanted "
                f"{self._fingerprint}. Finish that run with its own config, or move the file away"
            )
        return row["run"], row["ended"]

    def _rows(self, table: sa.Table, *order: sa.Column) -> list[Any]:
        query = sa.select(table).where(table.c.run == self.run).order_by(*order)
        return list(self._connection.execute(query).mappings())

    def _insert(self, table: sa.Table, **values: Any) -> None:
        self._execute(_INSERTS[table.name], {"run": self.run, **values})

    def _upsert(self, table: sa.Table, **values: Any) -> None:
        self._execute(_REPLACES[table.name], {"run": self.run, **values})

    def _execute(self, statement: sa.Executable, values: dict[str, Any]) -> None:
        if not self._depth:
            raise StoreError("a change outside a transaction")
        self._connection.execute(statement, values)


_INSERTS = {table.name: table.insert() for table in TABLES.tables.values()}
_REPLACES = {table.name: table.insert().prefix_with("OR REPLACE") for table in TABLES.tables.values()}
_SET_TIME = RUN.update().where(RUN.c.run == sa.bindparam("at_run"))
_SET_TIME = _SET_TIME.values(market_ms=sa.bindparam("market_ms"), ended=sa.bindparam("ended"))
_SET_TOTALS = ACCOUNT.update().where(ACCOUNT.c.run == sa.bindparam("at_run"))
_SET_TOTALS = _SET_TOTALS.values({name: sa.bindparam(name) for name in ("realised", "fees", "funding")})
_DROP_POSITION = POSITIONS.delete().where(
    POSITIONS.c.run == sa.bindparam("at_run"), POSITIONS.c.symbol == sa.bindparam("at_symbol")
)
