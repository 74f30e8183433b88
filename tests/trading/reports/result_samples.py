"""A sample result for the tests of files, summary and plot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.trading.journal.journal_samples import START
from trading.records import LegRecord, OpenRecord, RefusalRecord, RunResult, TradeRecord

HOUR = timedelta(hours=1)


def sample_leg(symbol: str, quantity: str, entry: str, exit_price: str | None, **changes: Any) -> LegRecord:
    last = Decimal(exit_price or entry)
    leg = LegRecord(
        symbol=symbol,
        quantity=Decimal(quantity),
        entry_price=Decimal(entry),
        exit_price=None if exit_price is None else Decimal(exit_price),
        pnl_price=Decimal(quantity) * (last - Decimal(entry)),
        fees=-abs(Decimal(quantity)) * (Decimal(entry) + last) * Decimal("0.0005"),
        funding=Decimal("0.0123"),
        slippage=Decimal("-0.31"),
    )
    return replace(leg, **changes)


def sample_trade(number: int, *, gain: int = 3, **changes: Any) -> TradeRecord:
    """Entered at hour ``5 * number``, left three hours later; the price of leg A moves by ``gain``."""
    entry = START + 5 * number * HOUR
    legs = (
        sample_leg("ETHUSDT", "1.5", "1800.1", f"{1800 + gain}.1"),
        sample_leg("BTCUSDT", "-0.05", "30000.7", "30001.9"),
    )
    trade = TradeRecord(
        pair_id="ETH_BTC",
        direction="long",
        entry_time=entry,
        exit_time=entry + 3 * HOUR,
        entry_z=-2.1,
        exit_z=-0.4,
        exit_reason="reversion",
        in_formation=False,
        legs=legs,
        legging_cost=Decimal("-0.05"),
    )
    return replace(trade, **changes)


def sample_result(**changes: Any) -> RunResult:
    trades = (
        sample_trade(1),
        sample_trade(0, gain=-4, exit_reason="stop", in_formation=True),
        sample_trade(2, pair_id="SOL_ADA", gain=8),
    )
    opened = OpenRecord("ETH_BTC", "short", START + 17 * HOUR, (sample_leg("ETHUSDT", "-1", "1800", None),), Decimal(2))
    end = Decimal(10_000) + sum((trade.pnl for trade in trades), Decimal(0)) + opened.unrealised
    curve = [10_000.0, 10_010.0, 9_990.0, 10_005.0, float(end)]
    result = RunResult(
        config="0001.json",
        mode="backtest",
        bars=20,
        start=START,
        end=START + 20 * HOUR,
        bar_hours=1.0,
        equity_start=Decimal(10_000),
        equity_end=end,
        trades=trades,
        open=(opened,),
        refused=(
            RefusalRecord(START + HOUR, "ETH_BTC", ("max_exposure",)),
            RefusalRecord(START + 2 * HOUR, "SOL_ADA", ("max_exposure", "max_daily_trades")),
        ),
        equity=tuple((START + (4 * i + 4) * HOUR, value) for i, value in enumerate(curve)),
        bars_in_position=9,
        turnover_notional=Decimal("25000"),
        signals=8,
        notes=("funding: 3 settlements from the series, 2 from the constant 0.0001",),
        risk_trips=((START + 9 * HOUR, "max_daily_loss"),),
    )
    return replace(result, **changes)


def empty_result() -> RunResult:
    return sample_result(
        bars=0,
        start=None,
        end=None,
        equity_end=Decimal(10_000),
        trades=(),
        open=(),
        refused=(),
        equity=(),
        bars_in_position=0,
        turnover_notional=Decimal(0),
        signals=0,
        notes=(),
        risk_trips=(),
    )
