"""A backtest: the same file, the same strategy class and the same RiskGuard as a live run, on Backtrader's broker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import numpy as np

from ccxt_bt_bridge.bt_time import ms_to_datetime, num_to_ms
from feeds.array_feed import ArrayFeed
from strategies.desk import Desk
from strategies.desk_strategy import DeskStrategy
from trading.backtesting.broker import BacktestPairBroker, NextBarBroker
from trading.backtesting.loop import StepCerebro, StepMixin
from trading.config.model import LoadedConfig
from trading.execution.pair_ledger import PairLedger
from trading.market_input import MarketInput
from trading.pair_health import HealthChange
from trading.plan_builder import STRATEGIES, pair_health, risk_limits, strategy_plan
from trading.provenance import provenance
from trading.records import RefusalRecord, RunResult
from trading.reports.plot import PairPlotData
from trading.risk_guard import RiskGuard
from trading.utc_text import parse_utc

CENT = 0.005


@dataclass(frozen=True, slots=True)
class BacktestOutcome:
    """``views``: what a plot needs of each pair."""

    result: RunResult
    views: tuple[PairPlotData, ...]


class RefusalsOnly:
    """A backtest keeps no decision per bar, only what sizing refused."""

    def __init__(self, refusals: list[RefusalRecord]) -> None:
        self._refusals = refusals

    def decision(self, desk: Desk, time: datetime, rule: str, answer: str, reason: str) -> None:
        """Not kept."""

    def refusal(self, time: datetime, pair_id: str, reasons: tuple[str, ...]) -> None:
        self._refusals.append(RefusalRecord(time, pair_id, reasons))


def run_backtest(config: LoadedConfig, market: MarketInput) -> BacktestOutcome:
    """Run it. Raises RuntimeError when Backtrader's broker and our ledger disagree: then neither is to be trusted."""
    equity = Decimal(repr(config.model.broker.initial_balance))
    ledger = PairLedger(equity, {pair.pair_id: pair for pair in config.pairs})
    guard = RiskGuard(risk_limits(config, backtest=True), float(equity))
    changes: list[HealthChange] = []
    pair_broker = BacktestPairBroker(
        ledger=ledger,
        guard=guard,
        funding=market.funding,
        fee_rate=Decimal(repr(config.model.broker.commission)),
        trade_after=market.trade_after,
        opens_ms=market.opens_ms(),
        series=market.source.series,
        health=pair_health(config, market.trade_after, changes.append),
        carries=market.carries,
    )
    cerebro = _cerebro(config, market, pair_broker)
    strategy = cerebro.run()[0]
    pair_broker.finish()
    _check_accounts(cerebro.broker, ledger, strategy.prices)
    result = _result(config, market, strategy, pair_broker, ledger, guard)
    result = replace(result, notes=(*result.notes, *health_notes(changes)))
    return BacktestOutcome(result, tuple(_view(desk) for desk in strategy.desks))


def _cerebro(config: LoadedConfig, market: MarketInput, pair_broker: BacktestPairBroker) -> StepCerebro:
    model = config.model
    cerebro = StepCerebro(stdstats=False)
    cerebro.broker = NextBarBroker(slippage_bps=Decimal(repr(model.broker.slippage_bps)), checksubmit=False)
    cerebro.broker.setcash(model.broker.initial_balance)
    cerebro.broker.setcommission(commission=model.broker.commission)
    for pair in config.pairs:
        for series in market.aligned(pair):
            cerebro.adddata(ArrayFeed(series=series, name=f"{pair.pair_id}:{series.symbol}"))
    kind = STRATEGIES[model.strategy.type]
    plan = strategy_plan(config, rules=market.rules, trade_after=market.trade_after)
    stepped = type(kind.__name__, (StepMixin, kind), {})
    cerebro.addstrategy(stepped, plan=plan, broker=pair_broker, recorder=RefusalsOnly(pair_broker.refusals))
    return cerebro


