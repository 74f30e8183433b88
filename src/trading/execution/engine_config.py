"""From a config file to an engine that stands alone: its exchange, limits and sizes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from trading.config.confirmation import confirm
from trading.config.environment import process_environment
from trading.config.loader import load_config
from trading.config.model import LoadedConfig
from trading.execution.settings import ExecutionSettings
from trading.execution.wire_guard import WireLimits
from trading.execution_models import ExecutionMode
from trading.market_input import DataChoice
from trading.risk_guard import RiskLimits
from trading.venues.opening import VenuePlan, venue_plan

MODES = {
    "simulated": ExecutionMode.PAPER,
    "desk": ExecutionMode.DEMO,
    "testnet": ExecutionMode.DEMO,
    "live": ExecutionMode.LIVE,
}


@dataclass(frozen=True, slots=True)
class Opened:
    """Exchanges that an engine has opened itself. ``play`` makes their market move, for as long as it lasts."""

    exchanges: dict[str, Any]
    play: Callable[[], Coroutine[Any, Any, None]]
    close: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What an engine takes of a config. ``alert_pct``: see ``ExecutionQuality``. ``open`` is the first that opens
    anything."""

    bot_id: str
    mode: ExecutionMode
    state_dir: Path
    limits: RiskLimits
    settings: ExecutionSettings
    position_size: float
    wire_limits: Callable[[Decimal], WireLimits]
    alert_pct: float | None
    open: Callable[[], Awaitable[Opened]]


class CallersLoop:
    """The loop that the engine is started on, as a venue wants it: in real time."""

    is_virtual = False

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()


def opening_of(path: str | Path, *, live: bool) -> EngineConfig:
    """Raises ConfigError, NotConfirmed, CredentialsError, InputError or BrokerUnavailable."""
    from trading.live.assembly import execution_settings, wire_limits  # loads Backtrader: only for who has a config
    from trading.plan_builder import risk_limits

    environ = process_environment()
    config = load_config(path, environ=environ)
    plan = venue_plan(config, DataChoice(), environ)
    confirm(config, environ, live=live)
    model = config.model
    return EngineConfig(
        bot_id=f"{config.bot_id}-engine",
        mode=_mode(config),
        state_dir=Path(model.state.dir),
        limits=risk_limits(config, backtest=False),
        settings=execution_settings(model),
        position_size=min(model.position_size, model.execution.max_position_size),
        wire_limits=lambda equity: wire_limits(model, equity),
        alert_pct=model.execution.slippage_alert_pct,
        open=lambda: _opened(model.broker.type, plan),
    )


def _mode(config: LoadedConfig) -> ExecutionMode:
    from trading.venues.venue import network_of

    return MODES[network_of(config.model)]


async def _opened(name: str, plan: VenuePlan) -> Opened:
    venue = await plan.open(CallersLoop())  # type: ignore[arg-type]
    return Opened({name: venue}, venue.play, venue.close)
