"""The tables of the simulated exchange's file, and how its values become rows and rows values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from brokers.simulated.orders import Order
from ccxt_bt_bridge.words import Fill, FundingPayment, OrderRequest, OrderStatus, Side

SCHEMA_VERSION = 2
# What a file of an older version lacks, by that version.
UPGRADES = {
    1: (
        "ALTER TABLE orders ADD COLUMN type TEXT NOT NULL DEFAULT 'market'",
        "ALTER TABLE orders ADD COLUMN price TEXT",
        "ALTER TABLE orders ADD COLUMN trigger_price TEXT",
        "ALTER TABLE orders ADD COLUMN time_in_force TEXT NOT NULL DEFAULT 'GTC'",
        "ALTER TABLE orders ADD COLUMN is_triggered BOOLEAN NOT NULL DEFAULT 0",
        "ALTER TABLE orders ADD COLUMN created_ms BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE fills ADD COLUMN base_fee TEXT NOT NULL DEFAULT '0'",
        "ALTER TABLE fills ADD COLUMN is_maker BOOLEAN NOT NULL DEFAULT 0",
    ),
}
TABLES = sa.MetaData()


def _table(name: str, *columns: sa.Column) -> sa.Table:
    return sa.Table(name, TABLES, sa.Column("run", sa.Integer, primary_key=True, autoincrement=False), *columns)


def _texts(*names: str) -> list[sa.Column]:
    """Decimals are kept as text: SQLite's numbers are floats."""
    return [sa.Column(name, sa.Text) for name in names]


RUN = _table("run", *_texts("fingerprint"), sa.Column("market_ms", sa.BigInteger), sa.Column("ended", sa.Boolean))
ACCOUNT = _table("account", *_texts("initial", "realised", "fees", "funding"))
POSITIONS = _table("positions", sa.Column("symbol", sa.Text, primary_key=True), *_texts("amount", "cost"))
BALANCES = _table("balances", sa.Column("asset", sa.Text, primary_key=True), *_texts("total"))
SETTINGS = _table("settings", sa.Column("name", sa.Text, primary_key=True), *_texts("value"))
ORDERS = _table(
    "orders",
    sa.Column("order_id", sa.Integer, primary_key=True, autoincrement=False),
    *_texts("client_order_id", "symbol", "side", "status", "amount", "filled", "value"),
    *_texts("type", "price", "trigger_price", "time_in_force"),
    sa.Column("reduce_only", sa.Boolean),
    sa.Column("is_triggered", sa.Boolean),
    sa.Column("created_ms", sa.BigInteger),
    sa.Column("time_ms", sa.BigInteger),
)
FILLS = _table(
    "fills",
    sa.Column("trade_id", sa.Integer, primary_key=True, autoincrement=False),
    *_texts("order_id", "client_order_id", "symbol", "side", "amount", "price", "fee", "base_fee"),
    sa.Column("is_maker", sa.Boolean),
    sa.Column("time_ms", sa.BigInteger),
)
FUNDING = _table(
    "funding",
    sa.Column("payment_id", sa.Text, primary_key=True),
    *_texts("symbol", "amount", "rate", "mark_price"),
    sa.Column("time_ms", sa.BigInteger),
)
FAULTS = _table(
    "faults",
    sa.Column("fault", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("calls", sa.Integer),
    sa.Column("fired", sa.Integer),
)


def order_row(order: Order) -> dict[str, Any]:
    request = order.request
    same = ("client_order_id", "symbol", "type", "time_in_force", "reduce_only")
    return {
        **{name: getattr(request, name) for name in same},
        "order_id": order.order_id,
        "side": request.side.value,
        "status": order.status.value,
        "amount": str(request.amount),
        "price": _text(request.price),
        "trigger_price": _text(request.trigger_price),
        "filled": str(order.filled),
        "value": str(order.value),
        "is_triggered": order.is_triggered,
        "created_ms": order.created_ms,
        "time_ms": order.time_ms,
    }


def order_of(row: Any) -> Order:
    request = OrderRequest(
        row["client_order_id"],
        row["symbol"],
        Side(row["side"]),
        Decimal(row["amount"]),
        type=row["type"],
        price=_decimal(row["price"]),
        reduce_only=row["reduce_only"],
        trigger_price=_decimal(row["trigger_price"]),
        time_in_force=row["time_in_force"],
    )
    return Order(
        row["order_id"],
        request,
        row["created_ms"],
        row["time_ms"],
        OrderStatus(row["status"]),
        Decimal(row["filled"]),
        Decimal(row["value"]),
        row["is_triggered"],
    )


def fill_row(fill: Fill, *, is_maker: bool) -> dict[str, Any]:
    numbers = {name: str(getattr(fill, name)) for name in ("amount", "price", "fee", "base_fee")}
    same = {name: getattr(fill, name) for name in ("order_id", "client_order_id", "symbol", "time_ms")}
    return {"trade_id": int(fill.trade_id), "side": fill.side.value, "is_maker": is_maker, **same, **numbers}


def fill_of(row: Any) -> Fill:
    ids = (str(row["trade_id"]), row["order_id"], row["client_order_id"], row["symbol"])
    amount, price, fee, base_fee = (Decimal(row[name]) for name in ("amount", "price", "fee", "base_fee"))
    return Fill(*ids, Side(row["side"]), amount, price, fee, row["time_ms"], base_fee)


def payment_row(payment: FundingPayment) -> dict[str, Any]:
    numbers = {name: str(getattr(payment, name)) for name in ("amount", "rate", "mark_price")}
    return {**{name: getattr(payment, name) for name in ("payment_id", "symbol", "time_ms")}, **numbers}


def payment_of(row: Any) -> FundingPayment:
    amount, rate, mark = (Decimal(row[name]) for name in ("amount", "rate", "mark_price"))
    return FundingPayment(row["payment_id"], row["symbol"], amount, rate, mark, row["time_ms"])


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