def _check_accounts(broker: NextBarBroker, ledger: PairLedger, prices: dict[str, float]) -> None:
    """Two books of one account: Backtrader's and ours must agree to the cent."""
    theirs, ours = broker.getvalue(), ledger.equity(prices)
    if abs(theirs - ours) > CENT:
        raise RuntimeError(f"the books disagree: Backtrader's broker says {theirs:.4f}, the ledger {ours:.4f}")


def _result(
    config: LoadedConfig,
    market: MarketInput,
    strategy: DeskStrategy,
    pair_broker: BacktestPairBroker,
    ledger: PairLedger,
    guard: RiskGuard,
) -> RunResult:
    closes = market.source.closes_ms
    still_open = ledger.open_records(strategy.prices)
    equity_end = ledger.equity_start + sum((t.pnl for t in ledger.trades), Decimal(0))
    return RunResult(
        config=config.name,
        mode="backtest",
        bars=strategy.steps,
        start=ms_to_datetime(int(closes[0])),
        end=ms_to_datetime(int(closes[-1])),
        bar_hours=config.model.bar_hours,
        equity_start=ledger.equity_start,
        equity_end=equity_end + sum((record.unrealised for record in still_open), Decimal(0)),
        trades=tuple(ledger.trades),
        open=still_open,
        refused=tuple(pair_broker.refusals),
        equity=tuple(pair_broker.equity_curve),
        bars_in_position=pair_broker.bars_in_position,
        turnover_notional=ledger.turnover_notional,
        signals=pair_broker.signals,
        notes=(*formation_notes(config, market), *market.notes),
        risk_trips=tuple((parse_utc(when), reason) for when, reason in guard.state.trips),
        provenance=provenance(config, market.choice, market.source.digest()),
    )


def formation_notes(config: LoadedConfig, market: MarketInput) -> tuple[str, ...]:
    """Says first when a run lies wholly inside the window on which its pairs were chosen."""
    end = ms_to_datetime(market.source.end_ms)
    inside = [pair.pair_id for pair in config.pairs if pair.in_formation(market.trade_after) and pair.in_formation(end)]
    if not inside:
        return ()
    whole = "this run lies" if len(inside) == len(config.pairs) else f"for {', '.join(inside)} this run lies"
    return (f"{whole} wholly inside the formation window: it shows how pairs were chosen, not how they trade",)


def health_notes(changes: Sequence[HealthChange]) -> Iterator[str]:
    """How often each pair was close-only, and why at first."""
    sick = [change for change in changes if change.reasons]
    for pair_id in dict.fromkeys(change.pair_id for change in sick):
        own = [change for change in sick if change.pair_id == pair_id]
        times = "once" if len(own) == 1 else f"{len(own)} times"
        yield f"{pair_id} was close-only {times}, first from {own[0].time:%Y-%m-%d %H:%MZ}: {'; '.join(own[0].reasons)}"


def _view(desk: Desk) -> PairPlotData:
    """Whole lines of a finished run."""
    data = desk.data
    times = num_to_ms(np.array(data.datetime.array)).astype("datetime64[ms]")
    column = (
        {name: np.array(getattr(desk.lines, name).array) for name in ("spread", "zscore")}
        if desk.lines is not None
        else {}
    )
    entry_z = desk.pair.entry_z or getattr(desk.plan.entry.params, "e_entry_z", None)
    return PairPlotData(
        pair_id=desk.pair.pair_id,
        times=times,
        price_a=np.array(data.close.array),
        price_b=np.array(desk.datas[1].close.array) if len(desk.datas) > 1 else None,
        spread=column.get("spread"),
        zscore=column.get("zscore"),
        entry_z=entry_z,
        exit_z=desk.exit_level if column else None,
        stop_z=desk.stop_level if column else None,
        leg_a=desk.pair.leg_a,
        leg_b=desk.pair.leg_b or "",
    )
