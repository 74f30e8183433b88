"""The beginning and the end of a run: which run it is, what it tells the logs, and what it leaves as a result."""

from __future__ import annotations

import logging
from datetime import datetime
from decimal import Decimal

from ccxt_bt_bridge.bt_time import ms_to_datetime
from pairs.words import PairState
from trading.events import (
    Alarm,
    BarMarked,
    ConnectionChanged,
    EntryRefused,
    Event,
    EventBus,
    FundingBooked,
    LegFilled,
    OrderFailed,
    OrderFinished,
    PairClosed,
    PairOpened,
    PairSignal,
    StepMissed,
)
from trading.kept_config import write_config
from trading.kept_pairs import write_pairs
from trading.live.assembly import LivePath
from trading.live.bar_marker import PROGRESS_KEY
from trading.market_input import DataChoice
from trading.provenance import code_version, data_terms, provenance, run_terms
from trading.records import RunResult, TradeRecord
from trading.risk.state import GUARD_KEY, BreakerTripped, LimitReached, PairQuarantined
from trading.run_facts import RunFacts, write_facts
from trading.run_logs import RunLogs
from trading.run_terms import kept_terms, write_terms
from trading.utc_text import parse_utc

log = logging.getLogger(__name__)


async def begin_run(path: LivePath, choice: DataChoice) -> None:
    """Resume the run that was cut short, or open a new one; then reconcile with the exchange.

    ``choice``: what the command line said about data.
    """
    journal, progress = path.floor.journal, path.session.progress
    number = progress.run = _resumed_run(path) or _new_run(path)
    with journal.transaction():
        write_pairs(journal, path.config.pairs)
        write_config(journal, path.config)
        write_facts(journal, number, RunFacts(_first_time(path), path.venue.notes, data_terms(path.config, choice)))
    progress.bars = path.venue.steps_until(path.venue.now_ms - path.venue.replays_last_bar, progress.bars)
    progress.equity = list(journal.equity(number))
    progress.bars_in_position = int((journal.risk_state(PROGRESS_KEY) or {}).get("bars_in_position", 0))
    log.info("run_started run=%d bot_id=%s market_time=%s", number, path.config.bot_id, path.market_now().isoformat())
    await path.session.recover(number)


async def load_history(path: LivePath) -> None:
    venue = path.venue
    await path.session.load_history(
        bars=venue.warmup_bars, now_ms=venue.now_ms, replays_last_bar=venue.replays_last_bar
    )


async def end_run(path: LivePath) -> None:
    """Stop the session; a market that ended closes its run, one that was left is resumed at the next start."""
    close = path.config.model.trading.on_shutdown == "close" and not path.venue.has_ended
    await path.session.stop(close_positions=close)
    if path.venue.has_ended:
        progress = path.session.progress
        path.floor.journal.end_run(ended=path.market_now(), bars=progress.bars, signals=progress.signals)
    log.info("run_stopped ended=%s bars=%d", path.venue.has_ended, path.session.progress.bars)


def live_result(path: LivePath, *, uptime_s: float, choice: DataChoice) -> RunResult:
    """``choice``: what the command line said about data."""
    ledger, progress, config = path.floor.ledger, path.session.progress, path.config
    still_open = ledger.open_records(progress.prices)
    closed = ledger.equity_start + sum((trade.pnl for trade in ledger.trades), Decimal(0))
    return RunResult(
        config=config.name,
        mode=config.model.broker.type,
        bars=progress.bars,
        start=_first_time(path),
        end=progress.time or path.market_now(),
        bar_hours=config.model.bar_hours,
        equity_start=ledger.equity_start,
        equity_end=closed + sum((record.unrealised for record in still_open), Decimal(0)),
        trades=tuple(ledger.trades),
        open=still_open,
        refused=path.floor.journal.refusals(progress.run),
        equity=tuple(progress.equity),
        bars_in_position=progress.bars_in_position,
        turnover_notional=ledger.turnover_notional,
        signals=progress.signals,
        notes=path.venue.notes,
        risk_trips=tuple((parse_utc(when), reason) for when, reason in path.floor.guard.state.trips),
        uptime_s=uptime_s,
        execution=path.statistics.record(),
        provenance=provenance(path.config, choice),
    )


def _first_time(path: LivePath) -> datetime:
    first_ms = path.venue.first_bar_ms
    return path.floor.journal.runs()[-1].started if first_ms is None else ms_to_datetime(first_ms)


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
            case FundingBooked(trade=TradeRecord() as trade):
                log.info("funding_after_exit pair=%s amount=%s pnl=%s", trade.pair_id, event.amount, trade.pnl)
            case FundingBooked():
                log.debug("funding pair=%s symbol=%s amount=%s", event.pair_id, event.symbol, event.amount)
            case StepMissed():
                fate = "carried" if event.is_carried else "dropped"
                log.info("step_%s pair=%s time=%s missing=%s", fate, event.pair_id, event.time, ",".join(event.missing))
            case ConnectionChanged(stream=stream, is_up=is_up):
                level = logging.INFO if is_up else logging.WARNING
                log.log(level, "connection_%s stream=%s %s", "up" if is_up else "down", stream, event.reason)
            case BreakerTripped(breaker=breaker, reason=reason, until=until):
                log.error("breaker_tripped state=%s reason=%s until=%s", breaker.value, reason, until)
            case LimitReached(reason=reason):
                log.warning("limit_reached limit=%s", reason)
            case PairQuarantined(until=until):
                log.warning("quarantined pair=%s stops=%d until=%s", event.pair_id, event.stops, until)
            case PairSignal(signal=signal):
                log.debug("signal pair=%s type=%s z=%s", event.pair_id, signal.signal_type, signal.z_score)
            case Alarm():
                log.log(logging.ERROR if event.critical else logging.WARNING, "alarm %s", event.message)

    bus.add(on_event)


def _resumed_run(path: LivePath) -> int | None:
    """The journal's unfinished run, when the exchange is still in the same one and the config on the same terms."""
    journal, progress = path.floor.journal, path.session.progress
    if not kept_terms(journal, path.venue, path.config.pairs):
        return None
    run = journal.resume_run()
    assert run is not None
    progress.signals, progress.bars = run.signals, run.bars
    return run.number


def _new_run(path: LivePath) -> int:
    """A market that ended took its positions with it: a new run begins flat."""
    journal = path.floor.journal
    now = path.market_now()
    with journal.transaction():
        number = journal.start_run(
            started=now,
            config_sha256=path.config.sha256,
            code_version=code_version(),
            opening_equity=path.floor.ledger.equity_start,
            terms=run_terms(path.config),
        )
        for pair_id in journal.positions():
            journal.save_position(pair_id, PairState.FLAT, {})
        write_terms(journal, path.venue, path.floor.ledger.equity_start)
        journal.save_risk_state(GUARD_KEY, path.floor.guard.snapshot())
        journal.save_risk_state(PROGRESS_KEY, {"bars_in_position": 0})
    return number
