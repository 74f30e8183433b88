"""The beginning and the end of a run: which run it is, what it tells the logs, and what it leaves as a result."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ccxt_bt_bridge.bt_time import ms_to_datetime
from pairs.words import PairState
from trading.assembly import LivePath, steps_before
from trading.events import (
    Alarm,
    BarMarked,
    EntryRefused,
    Event,
    EventBus,
    FundingBooked,
    LegFilled,
    OrderFailed,
    OrderFinished,
    PairClosed,
    PairOpened,
)
from trading.journal.errors import JournalRefused
from trading.journal.writer import Journal
from trading.live_session import PROGRESS_KEY
from trading.records import RunResult
from trading.recovery import GUARD_KEY
from trading.run_logs import RunLogs
from trading.utc_text import parse_utc

RUN_KEY = "run"
log = logging.getLogger(__name__)


async def begin_run(path: LivePath) -> None:
    """Resume the run that was cut short, or open a new one; then reconcile with the exchange."""
    journal, progress = path.floor.journal, path.session.progress
    number = progress.run = _resumed_run(path) or _new_run(path)
    progress.bars = steps_before(path, path.exchange.market_ms - path.has_begun_trading())
    progress.equity = list(journal.equity(number))
    progress.bars_in_position = int((journal.risk_state(PROGRESS_KEY) or {}).get("bars_in_position", 0))
    log.info("run_started run=%d bot_id=%s market_time=%s", number, path.config.bot_id, path.market_now().isoformat())
    await path.session.recover(number)


def _refuse_a_changed_config(path: LivePath, known: Mapping[str, Any]) -> None:
    """A run goes on with the account and the pairs it began with. Raises JournalRefused with what differs."""
    balance = str(path.floor.tracker.equity_start)
    if known.get("initial_balance", balance) != balance:
        raise JournalRefused(
            f"this run began with broker.initial_balance {known['initial_balance']}, the config now says {balance}: "
            "set it back; the next run may begin with another"
        )
    pairs = {pair.pair_id: set(pair.symbols) for pair in path.config.pairs}
    for stored in path.floor.journal.positions().values():
        if stored.state is not PairState.FLAT and pairs.get(stored.pair_id) != set(stored.payload["targets"]):
            raise JournalRefused(
                f"{stored.pair_id} ({', '.join(stored.payload['targets'])}) is open, but the config does not name it "
                "so: put the pair back until it is closed"
            )


async def end_run(path: LivePath) -> None:
    """Stop the session; a market that ended closes its run, one that was left is resumed at the next start."""
    close = path.config.model.trading.on_shutdown == "close" and not path.exchange.has_ended
    await path.session.stop(close_positions=close)
    if path.exchange.has_ended:
        progress = path.session.progress
        path.floor.journal.end_run(ended=path.market_now(), bars=progress.bars, signals=progress.signals)
    log.info("run_stopped ended=%s bars=%d", path.exchange.has_ended, path.session.progress.bars)


def live_result(path: LivePath, *, uptime_s: float) -> RunResult:
    tracker, progress, config = path.floor.tracker, path.session.progress, path.config
    still_open = tracker.open_records(progress.prices)
    closed = tracker.equity_start + sum((trade.pnl for trade in tracker.trades), Decimal(0))
    return RunResult(
        config=config.name,
        mode=config.model.broker.type,
        bars=progress.bars,
        start=ms_to_datetime(int(path.market.source.closes_ms[0])),
        end=progress.time or path.market_now(),
        bar_hours=config.model.bar_hours,
        equity_start=tracker.equity_start,
        equity_end=closed + sum((record.unrealised for record in still_open), Decimal(0)),
        trades=tuple(tracker.trades),
        open=still_open,
        refused=path.floor.journal.refusals(progress.run),
        equity=tuple(progress.equity),
        bars_in_position=progress.bars_in_position,
        turnover_notional=tracker.turnover_notional,
        signals=progress.signals,
        notes=path.market.notes,
        risk_trips=tuple((parse_utc(when), reason) for when, reason in path.floor.guard.state.trips),
        uptime_s=uptime_s,
    )


def log_events(bus: EventBus, logs: RunLogs) -> None:
    """Main log, trades, orders and the equity curve, from the events alone."""

    def on_event(event: Event) -> None:
        match event:
            case BarMarked(time=time, equity=equity):
                logs.equity(time, equity)
            case OrderFinished():
                logs.order(event.intent, time=event.time, order_id=event.order_id)
                log.info("order_finished id=%s status=%s", event.intent.client_order_id, event.status)
            case PairOpened(order=order):
                log.info("pair_opened pair=%s direction=%s z=%s", order.pair_id, order.direction.word, order.zscore)
            case PairClosed(trade=trade):
                logs.trade(trade)
                log.info("pair_closed pair=%s reason=%s pnl=%s", trade.pair_id, trade.exit_reason, trade.pnl)
            case EntryRefused(order=order, reasons=reasons):
                log.info("refused pair=%s reasons=%s", order.pair_id, ",".join(reasons))
            case OrderFailed(order=order, reason=reason):
                log.warning("pair_order_failed pair=%s reason=%s", order.pair_id, reason)
            case LegFilled(fill=fill):
                log.info("fill symbol=%s amount=%s price=%s", fill.symbol, fill.signed_amount, fill.price)
            case FundingBooked():
                log.debug("funding pair=%s symbol=%s amount=%s", event.pair_id, event.symbol, event.amount)
            case Alarm():
                log.log(logging.ERROR if event.critical else logging.WARNING, "alarm %s", event.message)

    bus.add(on_event)


def _resumed_run(path: LivePath) -> int | None:
    """The journal's unfinished run, when the exchange is still in the same one."""
    journal = path.floor.journal
    run = journal.resume_run()
    known = journal.risk_state(RUN_KEY) or {}
    if run is None or known.get("exchange_run") != path.exchange.run:
        return None
    _refuse_a_changed_config(path, known)
    path.session.progress.signals = run.signals
    return run.number


def _new_run(path: LivePath) -> int:
    """A market that ended took its positions with it: a new run begins flat."""
    journal = path.floor.journal
    now = path.market_now()
    with journal.transaction():
        number = journal.start_run(started=now, config_sha256=path.config.sha256, code_version=_code_version())
        for pair_id in journal.positions():
            journal.save_position(pair_id, PairState.FLAT, {})
        _forget(journal, path)
    return number


def _forget(journal: Journal, path: LivePath) -> None:
    balance = str(path.floor.tracker.equity_start)
    journal.save_risk_state(RUN_KEY, {"exchange_run": path.exchange.run, "initial_balance": balance})
    journal.save_risk_state(GUARD_KEY, path.floor.guard.snapshot())
    journal.save_risk_state(PROGRESS_KEY, {"bars_in_position": 0})


def _code_version() -> str:
    try:
        return version("tandem-pairs")
    except PackageNotFoundError:
        return "unknown"
