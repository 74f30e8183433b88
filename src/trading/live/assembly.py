"""Builds the live path of one run from a loaded config: exchange, engine, session, Backtrader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import backtrader as bt

from ccxt_bt_bridge.broker import BridgeBroker
from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.feed import FeedBoard, LiveFeed
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.series import interval_ms
from feeds.array_feed import backtrader_timeframe
from pairs.words import entry_ref
from trading.config.model import Config, LoadedConfig
from trading.control.command_queue import CommandQueue
from trading.control.paths import control_paths
from trading.events import Alarm, EventBus
from trading.execution.floor import Floor, build_floor
from trading.execution.pair_ledger import PairLedger
from trading.execution.quality import ExecutionQuality
from trading.execution.settings import ExecutionSettings
from trading.execution.wire_guard import WireLimits
from trading.journal.writer import Journal
from trading.live.pair_broker import LivePairBroker
from trading.live.pair_gateway import PairGateway, StepView
from trading.live.progress import Progress
from trading.live.recorder import LiveRecorder
from trading.live.session import Alignment, LiveSession, Reach, Watch
from trading.live.stale_watch import StaleTerms
from trading.pair_health import HealthChange
from trading.plan_builder import STRATEGIES, pair_health, risk_limits, signal_terms, stop_levels, strategy_plan
from trading.risk_guard import RiskGuard
from trading.run_terms import kept_terms
from trading.venues.venue import Venue, network_of

FAR_TOO_MUCH = 10
DECISION_SLACK_S = 5.0  # beyond a bar's length and the grace of a missing leg


@dataclass(frozen=True, slots=True)
class LivePath:
    """Everything one run needs, built and not yet started."""

    config: LoadedConfig
    venue: Venue
    loop: LoopThread
    session: LiveSession
    gateway: PairGateway
    board: FeedBoard
    recorder: LiveRecorder
    statistics: ExecutionQuality

    @property
    def floor(self) -> Floor:
        return self.session.floor

    def market_now(self) -> datetime:
        """Market time: the last moment that has happened."""
        return ms_to_datetime(self.venue.now_ms)


def build_live_path(
    config: LoadedConfig, journal: Journal, venue: Venue, loop: LoopThread, queue: CommandQueue
) -> LivePath:
    """Raises JournalRefused when the config no longer fits what is still open."""
    model, paths = config.model, control_paths(config)
    known = kept_terms(journal, venue, config.pairs)
    equity = venue.opening_equity(known)
    bus = EventBus()
    statistics = ExecutionQuality(model.execution.slippage_alert_pct, bus.publish)
    ledger = PairLedger(equity, {pair.pair_id: pair for pair in config.pairs})
    guard = RiskGuard(risk_limits(config, backtest=False), float(equity))
    progress = Progress()
    floor = build_floor(
        market=venue.market,
        trading=venue.trading,
        journal=journal,
        ledger=ledger,
        guard=guard,
        clock=venue.clock,
        bus=bus,
        rules=venue.rules,
        settings=execution_settings(model),
        wire=wire_limits(model, equity),
        network=venue.network,
        doubts=venue.doubts,
        bot_id=config.bot_id,
        emergency=venue.emergency,
        withdraw_unsent=venue.withdraw_unsent,
    )
    floor.wire.last_price = lambda symbol: floor.engine.last_price(symbol) or _decimal(progress.prices.get(symbol))
    board = FeedBoard(loop.hub)
    gateway = PairGateway(loop.hub, StepView(None, float(equity), float(equity), {}))
    bus.add(statistics.on_event)
    session = LiveSession(
        floor,
        loop=loop,
        board=board,
        gateway=gateway,
        pairs=config.pairs,
        mode=model.broker.type,
        statistics=statistics,
        progress=progress,
        alignment=Alignment(interval_ms(model.data.interval), model.data.missing_leg, model.data.grace_s),
        reach=Reach(queue, paths.halt_flag),
        watch=_watch(config, venue),
    )
    gateway.connect(session, {(p.pair_id, symbol): (p.pair_id, symbol) for p in config.pairs for symbol in p.symbols})
    return LivePath(config, venue, loop, session, gateway, board, LiveRecorder(journal), statistics)


def _watch(config: LoadedConfig, venue: Venue) -> Watch:
    model, trading = config.model, config.model.trading
    between = model.stops_between_bars
    stale = StaleTerms(
        after_s=trading.stale_after_s,
        interval_s=interval_ms(model.data.interval) / 1000.0,
        tells_prices=between and venue.is_endless,
        flattens=trading.on_stale == "flatten",
    )
    terms = signal_terms(config) if between else {}
    return Watch(stop_levels(config), between, trading.max_price_jump_pct, stale, terms)


def execution_settings(model: Config) -> ExecutionSettings:
    execution = model.execution
    return ExecutionSettings(
        min_fill_ratio=execution.min_fill_ratio,
        max_unhedged_s=execution.max_unhedged_s,
        longest_decision_age_s=interval_ms(model.data.interval) / 1000.0 + model.data.grace_s + DECISION_SLACK_S,
        slice_notional=execution.slice_notional,
        slice_pause_s=execution.slice_pause_s,
        max_slices=execution.max_slices,
        order_type=execution.order_type,
        limit_offset_bps=execution.limit_offset_bps,
        limit_timeout_s=execution.limit_timeout_s,
        limit_fallback=execution.limit_fallback,
        reconcile_s=execution.reconcile_s,
        leverage=model.broker.account.leverage if model.market == "usdm" else 1.0,
    )


def wire_limits(model: Config, equity: Decimal) -> WireLimits:
    """Without a word in the config: so much that only a defect sends it."""
    execution = model.execution
    usual = FAR_TOO_MUCH * equity * Decimal(repr(model.risk_management.max_leverage))
    most = _decimal(execution.max_order_notional) or usual
    return WireLimits(
        network=network_of(model),
        max_orders_per_minute=execution.max_orders_per_minute,
        max_orders_per_trade=execution.max_orders_per_trade,
        max_order_notional=most,
        max_notional_per_minute=_decimal(execution.max_notional_per_minute) or 4 * most,
        price_band_pct=Decimal(repr(execution.price_band_pct)),
    )


def _decimal(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(str(number))


def build_cerebro(path: LivePath, *, trade_after: datetime | None = None, with_strategy: bool = True) -> bt.Cerebro:
    """Backtrader on the board's feeds and the gateway's broker, told what this bot did last.

    ``trade_after``: the last bar that is only looked at; by default the one that has closed by now.
    """
    config = path.config
    if trade_after is None:
        trade_after = path.market_now() - timedelta(milliseconds=path.venue.replays_last_bar)
    cerebro = bt.Cerebro(stdstats=False, quicknotify=True)
    broker = BridgeBroker(path.gateway)
    cerebro.setbroker(broker)
    timeframe, compression = backtrader_timeframe(interval_ms(config.model.data.interval))
    for number, (pair, symbol) in enumerate((p, s) for p in config.pairs for s in p.symbols):
        feed = LiveFeed(
            board=path.board,
            key=(pair.pair_id, symbol),
            leader=number == 0,
            timeframe=timeframe,
            compression=compression,
            name=f"{pair.pair_id}:{symbol}",
            exchange_symbol=symbol,
        )
        cerebro.adddata(feed)
    _restore_positions(broker, path)
    if not with_strategy:
        return cerebro
    plan = strategy_plan(
        config,
        rules=path.venue.rules,
        trade_after=trade_after,
        last_exits=_last_exits(path.floor.ledger),
        decided=_decided(path),
    )
    broker_of_pairs = LivePairBroker(path.gateway, pair_health(config, trade_after, _alarming(path)))
    cerebro.addstrategy(
        STRATEGIES[config.model.strategy.type], plan=plan, broker=broker_of_pairs, recorder=path.recorder
    )
    return cerebro


def _alarming(path: LivePath) -> Callable[[HealthChange], None]:
    """What Backtrader's thread finds is told on the loop, as everything else."""

    def tell(change: HealthChange) -> None:
        alarm = Alarm(change.time, str(change), change.pair_id, of_health=True)
        path.loop.loop.call_soon_threadsafe(path.floor.bus.publish, alarm)

    return tell


