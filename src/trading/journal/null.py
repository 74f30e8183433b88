"""The absence of a journal: a backtest remembers nothing and writes to no disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from ccxt_bt_bridge.words import Fill, FundingPayment, OrderReport
from pairs.words import PairState
from trading.journal.words import Intent, IntentState, Run, StoredPosition
from trading.records import Decision, RefusalRecord, TradeRecord


class NullJournal:
    """The interface of ``Journal`` with nothing behind it. Only the client id sequence counts, in memory."""

    epoch = "000000"

    def __init__(self) -> None:
        self._sequence = 0

    def close(self) -> None:
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield

    def flush(self) -> None:
        return None

    def write_intent(self, intent: Intent) -> None:
        return None

    def update_intent(
        self, client_order_id: str, *, state: IntentState, filled: Decimal | None = None, average: Decimal | None = None
    ) -> None:
        return None

    def record_order(self, report: OrderReport, *, pair_id: str, ref: str) -> None:
        return None

    def record_fill(self, fill: Fill, pair_id: str, ref: str) -> bool:
        return True

    def record_funding(self, payment: FundingPayment, pair_id: str, amount: Decimal) -> bool:
        return True

    def next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def save_position(self, pair_id: str, state: PairState, payload: Mapping[str, Any]) -> None:
        return None

    def save_trade(self, trade: TradeRecord) -> None:
        return None

    def save_risk_state(self, key: str, value: Mapping[str, Any]) -> None:
        return None

    def start_run(self, *, started: datetime, config_sha256: str, code_version: str) -> int:
        return 1

    def resume_run(self) -> Run | None:
        return None

    def end_run(self, *, ended: datetime, bars: int, signals: int) -> None:
        return None

    def record_decision(self, decision: Decision) -> None:
        return None

    def record_refusal(self, refusal: RefusalRecord) -> None:
        return None

    def record_equity(self, time: datetime, equity: float) -> None:
        return None

    def note_progress(self, *, bars: int, signals: int) -> None:
        return None

    def intents_of(self, pair_id: str, ref: str, run: int | None = None) -> tuple[Intent, ...]:
        return ()

    def unresolved_intents(self) -> tuple[Intent, ...]:
        return ()

    def orders_of(self, pair_id: str, ref: str) -> tuple[OrderReport, ...]:
        return ()

    def fills_of(self, pair_id: str, ref: str, run: int | None = None) -> tuple[Fill, ...]:
        return ()

    def has_fill(self, fill: Fill) -> bool:
        return False

    def last_fill_ms(self) -> int | None:
        return None

    def ledger(self) -> dict[str, Decimal]:
        return {}

    def funding_of(self, pair_id: str, run: int | None = None) -> tuple[FundingPayment, ...]:
        return ()

    def positions(self) -> dict[str, StoredPosition]:
        return {}

    def trades(self, run: int | None = None) -> tuple[TradeRecord, ...]:
        return ()

    def decisions(self, run: int | None = None) -> tuple[Decision, ...]:
        return ()

    def last_decisions(self) -> dict[str, Decision]:
        return {}

    def refusals(self, run: int | None = None) -> tuple[RefusalRecord, ...]:
        return ()

    def equity(self, run: int | None = None) -> tuple[tuple[datetime, float], ...]:
        return ()

    def risk_state(self, key: str) -> dict[str, Any] | None:
        return None

    def runs(self) -> tuple[Run, ...]:
        return ()
