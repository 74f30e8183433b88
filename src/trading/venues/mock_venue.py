"""The simulated exchange in process: a market with a beginning and an end, in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from brokers.broker_factory import MockTerms, mock_exchange, open_mock_store
from ccxt_bt_bridge.clock import Clock, LoopClock
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.port import MarketPort, TradingPort
from ccxt_bt_bridge.words import Market
from pairs.words import Pair
from trading.config.model import Config
from trading.market_input import MarketInput


class MockVenue:
    """A ``Venue`` on recorded or made-up bars. Opening it raises StoreError when the file is another market's."""

    network = "simulated"
    is_endless = False

    def __init__(
        self, model: Config, market_input: MarketInput, path: Path, loop: LoopThread, pairs: tuple[Pair, ...]
    ) -> None:
        self._input = market_input
        self._initial = Decimal(repr(model.broker.initial_balance))
        self._times = np.unique(np.concatenate([market_input.aligned(pair)[0].time_ms for pair in pairs]))
        store, epoch_ms = open_mock_store(
            path, market_input.source, market_input.rules.values(), warmup_bars=market_input.warmup_bars
        )
        self.clock: Clock = LoopClock(loop.loop.time, epoch_ms)
        self._exchange = mock_exchange(
            market_input.source,
            store,
            clock=self.clock,
            terms=_terms(model),
            rules=market_input.rules,
            funding=market_input.funding,
            warmup_bars=market_input.warmup_bars,
        )
        self.market: MarketPort = self._exchange
        self.trading: TradingPort = self._exchange
        self.emergency: TradingPort = self._exchange
        self.rules: Mapping[str, Market] = market_input.rules
        self.warmup_bars = market_input.warmup_bars
        self.notes = market_input.notes
        self.pace = "as fast as possible" if loop.is_virtual else f"{model.mock.speed:g} times real time"

    @property
    def run(self) -> int:
        return self._exchange.run

    @property
    def first_bar_ms(self) -> int | None:
        return int(self._input.source.closes_ms[0])

    @property
    def now_ms(self) -> int:
        return self._exchange.market_ms

    @property
    def has_ended(self) -> bool:
        return self._exchange.has_ended

    @property
    def replays_last_bar(self) -> bool:
        """Past the warm-up, the bar of the moment may not have been decided."""
        return self.now_ms > self._input.source.start_ms(self.warmup_bars)

    def doubts(self) -> tuple[str, ...]:
        return ()

    def opening_equity(self, known: Mapping[str, Any]) -> Decimal:
        return self._initial

    def terms(self) -> dict[str, str]:
        return {"broker.initial_balance": str(self._initial)}

    def steps_until(self, time_ms: int, known: int) -> int:
        return int((self._times <= time_ms).sum())

    def share_done(self, time_ms: int) -> float | None:
        first, last = self._input.source.start_ms(self.warmup_bars), self._input.source.end_ms
        return (time_ms - first) / max(1, last - first)

    def withdraw_unsent(self) -> None:
        """Nothing waits: an exchange in this process is asked at once."""

    async def play(self) -> None:
        await self._exchange.run_market()

    async def close(self) -> None:
        self._exchange.close()


def _terms(model: Config) -> MockTerms:
    broker = model.broker
    return MockTerms(
        initial_balance=Decimal(repr(broker.initial_balance)),
        taker_fee=Decimal(repr(broker.commission)),
        slippage_bps=Decimal(repr(broker.slippage_bps)),
        leverage=Decimal(repr(broker.account.leverage)) if model.market == "usdm" else Decimal(1),
        margin_mode=broker.account.margin_mode,
        maintenance_margin_pct=Decimal(repr(broker.maintenance_margin_pct)),
        latency_ms=broker.latency_ms,
        faults=tuple(fault.model_dump(mode="json", exclude_none=True) for fault in broker.faults),
        fault_seed=model.mock.seed,
    )
