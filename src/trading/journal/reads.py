"""Reading a journal: what the writer and an onlooker have in common, and the onlooker."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Row, Select, func, select
from sqlalchemy.exc import DatabaseError

from ccxt_bt_bridge.words import Fill, FundingPayment, OrderReport, OrderStatus, Side
from pairs.words import PairState
from trading.journal import schema as tables
from trading.journal.errors import JournalError, JournalOlder, JournalRefused
from trading.journal.file import BUSY_TIMEOUT_MS, Meta, connect, inspect
from trading.journal.words import Intent, IntentState, Run, StoredPosition, WireOutcome
from trading.records import Decision, LegRecord, RefusalRecord, TradeRecord


class JournalReads:
    """Questions to a journal. Lists are in the order of writing; ``run`` limits an answer to one run."""

    def __init__(self, connection: Connection, meta: Meta) -> None:
        self._connection = connection
        self._turn = threading.RLock()
        self.meta = meta

    @property
    def epoch(self) -> str:
        """The nonce of this opening of the file, for client order ids."""
        return self.meta.epoch

    def intents_of(self, pair_id: str, ref: str, run: int | None = None) -> tuple[Intent, ...]:
        """A later run of a simulated market plays the same times, and so uses the same references, again."""
        mine = (tables.intents.c.pair_id == pair_id, tables.intents.c.ref == ref)
        return tuple(_intent(row) for row in self._rows(_of_run(tables.intents, run).where(*mine)))

    def outcomes_of(self, client_order_ids: Sequence[str]) -> tuple[WireOutcome, ...]:
        """What became of these orders on the wire, step by step."""
        table = tables.wire_outcomes
        wanted = select(table).where(table.c.client_order_id.in_(client_order_ids)).order_by(table.c.id)
        return tuple(
            WireOutcome(row.client_order_id, IntentState(row.state), row.text, row.time_ms)
            for row in self._rows(wanted)
        )

    def has_intent(self, client_order_id: str) -> bool:
        wanted = select(tables.intents.c.id).where(tables.intents.c.client_order_id == client_order_id)
        return bool(self._rows(wanted))

    def unresolved_intents(self) -> tuple[Intent, ...]:
        """Those whose order may still be working or unknown: not NOT_PLACED and not DONE."""
        terminal = [state.value for state in IntentState if state.is_terminal]
        wanted = select(tables.intents).where(tables.intents.c.state.not_in(terminal))
        return tuple(_intent(row) for row in self._rows(wanted.order_by(tables.intents.c.id)))

    def orders_of(self, pair_id: str, ref: str) -> tuple[OrderReport, ...]:
        wanted = select(tables.orders).where(tables.orders.c.pair_id == pair_id, tables.orders.c.ref == ref)
        return tuple(_order(row) for row in self._rows(wanted.order_by(tables.orders.c.id)))

    def fills_of(self, pair_id: str, ref: str, run: int | None = None) -> tuple[Fill, ...]:
        mine = (tables.fills.c.pair_id == pair_id, tables.fills.c.ref == ref)
        return tuple(_fill(row) for row in self._rows(_of_run(tables.fills, run).where(*mine)))

    def fills_of_run(self, run: int | None) -> tuple[Fill, ...]:
        return tuple(_fill(row) for row in self._rows(_of_run(tables.fills, run)))

    def fills_by_ref(self, run: int | None) -> dict[tuple[str, str], list[Fill]]:
        """By pair and reference of the entry."""
        found: dict[tuple[str, str], list[Fill]] = {}
        for row in self._rows(_of_run(tables.fills, run)):
            found.setdefault((row.pair_id, row.ref), []).append(_fill(row))
        return found

    def reference_price(self, client_order_id: str) -> Decimal | None:
        """The price that an order was decided on; None for an order that is not here."""
        wanted = select(tables.intents.c.reference_price).where(tables.intents.c.client_order_id == client_order_id)
        rows = self._rows(wanted)
        return Decimal(repr(rows[0][0])) if rows else None

    def has_fill(self, fill: Fill) -> bool:
        """True when this fill (symbol and trade id) has been booked."""
        same = (tables.fills.c.symbol == fill.symbol, tables.fills.c.trade_id == fill.trade_id)
        return bool(self._rows(select(tables.fills.c.id).where(*same)))

    def has_funding(self, payment: FundingPayment) -> bool:
        """True when this payment has been shared out."""
        same = (tables.funding.c.symbol == payment.symbol, tables.funding.c.payment_id == payment.payment_id)
        return bool(self._rows(select(tables.funding.c.id).where(*same)))

    def last_fills_ms(self) -> dict[str, int]:
        """The time of the newest fill by symbol, from which on the exchange is asked for more."""
        fills = tables.fills.c
        newest = func.max(fills.time_ms).label("newest")
        return {row.symbol: row.newest for row in self._rows(select(fills.symbol, newest).group_by(fills.symbol))}

    def ledger(self) -> dict[str, Decimal]:
        """Signed quantity by symbol: the sum of every fill."""
        amounts: dict[str, Decimal] = {}
        for row in self._rows(select(tables.fills.c.symbol, tables.fills.c.side, tables.fills.c.amount)):
            amounts[row.symbol] = amounts.get(row.symbol, Decimal(0)) + row.amount * Side(row.side).sign
        return amounts

    def funding_of(self, pair_id: str, run: int | None = None) -> tuple[FundingPayment, ...]:
        """The pair's share of each payment."""
        wanted = _of_run(tables.funding, run).where(tables.funding.c.pair_id == pair_id)
        return tuple(_funding(row) for row in self._rows(wanted))

    def positions(self) -> dict[str, StoredPosition]:
        """Every pair that was ever saved, by its id, flat ones too."""
        rows = self._rows(select(tables.pair_positions).order_by(tables.pair_positions.c.pair_id))
        return {row.pair_id: StoredPosition(row.pair_id, PairState(row.state), row.payload) for row in rows}

    def trades(self, run: int | None = None) -> tuple[TradeRecord, ...]:
        return tuple(_trade(row) for row in self._rows(_of_run(tables.trades, run)))

    def decisions(self, run: int | None = None) -> tuple[Decision, ...]:
        return tuple(_decision(row) for row in self._rows(_of_run(tables.decisions, run)))

    def decisions_between(
        self, pair_id: str, since: datetime, until: datetime, run: int | None = None
    ) -> tuple[Decision, ...]:
        """Of one pair, both times included."""
        time = tables.decisions.c.time
        wanted = _of_run(tables.decisions, run).where(tables.decisions.c.pair_id == pair_id)
        return tuple(_decision(row) for row in self._rows(wanted.where(time >= since, time <= until)))

    def entry_decisions(self, run: int | None = None) -> tuple[Decision, ...]:
        """Those to enter."""
        wanted = _of_run(tables.decisions, run).where(tables.decisions.c.answer.startswith("enter"))
        return tuple(_decision(row) for row in self._rows(wanted))

    def last_decisions(self) -> dict[str, Decision]:
        """The newest decision of each pair."""
        newest = select(func.max(tables.decisions.c.id)).group_by(tables.decisions.c.pair_id)
        rows = self._rows(select(tables.decisions).where(tables.decisions.c.id.in_(newest)))
        return {row.pair_id: _decision(row) for row in rows}

    def recent_zscores(
        self, pair_id: str, *, run: int, since: datetime | None, most: int
    ) -> tuple[tuple[datetime, float], ...]:
        """Time and z of a pair's newest bars that have one, in order: ``most`` of them, or all from ``since`` on."""
        table = tables.decisions
        mine = (table.c.pair_id == pair_id, table.c.run == run, table.c.zscore.is_not(None))
        wanted = select(table.c.time, table.c.zscore).where(*mine).order_by(table.c.id.desc())
        newest = list(self._rows(wanted.limit(most)))
        if since is not None and newest and newest[-1].time > since:
            newest = list(self._rows(wanted.where(table.c.time >= since)))
        return tuple((row.time, row.zscore) for row in reversed(newest))

    def refusals(self, run: int | None = None) -> tuple[RefusalRecord, ...]:
        rows = self._rows(_of_run(tables.refusals, run))
        return tuple(RefusalRecord(row.time, row.pair_id, tuple(row.reasons)) for row in rows)

    def refusals_at(self, pair_id: str, time: datetime, run: int | None = None) -> tuple[RefusalRecord, ...]:
        """What was refused a pair on one bar."""
        table = tables.refusals
        rows = self._rows(_of_run(table, run).where(table.c.pair_id == pair_id, table.c.time == time))
        return tuple(RefusalRecord(row.time, row.pair_id, tuple(row.reasons)) for row in rows)

    def equity(self, run: int | None = None, *, since: datetime | None = None) -> tuple[tuple[datetime, float], ...]:
        """One value a moment: the last that was written."""
        wanted = _of_run(tables.equity, run)
        if since is not None:
            wanted = wanted.where(tables.equity.c.time >= since)
        last = {(row.run, row.time): row.equity for row in self._rows(wanted)}
        return tuple((time, equity) for (_, time), equity in last.items())

    def risk_state(self, key: str) -> dict[str, Any] | None:
        rows = self._rows(select(tables.risk_state.c.value).where(tables.risk_state.c.key == key))
        return rows[0].value if rows else None

    def runs(self) -> tuple[Run, ...]:
        rows = self._rows(select(tables.runs).order_by(tables.runs.c.number))
        return tuple(Run(**row._mapping) for row in rows)

    def _rows(self, wanted: Select[Any]) -> Sequence[Row[Any]]:
        try:
            with self._turn:
                return self._connection.execute(wanted).all()
        except DatabaseError as error:
            raise JournalError(f"the journal could not be read ({error.orig})") from None
        except (ValueError, ArithmeticError, TypeError) as error:  # a cell that is no JSON, time or decimal
            raise JournalError(f"the journal has a damaged row ({error}): restore a copy") from None


