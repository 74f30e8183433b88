"""What a raw reply proves. A list of codes says "it did not happen"; a reply that validates says "it did"; everything
else may be either, and is asked about, never sent again.

The lists hold codes that Binance documents as decided before an order reaches the book.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ccxt_bt_bridge.refusals import reason_of
from ccxt_bt_bridge.wire import Reply
from ccxt_bt_bridge.words import (
    Ambiguous,
    Cancelled,
    CancelOutcome,
    CreateOutcome,
    Found,
    NotCancelled,
    NotPlaced,
    OrderReport,
    OrderStatus,
    Placed,
    Unknown,
)

# the request itself was refused: key, signature, time stamp, form, or too many of them
REFUSED_REQUEST = frozenset(
    {"-1002", "-1003", "-1015", "-1020", "-1021", "-1022", "-2014", "-2015"}
    | {f"-{code}" for code in (*range(1099, 1107), 1108, 1109, *range(1111, 1122), 1125, 1127, 1128, 1130, 1131)}
)
# the order was refused: filters, funds, rules
REFUSED_ORDER = {
    "spot": frozenset({"-1013", "-1014", "-1165", "-2010", "-2021", "-2026"}),
    "usdm": frozenset(
        {"-1013", "-1014", "-2010", "-2018", "-2019", "-2020", "-2021", "-2022", "-2023", "-2024", "-2025", "-2026"}
        | {"-2027", "-2028", "-5021", "-5022", "-5028"}
        | {f"-{code}" for code in (*range(4001, 4006), *range(4012, 4018), 4023, 4029, 4030, 4044, 4045, 4061, 4087)}
        | {f"-{code}" for code in (4088, 4118, 4131, 4140, 4141, 4164, 4183, 4184, 4192, 4400)}
    ),
}
# 503 with this one code: the exchange's overload protection turned it away at the door
THROTTLED = "-1008"
DUPLICATE_CODES = frozenset({"-4116", "-4115"})
NO_SUCH_ORDER = "-2013"
UNKNOWN_TO_CANCEL = "-2011"

Reader = Callable[[object], OrderReport]


def is_duplicate(reply: Reply) -> bool:
    """The client order id exists already: an order of this id was placed, now or before."""
    is_named = reply.code == "-2010" and "duplicate" in reply.message.lower()
    return reply.status >= 400 and (reply.code in DUPLICATE_CODES or is_named)


def create_outcome(reply: Reply, kind: str, read: Reader, doubt: Callable[[OrderReport], str | None]) -> CreateOutcome:
    """``read`` makes a report of the answer or raises ``ValueError``; ``doubt`` says why it is another order's."""
    if not reply.was_sent:
        return NotPlaced("local", reply.problem)
    if is_duplicate(reply):
        return Ambiguous(f"an order of this id exists ({reply})")
    if _is_refusal(reply, REFUSED_REQUEST | REFUSED_ORDER[kind]):
        return NotPlaced(str(reply.code), reason_of(reply))
    report = _validated(reply, read)
    if isinstance(report, str):
        return Ambiguous(report)
    problem = doubt(report)
    return Ambiguous(problem) if problem else Placed(report)


def cancel_outcome(reply: Reply, cid: str, read: Reader) -> CancelOutcome:
    """``NotCancelled`` with -2011 says that nothing of this id is open: it may have been filled."""
    if not reply.was_sent:
        return NotCancelled("local", reply.problem)
    if _is_refusal(reply, REFUSED_REQUEST | {UNKNOWN_TO_CANCEL, NO_SUCH_ORDER}):
        return NotCancelled(str(reply.code), reason_of(reply))
    report = _validated(reply, read)
    if isinstance(report, str):
        return Ambiguous(report)
    if report.client_order_id != cid:
        return Ambiguous("the answer is about another client order id")
    if report.status is not OrderStatus.CANCELED:
        return Ambiguous(f"the answer says that the order is {report.status.value}")
    return Cancelled(report)


def cancelled_or_not(report: OrderReport) -> CancelOutcome:
    """Of an order looked up after its cancellation was taken."""
    if report.status is OrderStatus.CANCELED:
        return Cancelled(report)
    return Ambiguous(f"the order is {report.status.value} after its cancellation was taken")


def triggered_outcome(reply: Reply, stop: OrderReport, read: Reader) -> Found | Unknown:
    """A stop that became an order: that order's state, under the stop's client order id."""
    report = _validated(reply, read)
    if isinstance(report, str):
        return Unknown(f"the stop has triggered, and the order that it became: {report}")
    return Found(replace(report, client_order_id=stop.client_order_id))


def lookup_outcome(reply: Reply, cid: str, read: Reader) -> Found | Unknown | None:
    """None: the exchange says that it knows no such order, which proves nothing before the horizon."""
    if reply.status == 400 and reply.code == NO_SUCH_ORDER:
        return None
    report = _validated(reply, read)
    if isinstance(report, str):
        return Unknown(report)
    return Found(report) if report.client_order_id == cid else Unknown("the answer is about another client order id")


def _is_refusal(reply: Reply, codes: frozenset[str]) -> bool:
    if reply.status == 503 and reply.code == THROTTLED:
        return True
    return 400 <= reply.status < 500 and reply.code in codes


def _validated(reply: Reply, read: Reader) -> OrderReport | str:
    """The report, or why there is none."""
    if reply.status != 200:
        return str(reply)
    try:
        return read(reply.data)
    except (ValueError, TypeError, ArithmeticError) as error:
        return f"the answer is not an order: {error}"
