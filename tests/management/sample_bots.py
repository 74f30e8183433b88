"""Bots that left a journal, for whoever looks on: made by the real writer, not by a run."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from ccxt_bt_bridge.words import Side
from pairs.words import PairState
from tests.trading.journal.journal_samples import START, a_decision, a_fill, a_position, a_trade, an_intent
from trading.journal.words import IntentState, position_payload
from trading.journal.writer import Journal
from trading.kept_config import CONFIG_KEY
from trading.records import RefusalRecord
from trading.risk.state import GUARD_KEY, RiskState
from trading.status import STATUS_KEY
from trading.utc_text import utc_text

PAIR = "ETH_BTC"
SYMBOLS = ("ETHUSDT", "BTCUSDT")


def journal_of(state: Path, bot_id: str = "0001", mode: str = "mock") -> Journal:
    path = state / f"{bot_id}_{mode}.journal.sqlite"
    return Journal.open(path, bot_id=bot_id, mode=mode, account="sample")


def write_bot(
    state: Path, bot_id: str = "0001", mode: str = "mock", *, bars: int = 50, pair_id: str = PAIR, text: str = "plain"
) -> None:
    """An open pair, a closed trade, orders, decisions, refusals, status; ``text`` stands wherever a text can stand."""
    with journal_of(state, bot_id, mode) as journal:
        journal.start_run(started=START, config_sha256="0" * 64, code_version="0.1.0")
        write_rows(journal, bars=bars, pair_id=pair_id, text=text)
        journal.save_risk_state(CONFIG_KEY, config_row(state, pair_id, text))
        journal.save_risk_state(STATUS_KEY, status_row(bars, pair_id))
        guard = RiskState(peak_equity=10_100.0, equity=10_000.0, trips=[(utc_text(START), text)])
        journal.save_risk_state(GUARD_KEY, guard.snapshot())


def write_rows(journal: Journal, *, bars: int, pair_id: str = PAIR, text: str = "plain") -> None:
    for number in range(bars):
        zscore = 2.5 - number % 50 / 10.0
        journal.record_equity(START + timedelta(hours=number), 10_000.0 + number % 7)
        journal.record_decision(a_decision(number, pair_id=pair_id, zscore=zscore, reason=text, rule=text))
    journal.record_refusal(RefusalRecord(START, pair_id, (text, "max_exposure")))
    journal.save_trade(a_trade(0, pair_id=pair_id, exit_reason=text))
    for number, state in enumerate((IntentState.DONE, IntentState.NOT_PLACED, IntentState.DONE), 1):
        intent = an_intent(number, pair_id=pair_id, ref="r1")
        journal.write_intent(intent)
        filled = state is IntentState.DONE
        journal.update_intent(
            intent.client_order_id,
            state=state,
            filled=intent.amount if filled else None,
            average=Decimal("2284.15") if filled else None,
        )
        if filled:
            time_ms = intent.created_ms + 300 * number
            fill = a_fill(number, client_order_id=intent.client_order_id, side=Side.BUY, time_ms=time_ms)
            journal.record_fill(fill, pair_id, "r1")
    position = a_position(pair_id=pair_id)
    payload = position_payload(position, {leg.symbol: leg.quantity for leg in position.legs})
    journal.save_position(pair_id, PairState.OPEN, payload | {"ref": "r1"})
    journal.note_progress(bars=bars, signals=2)
    journal.flush()


def config_row(state: Path, pair_id: str = PAIR, text: str = "plain") -> dict[str, Any]:
    return {
        "name": "sample.json",
        "sha256": "0" * 64,
        "bar_hours": 1.0,
        "symbols": list(SYMBOLS),
        "pairs": {pair_id: list(SYMBOLS)},
        "levels": {pair_id: {"entry": 2.0, "exit": 0.5, "stop": 4.0}},
        "log_file": str(state / "sample.log"),
        "error_file": str(state / "errors.log"),
        "config": {"bot_id": "0001", "description": text},
    }


def status_row(bars: int = 50, pair_id: str = PAIR) -> dict[str, Any]:
    now = utc_text(START + timedelta(hours=max(bars - 1, 0)))
    return {
        "time": now,
        "equity": 10_000.0,
        "longest_unhedged_s": 0.7,
        "engine": {"success_rate": 97.5},
        "positions": {"total_positions": 1, "total_unrealized_pnl": 12.5},
        "risk": {"current_drawdown_pct": 1.5, "daily_loss_pct": 0.2},
        "limits": [
            {"name": "max_exposure", "used": 0.5, "limit": 1.0},
            {"name": "min_liquidation_distance_pct", "used": 40.0, "limit": 20.0},
            {"name": "max_daily_loss", "used": None, "limit": 50.0},
        ],
        "unrealised": {pair_id: 12.5},
        "last_bars": {symbol: now for symbol in SYMBOLS},
        "is_market_up": True,
        "last_reconciled": now,
        "exchange": {"ETHUSDT": 0.2, "BTCUSDT": 0.0},
        "monitoring": {"speed": {"orders": 3, "p50_latency_ms": 300.0, "p95_latency_ms": 900.0}, "slippage": {}},
        "trades": {"closed": 1, "pnl": 57.4},
    }
