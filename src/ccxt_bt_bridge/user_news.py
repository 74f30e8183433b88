"""What of a stream of user events is new: a fill once by its trade id, an order's state never backwards."""

from __future__ import annotations

from collections import OrderedDict

from ccxt_bt_bridge.words import Account, Fill, FundingPayment, OrderReport

REMEMBERED = 20_000


class UserNews:
    """Pure. Remembers the last ``REMEMBERED`` fills and orders."""

    def __init__(self) -> None:
        self._fills: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._payments: OrderedDict[str, None] = OrderedDict()
        self._orders: OrderedDict[tuple[str, str], OrderReport] = OrderedDict()
        self._account: Account | None = None

    @property
    def open_orders(self) -> list[OrderReport]:
        """Those that were open when last heard of."""
        return [report for report in self._orders.values() if not report.status.is_done]

    def is_new_fill(self, fill: Fill) -> bool:
        """And remembers it."""
        return _is_first(self._fills, (fill.symbol, fill.trade_id))

    def is_new_payment(self, payment: FundingPayment) -> bool:
        """And remembers it."""
        return _is_first(self._payments, payment.payment_id)

    def is_new_order(self, report: OrderReport) -> bool:
        """And remembers it. A client order id may be used again: once its order is filled, or on another symbol."""
        key = (report.symbol, report.client_order_id)
        known = self._orders.get(key)
        if known is not None and known.order_id == report.order_id and not _is_further(report, known):
            return False
        self._orders[key] = report
        self._orders.move_to_end(key)
        if len(self._orders) > REMEMBERED:
            self._orders.popitem(last=False)
        return True

    def is_new_account(self, account: Account) -> bool:
        """And remembers it; the time alone is no news."""
        known, self._account = self._account, account
        if known is None:
            return True
        return (known.wallet, sorted(known.positions, key=str)) != (
            account.wallet, sorted(account.positions, key=str)
        )  # fmt: skip


def _is_further(report: OrderReport, known: OrderReport) -> bool:
    if known.status.is_done:
        return report.filled > known.filled
    return report.filled > known.filled or report.status is not known.status


def _is_first(seen: OrderedDict, key: object) -> bool:
    if key in seen:
        return False
    seen[key] = None
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)
    return True