def _restore_positions(broker: BridgeBroker, path: LivePath) -> None:
    """The books as recovery left them: to Backtrader's broker, and to the strategy, which counts bars held by them."""
    path.gateway.updates.clear()  # what recovery booked is in the positions already
    positions = path.floor.ledger.positions()
    equity = path.floor.ledger.equity(path.session.progress.prices)
    path.gateway.publish_step(StepView(None, equity, equity, positions))
    for pair_id, position in positions.items():
        for leg in position.legs:
            broker.restore((pair_id, leg.symbol), leg.quantity, leg.entry_price)


def _decided(path: LivePath) -> frozenset[str]:
    """Pairs for which an earlier process has ordered something on the bar of this moment already."""
    now, journal, ledger = path.market_now(), path.floor.journal, path.floor.ledger
    run = path.session.progress.run
    entered = {p.pair_id for p in path.config.pairs if journal.intents_of(p.pair_id, entry_ref(p.pair_id, now), run)}
    left = {trade.pair_id for trade in ledger.trades if trade.exit_time == now}
    leaving = {pair_id for pair_id in ledger.open_pairs if ledger.exit_of(pair_id)[0] == now}
    refused = {refusal.pair_id for refusal in journal.refusals(run) if refusal.time == now}
    return frozenset(entered | left | leaving | refused)


def _last_exits(ledger: PairLedger) -> dict[str, tuple[datetime, str]]:
    return {trade.pair_id: (trade.exit_time, trade.exit_reason) for trade in ledger.trades}
