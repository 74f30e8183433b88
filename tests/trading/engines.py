"""An engine that stands alone, on the real simulated exchange, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers.simulated.exchange import SimulatedExchange, market_start_ms
from brokers.simulated.source import MarketSource
from brokers.simulated.store import ExchangeStore
from ccxt_bt_bridge.clock import LoopClock
from ccxt_bt_bridge.words import Market
from tests.brokers.markets import bars, source
from tests.tasks import end_all
from trading.execution_engine import ExecutionEngine
from trading.risk_guard import RiskGuard, RiskLimits

D = Decimal
BTC, ETH = "BTCUSDT", "ETHUSDT"
WIDE = RiskLimits(max_positions=200, max_exposure=None, max_leverage=50.0, account_leverage=50.0,
                  max_drawdown_pct=None, max_daily_loss_pct=None, max_failed_orders=None)  # fmt: skip


def rule(symbol: str) -> Market:
    return Market(symbol, "USDT", "usdm", D("0.01"), D("0.001"), D("0.001"), D(5), D("0.0005"), base=symbol[:-4])


def market(btc: Iterable[float], eth: Iterable[float] = ()) -> MarketSource:
    """Hourly bars that close at these prices and open at the ones before; the first is history."""
    btc = list(btc)
    eth = list(eth) or [2_000.0] * len(btc)
    return source(*(bars(symbol, _moves(prices)) for symbol, prices in ((BTC, btc), (ETH, eth))))


def _moves(prices: list[float]) -> list[tuple[float, float]]:
    return list(zip([prices[0], *prices[:-1]], prices, strict=True))


def open_exchange(
    where: MarketSource, path: Path | None = None, *, faults: Iterable[Mapping[str, Any]] = (), **terms: Any
) -> SimulatedExchange:
    """On the running loop; futures on ten thousand, no slippage."""
    store = ExchangeStore(path, fingerprint="engine")
    clock = LoopClock(asyncio.get_running_loop().time, market_start_ms(where, store, warmup_bars=1))
    wanted = {"initial_balance": D(10_000), "slippage_bps": D(0), "warmup_bars": 1, "leverage": D(50)} | terms
    rules = {symbol: rule(symbol) for symbol in where.symbols}
    return SimulatedExchange(where, store, clock=clock, faults=faults, **({"markets": rules} | wanted))


def engine_of(exchanges: Mapping[str, Any], folder: Path, **terms: Any) -> ExecutionEngine:
    """Not started; nobody watches prices unless ``watch_s`` says so."""
    return ExecutionEngine(exchanges, **({"risk_guard": RiskGuard(WIDE), "state_dir": folder, "watch_s": None} | terms))


@asynccontextmanager
async def running(exchanges: Mapping[str, Any], folder: Path, **terms: Any) -> AsyncIterator[ExecutionEngine]:
    """From its start to its stop."""
    engine = engine_of(exchanges, folder, **terms)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


@asynccontextmanager
async def started(exchange: Any, folder: Path, *, moves: bool = False, **terms: Any) -> AsyncIterator[ExecutionEngine]:
    """On one exchange. ``moves``: the market goes on while the engine runs."""
    async with running({"mock": exchange}, folder, **terms) as engine:
        play = [asyncio.get_running_loop().create_task(exchange.run_market())] if moves else []
        try:
            yield engine
        finally:
            await end_all(play)
