"""Sample values for the journal's tests."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ccxt_bt_bridge.words import Fill, Side
from pairs.words import Direction, LegPosition, PairPosition, PairState, SpreadStatistics
from trading.journal.words import Intent
from trading.journal.writer import Journal
from trading.records import Decision, LegRecord, TradeRecord

START = datetime(2024, 1, 1, tzinfo=UTC)


def open_journal(path: Path, **changes: Any) -> Journal:
    owner = {"bot_id": "0001", "mode": "mock", "account": "mock-account"}
    return Journal.open(path, **(owner | changes))


def cannot_look_at(path: Path, patch: pytest.MonkeyPatch, number: int = errno.EACCES) -> None:
    """Whoever asks which file is there is refused; what is open stays so."""
    real = os.stat

    def refusing(asked: Any, **terms: Any) -> os.stat_result:
        if asked == path:
            raise OSError(number, os.strerror(number), str(path))
        return real(asked, **terms)

    patch.setattr(os, "stat", refusing)


def an_intent(number: int = 1, **changes: Any) -> Intent:
    intent = Intent(
        client_order_id=f"0001-abcdef-{number}-0e",
        pair_id="ETH_BTC",
        ref="r1",
        action="enter",
        leg=0,
        symbol="ETHUSDT",
        side=Side.BUY,
        amount=Decimal("1.230"),
        created_ms=1_704_067_200_000,
        reference_price=2281.87,
    )
    return replace(intent, **changes)


def a_fill(number: int = 1, **changes: Any) -> Fill:
    fill = Fill(
        trade_id=str(number),
        order_id="77",
        client_order_id="0001-abcdef-1-0e",
        symbol="ETHUSDT",
        side=Side.BUY,
        amount=Decimal("0.1"),
        price=Decimal("2281.87"),
        fee=Decimal("0.11409350"),
        time_ms=1_704_067_200_000 + number,
    )
    return replace(fill, **changes)


def a_decision(number: int = 0, **changes: Any) -> Decision:
    time = START + timedelta(hours=number)
    decision = Decision(time, "ETH_BTC", 0.01, 1.5, 0.85, "ZScoreEntryMixin", "no", "inside")
    return replace(decision, **changes)


def a_leg(symbol: str = "ETHUSDT", **changes: Any) -> LegRecord:
    leg = LegRecord(
        symbol=symbol,
        quantity=Decimal("1.5"),
        entry_price=Decimal("1800.01"),
        exit_price=Decimal("1850.03"),
        pnl_price=Decimal("75.03"),
        fees=Decimal("-2.7375300"),
        funding=Decimal("0.1"),
        slippage=Decimal("-0.3"),
    )
    return replace(leg, **changes)


def a_trade(number: int = 0, **changes: Any) -> TradeRecord:
    entry = START + timedelta(hours=10 * number)
    other = a_leg("BTCUSDT", quantity=Decimal("-0.05"), pnl_price=Decimal("-12.5"), fees=Decimal("-2.1"))
    trade = TradeRecord(
        pair_id="ETH_BTC",
        direction="long",
        entry_time=entry,
        exit_time=entry + timedelta(hours=5),
        entry_z=-2.1,
        exit_z=-0.4,
        exit_reason="reversion",
        in_formation=False,
        legs=(a_leg(), other),
        legging_cost=Decimal("-0.5"),
    )
    return replace(trade, **changes)


def a_position(**changes: Any) -> PairPosition:
    position = PairPosition(
        pair_id="ETH_BTC",
        state=PairState.OPEN,
        direction=Direction.SHORT,
        legs=(
            LegPosition("ETHUSDT", Decimal("-1.230"), Decimal("2281.87")),
            LegPosition("BTCUSDT", Decimal("0.055"), Decimal("42283.58")),
        ),
        entry_time=START,
        entry_z=2.0731,
        statistics=SpreadStatistics(0.85, 0.1, 0.02, 0.1 + 0.2, "log"),
        half_life_bars=24.5,
        gross_notional=5132.1,
    )
    return replace(position, **changes)
