"""Balances, positions, trades and funding as Binance writes them. Readers raise ``ValueError`` for what they cannot
read: an unreadable account is never an empty one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.order_rows import Row, number
from ccxt_bt_bridge.words import Account, FundingPayment, Margin, PositionReport, Side


@dataclass(frozen=True, slots=True)
class TradeRow:
    """One own trade before its fee is converted. ``asset``: the coin that the fee was taken in."""

    trade_id: str
    order_id: str
    client_order_id: str
    market_id: str
    side: Side
    amount: Decimal
    price: Decimal
    commission: Decimal
    asset: str
    time_ms: int


def trade_row(row: Row) -> TradeRow:
    """From a REST answer, of either market; without the client order id, which it does not hold."""
    is_buy = row["isBuyer"] if "isBuyer" in row else row["side"] == "BUY"
    return TradeRow(
        str(row["id"]), str(row["orderId"]), "", str(row["symbol"]), Side.BUY if is_buy else Side.SELL,
        number(row, "qty"), number(row, "price"), number(row, "commission"), str(row["commissionAsset"]),
        int(row["time"]),
    )  # fmt: skip


def trade_of_event(event: Row, cid: str) -> TradeRow | None:
    """From an order event of the user stream; None when it tells of no trade."""
    trade_id, amount = event.get("t"), Decimal(str(event.get("l") or 0))
    if amount <= 0 or not isinstance(trade_id, int) or trade_id < 0:
        return None
    return TradeRow(
        str(trade_id), str(event["i"]), cid, str(event["s"]), Side(str(event["S"]).lower()), amount,
        number(event, "L"), Decimal(str(event.get("n") or 0)), str(event.get("N") or ""), int(event["T"]),
    )  # fmt: skip


def usdm_account(account: Row, positions: Any, *, quote: str, names: Mapping[str, str], time_ms: int) -> Account:
    """``names``: the caller's symbol by the exchange's id; others keep the id."""
    asset = next((row for row in account["assets"] if row["asset"] == quote), None)
    if asset is None or not isinstance(positions, list):
        raise ValueError(f"the account lists no {quote}")
    held = _merged(
        PositionReport(names.get(row["symbol"], row["symbol"]), number(row, "positionAmt"), number(row, "entryPrice"))
        for row in positions
    )
    return Account(
        time_ms, number(asset, "walletBalance"), held, number(asset, "availableBalance"), _margin(account, asset, quote)
    )


def _margin(account: Row, asset: Row, quote: str) -> Margin | None:
    """The totals are USDT's, or in multi-assets mode everything's; another quote has its own row."""
    try:
        if quote == "USDT":
            return Margin(number(account, "totalMarginBalance"), number(account, "totalMaintMargin"))
        return Margin(number(asset, "marginBalance"), number(asset, "maintMargin"))
    except ValueError:
        return None


def spot_account(account: Row, *, quote: str, bases: Mapping[str, str], time_ms: int) -> Account:
    """``bases``: the caller's symbol by the coin that it buys; other holdings are not positions."""
    balances = {row["asset"]: (number(row, "free"), number(row, "locked")) for row in account["balances"]}
    free, locked = balances.get(quote, (Decimal(0), Decimal(0)))
    held = _merged(
        PositionReport(name, sum(balances.get(base, ()), Decimal(0)), Decimal(0)) for base, name in bases.items()
    )
    return Account(time_ms, free + locked, held, free)


def merge_usdm(account: Account, event: Row, *, quote: str, names: Mapping[str, str], time_ms: int) -> Account:
    """The account after an ACCOUNT_UPDATE, which tells only what changed. What is free it does not say."""
    wallet = next((Decimal(b["wb"]) for b in event.get("B", []) if b["a"] == quote), account.wallet)
    changed = _merged(
        (PositionReport(names.get(p["s"], p["s"]), Decimal(p["pa"]), Decimal(p["ep"])) for p in event.get("P", [])),
        keep_flat=True,
    )
    touched = {position.symbol for position in changed}
    kept = [position for position in account.positions if position.symbol not in touched]
    held = tuple([*kept, *(position for position in changed if position.amount)])
    return Account(time_ms, wallet, held, None)


def merge_spot(account: Account, event: Row, *, quote: str, bases: Mapping[str, str], time_ms: int) -> Account:
    """The account after an outboundAccountPosition, which tells the balances that may have changed."""
    balances = {row["a"]: (Decimal(row["f"]), Decimal(row["l"])) for row in event.get("B", [])}
    positions = {position.symbol: position for position in account.positions}
    for base, name in bases.items():
        if base in balances:
            positions[name] = PositionReport(name, sum(balances[base], Decimal(0)), Decimal(0))
    held = tuple(position for position in positions.values() if position.amount)
    merged = replace(account, time_ms=time_ms, positions=held)
    if quote not in balances:
        return merged
    return replace(merged, wallet=sum(balances[quote], Decimal(0)), free=balances[quote][0])


def funding_payment(row: Row, name: str, rates: Mapping[int, tuple[Decimal, Decimal]]) -> FundingPayment:
    """``rates``: rate and mark price by time in minutes; a payment is booked seconds after its moment."""
    time_ms = int(row["time"])
    rate, mark_price = rates.get(time_ms // 60_000, (Decimal(0), Decimal(0)))
    payment_id = f"{row['symbol']}-{row['tranId']}"
    return FundingPayment(payment_id, name, number(row, "income"), rate, mark_price, time_ms)


def _merged(positions: Iterable[PositionReport], *, keep_flat: bool = False) -> tuple[PositionReport, ...]:
    """One position a symbol: in hedge mode the exchange lists three."""
    merged: dict[str, PositionReport] = {}
    for position in positions:
        former = merged.get(position.symbol)
        entry = position.entry_price if position.amount or former is None else former.entry_price
        amount = position.amount + (former.amount if former else Decimal(0))
        merged[position.symbol] = PositionReport(position.symbol, amount, entry)
    return tuple(position for position in merged.values() if position.amount or keep_flat)