class JournalReader(JournalReads):
    """An onlooker's view of a journal, also of a running bot's: takes no lock and cannot write."""

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Raises ``JournalRefused`` when there is no file, or none that this program can read as it is."""
        path = Path(path)
        if not path.exists():
            raise JournalRefused(f"there is no journal at {path}: the bot has not run here yet")
        found = inspect(path)
        if found.schema_version != tables.SCHEMA_VERSION:
            raise JournalOlder(
                f"{path} has the older schema {found.schema_version}: start the bot once, which migrates it"
            )
        pragmas = (f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}", "PRAGMA query_only = ON")
        return cls(connect(path, access="ro", pragmas=pragmas), found)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _of_run(table: Any, run: int | None) -> Select[Any]:
    wanted = select(table).order_by(table.c.id)
    return wanted if run is None else wanted.where(table.c.run == run)


def _intent(row: Row[Any]) -> Intent:
    return Intent(
        client_order_id=row.client_order_id,
        pair_id=row.pair_id,
        ref=row.ref,
        action=row.action,
        leg=row.leg,
        symbol=row.symbol,
        side=Side(row.side),
        amount=row.amount,
        reduce_only=row.reduce_only,
        state=IntentState(row.state),
        filled=row.filled,
        average=row.average,
        created_ms=row.created_ms,
        reference_price=row.reference_price,
    )


def _order(row: Row[Any]) -> OrderReport:
    return OrderReport(
        client_order_id=row.client_order_id,
        order_id=row.order_id,
        symbol=row.symbol,
        side=Side(row.side),
        status=OrderStatus(row.status),
        amount=row.amount,
        filled=row.filled,
        average=row.average,
        time_ms=row.time_ms,
    )


def _fill(row: Row[Any]) -> Fill:
    return Fill(
        trade_id=row.trade_id,
        order_id=row.order_id,
        client_order_id=row.client_order_id,
        symbol=row.symbol,
        side=Side(row.side),
        amount=row.amount,
        price=row.price,
        fee=row.fee,
        time_ms=row.time_ms,
        base_fee=row.base_fee,
    )


def _funding(row: Row[Any]) -> FundingPayment:
    return FundingPayment(row.payment_id, row.symbol, row.amount, row.rate, row.mark_price, row.time_ms)


def _trade(row: Row[Any]) -> TradeRecord:
    return TradeRecord(
        pair_id=row.pair_id,
        direction=row.direction,
        entry_time=row.entry_time,
        exit_time=row.exit_time,
        entry_z=row.entry_z,
        exit_z=row.exit_z,
        exit_reason=row.exit_reason,
        in_formation=row.in_formation,
        legs=tuple(_leg(leg) for leg in row.legs),
        legging_cost=row.legging_cost,
    )


def _leg(leg: dict[str, Any]) -> LegRecord:
    amounts: dict[str, Any] = {
        name: None if value is None else Decimal(value) for name, value in leg.items() if name != "symbol"
    }
    return LegRecord(symbol=leg["symbol"], **amounts)


def _decision(row: Row[Any]) -> Decision:
    return Decision(row.time, row.pair_id, row.spread, row.zscore, row.hedge_ratio, row.rule, row.answer, row.reason)
