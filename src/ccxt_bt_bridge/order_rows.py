"""Orders as Binance writes them, read with suspicion: what does not validate is no order.

Every reader raises ``ValueError`` for a row that lacks a field, or holds a number that cannot be.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from ccxt_bt_bridge.words import OrderReport, OrderRequest, OrderStatus, Side

Row = dict[str, Any]

STATUSES = {
    "NEW": OrderStatus.OPEN,
    "PENDING_NEW": OrderStatus.OPEN,
    "PARTIALLY_FILLED": OrderStatus.OPEN,
    "PENDING_CANCEL": OrderStatus.OPEN,
    "FILLED": OrderStatus.CLOSED,
    "CANCELED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    # stops of USD-M, before and after their trigger
    "TRIGGERING": OrderStatus.OPEN,
    "TRIGGERED": OrderStatus.OPEN,
    "FINISHED": OrderStatus.CLOSED,
}


def order_report(row: Any, name: str) -> OrderReport:
    """From a REST answer, of either market. ``name``: the symbol as the caller spells it."""
    row = _checked(row)
    # Spot names the cancellation's own id first.
    cid = row.get("origClientOrderId") or _text(row, "clientOrderId")
    filled = number(row, "executedQty")
    cost = row.get("cummulativeQuoteQty")
    average = number(row, "avgPrice") if cost is None else (Decimal(str(cost)) / filled if filled else Decimal(0))
    time_ms = row.get("updateTime") or row.get("transactTime") or row.get("time") or 0
    return _report(cid, row, name, _text(row, "status"), number(row, "origQty"), filled, average, time_ms)


def order_event(event: Row, name: str) -> OrderReport:
    """From the user stream: the ``o`` of ORDER_TRADE_UPDATE, or an executionReport."""
    event = _checked(event)
    original = event.get("C")
    cid = original if original and event.get("x") == "CANCELED" else _text(event, "c")
    filled = number(event, "z")
    average = Decimal(str(event["ap"])) if "ap" in event else (number(event, "Z") / filled if filled else Decimal(0))
    row = {"orderId": event.get("i"), "side": event.get("S")}
    return _report(cid, row, name, _text(event, "X"), number(event, "q"), filled, average, event.get("T") or 0)


def stop_report(row: Any, name: str) -> OrderReport:
    """From a REST answer about a USD-M stop, whose fills belong to another order once it has triggered."""
    row = _checked(row)
    order = {"orderId": row.get("algoId"), "side": row.get("side")}
    time_ms = row.get("updateTime") or row.get("createTime") or 0
    cid, status, amount = _text(row, "clientAlgoId"), _text(row, "algoStatus"), number(row, "quantity")
    return _report(cid, order, name, status, amount, Decimal(0), Decimal(0), time_ms)


def stop_event(event: Row, name: str) -> OrderReport:
    """From the ``o`` of ALGO_UPDATE."""
    event = _checked(event)
    order = {"orderId": event.get("aid"), "side": event.get("S")}
    filled, average = Decimal(str(event.get("aq") or 0)), Decimal(str(event.get("ap") or 0))
    cid, status, amount = _text(event, "caid"), _text(event, "X"), number(event, "q")
    return _report(cid, order, name, status, amount, filled, average, event.get("T") or 0)


def fits(report: OrderReport, row: Row, request: OrderRequest, market_id: str) -> str | None:
    """Why this is not the order that was sent, or None."""
    if report.client_order_id != request.client_order_id:
        return "the answer is about another client order id"
    if row.get("symbol") != market_id or report.side is not request.side:
        return "the answer is about another symbol or side"
    is_cut = request.reduce_only and report.amount < request.amount  # to the position that there is
    if report.amount != request.amount and not is_cut:
        return f"the answer is about an amount of {report.amount}"
    return None


def number(row: Row, name: str) -> Decimal:
    """A finite number."""
    try:
        value = Decimal(str(row[name]))
    except (KeyError, InvalidOperation):
        raise ValueError(f"no number {name}") from None
    if not value.is_finite():
        raise ValueError(f"{name} is {value}")
    return value


def _report(
    cid: str, row: Row, name: str, status: str, amount: Decimal, filled: Decimal, average: Decimal, time_ms: Any
) -> OrderReport:
    order_id, side = row.get("orderId"), str(row.get("side")).lower()
    if order_id in (None, "", 0) or isinstance(order_id, bool):
        raise ValueError("no order id")
    if status not in STATUSES:
        raise ValueError(f"unknown status {status}")
    if amount <= 0 or not 0 <= filled <= amount:
        raise ValueError(f"filled {filled} of {amount}")
    mean = average if filled and average > 0 else None
    return OrderReport(cid, str(order_id), name, Side(side), STATUSES[status], amount, filled, mean, int(time_ms))


def _checked(row: Any) -> Row:
    if not isinstance(row, dict):
        raise ValueError("no order in the answer")
    return row


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"no {name}")
    return value
