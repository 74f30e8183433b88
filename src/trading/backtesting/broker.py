"""The backtest's side of the one verb: both legs fill on the next bar, by the fill rule that the exchanges share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import backtrader as bt
import numpy as np

from brokers.fills import fee, market_fill_price
from brokers.funding import FundingSchedule, funding_amount
from ccxt_bt_bridge.bt_time import datetime_to_ms
from ccxt_bt_bridge.series import BarSeries
from pairs.words import Action, PairOrder, PairPosition, PairState, Refused
from trading.execution.pair_ledger import PairLedger
from trading.pair_health import PairHealth
from trading.records import RefusalRecord
from trading.risk_guard import RiskGuard

ZERO = Decimal(0)


class NextBarBroker(bt.brokers.BackBroker):
    """Backtrader's broker, idle while nothing is pending, filling at the next open by ``fills.market_fill_price``.

    Margin is RiskGuard's business (Backtrader knows none for shorts): here cash may go below zero for as long as a
    fill takes, so that a pair is never cut down to one leg.
    """

    params = (("slippage_bps", ZERO),)

    def next(self) -> None:
        if self.pending or self._toactivate or self.submitted:
            super().next()

    def get_value(self, datas: Any = None, lever: bool = False) -> float:
        self._get_value()
        return super().get_value(datas, lever)

    getvalue = get_value

    def _slip_up(self, pmax: float, price: float, doslip: bool = True, lim: bool = False) -> float:
        return self._slipped(price, 1)

    def _slip_down(self, pmin: float, price: float, doslip: bool = True, lim: bool = False) -> float:
        return self._slipped(price, -1)

    def _slipped(self, price: float, sign: int) -> float:
        return float(market_fill_price(Decimal(repr(price)), sign, self.p.slippage_bps))

    def _execute(
        self,
        order: bt.Order,
        ago: int | None = None,
        price: float | None = None,
        cash: float | None = None,
        position: Any = None,
        dtcoc: float | None = None,
    ) -> Any:
        if ago is None or price is None:
            return super()._execute(order, ago, price, cash, position, dtcoc)
        cost = max(0.0, order.executed.remsize * price) * 1.1
        loan = cost - self.cash if cost > self.cash else 0.0
        self.cash += loan
        super()._execute(order, ago, price, cash, position, dtcoc)
        self.cash -= loan
        return None


class BacktestPairBroker:
    """PairBroker of a backtest: one question to RiskGuard, two orders to Backtrader, one ledger for the pair."""

    def __init__(
        self,
        *,
        ledger: PairLedger,
        guard: RiskGuard,
        funding: Mapping[str, FundingSchedule],
        fee_rate: Decimal,
        trade_after: datetime,
        opens_ms: Mapping[str, frozenset[int]],
        series: Mapping[str, BarSeries],
        health: PairHealth,
        carries: bool = False,
    ) -> None:
        self._ledger = ledger
        self._guard = guard
        self._funding = funding
        self._fee_rate = fee_rate
        self._trade_after = trade_after
        self._opens_ms = opens_ms
        self._series = series
        self._health = health
        self._carries = carries
        self._waiting: list[PairOrder] = []
        self._strategy: Any = None
        self._orders: dict[int, tuple[PairOrder, int]] = {}
        self._unfilled: dict[str, int] = {}
        self._equity = float(ledger.equity_start)
        self._last_ms = datetime_to_ms(trade_after)
        self.equity_curve: list[tuple[datetime, float]] = []
        self.refusals: list[RefusalRecord] = []
        self.bars_in_position = 0
        self.signals = 0

    def bind(self, strategy: Any) -> None:
        self._strategy = strategy

    def begin_step(self, time: datetime, prices: Mapping[str, float]) -> None:
        """Funding due since the last step, equity at the closes, what risk demands, and how the pairs are."""
        self._health.look(time, self._strategy.desks)
        if time > self._trade_after:
            self._settle_funding(datetime_to_ms(time))
            self._mark(time, prices)
            self._place_what_waits(datetime_to_ms(time))

    def submit(self, order: PairOrder) -> str:
        self.signals += 1
        reasons = self._reasons_against(order)
        if reasons:
            self.refusals.append(RefusalRecord(order.decided_at, order.pair_id, reasons))
            return order.ref
        if order.action is Action.ENTER:
            self._ledger.begin(order)
        else:
            self._ledger.begin_exit(order.pair_id, when=order.decided_at, zscore=order.zscore, reason=order.reason)
            self._ledger.set_state(order.pair_id, PairState.EXITING)
        if self._carries and self._halted(order, datetime_to_ms(order.decided_at)):
            self._waiting.append(order)
        else:
            self._place(order)
        return order.ref

    def position(self, pair_id: str) -> PairPosition | None:
        return self._ledger.position(pair_id)

    def equity(self) -> float:
        return self._equity

    def on_order(self, order: bt.Order) -> None:
        if order.status != bt.Order.Completed:
            return
        pair_order, leg_number = self._orders.pop(order.ref)
        leg = pair_order.legs[leg_number]
        price = Decimal(repr(order.executed.price))
        self._ledger.apply_fill(
            pair_order.pair_id,
            leg.symbol,
            leg.quantity,
            price,
            fee=fee(leg.quantity, price, self._fee_rate),
            reference_price=Decimal(repr(leg.reference_price)),
        )
        self._unfilled[pair_order.ref] -= 1
        if not self._unfilled[pair_order.ref]:
            del self._unfilled[pair_order.ref]
            self._settle(pair_order)

    def finish(self) -> None:
        """The data is over: exits that were ordered on a pair's last bar have no next bar to fill on."""
        for order in (*(order for order, _ in self._orders.values()), *self._waiting):
            self._ledger.set_state(order.pair_id, PairState.OPEN)

    # the parts

    def _reasons_against(self, order: PairOrder) -> tuple[str, ...]:
        """RiskGuard's, and those that a live engine would meet: no pair is entered while a leg does not trade."""
        verdict = self._guard.check(order)
        if isinstance(verdict, Refused):
            return verdict.reasons
        if order.action is Action.EXIT:
            return ()
        halted = self._halted(order, datetime_to_ms(order.decided_at))
        if halted:
            self._guard.withdraw(order.pair_id)
        return tuple(f"no_quote:{symbol}" for symbol in halted)

    def _halted(self, order: PairOrder, time_ms: int) -> list[str]:
        """The legs that do not trade from this moment on."""
        return [leg.symbol for leg in order.legs if time_ms not in self._opens_ms[leg.symbol]]

    def _place_what_waits(self, now_ms: int) -> None:
        """An exit that was decided on a carried bar is for the first moment at which both legs trade."""
        for order in [order for order in self._waiting if not self._halted(order, now_ms)]:
            self._waiting.remove(order)
            self._place(order)

    def _place(self, order: PairOrder) -> None:
        self._unfilled[order.ref] = len(order.legs)
        desk = self._strategy.desk(order.pair_id)
        for number, (data, leg) in enumerate(zip(desk.datas, order.legs, strict=True)):
            place = self._strategy.buy if leg.quantity > 0 else self._strategy.sell
            placed = place(data=data, size=float(abs(leg.quantity)))
            self._orders[placed.ref] = (order, number)

    def _settle(self, order: PairOrder) -> None:
        if order.action is Action.ENTER:
            self._ledger.set_state(order.pair_id, PairState.OPEN)
        else:
            when, _, reason = self._ledger.exit_of(order.pair_id)
            self._guard.pair_left(order.pair_id, reason, when or order.decided_at)
            self._ledger.finish(order.pair_id)

    def _mark(self, time: datetime, prices: Mapping[str, float]) -> None:
        self._equity = self._ledger.equity(prices)
        self.equity_curve.append((time, self._equity))
        positions = self._ledger.positions()
        self.bars_in_position += bool(positions)
        for risk_exit in self._guard.on_bar(time, self._equity, positions, prices):
            self._strategy.desk(risk_exit.pair_id).on_exit(risk_exit.reason)
            self.submit(positions[risk_exit.pair_id].exit_order(prices, time, risk_exit.reason))

    def _settle_funding(self, now_ms: int) -> None:
        for pair_id, position in self._ledger.positions().items():
            for leg in position.legs:
                self._fund_leg(pair_id, leg.symbol, leg.quantity, now_ms)
        self._last_ms = now_ms

    def _last_close(self, symbol: str, time_ms: int) -> Decimal:
        """The symbol's own, also of a bar that had no partner: what the exchange would take as its mark."""
        series = self._series[symbol]
        at = int(np.searchsorted(series.time_ms, time_ms, side="right")) - 1
        return Decimal(repr(float(series.close[at])))

    def _fund_leg(self, pair_id: str, symbol: str, quantity: Decimal, now_ms: int) -> None:
        for event in self._funding[symbol].between(self._last_ms, now_ms):
            mark = event.mark_price or self._last_close(symbol, event.time_ms)
            amount = funding_amount(quantity, mark, event.rate)
            self._ledger.apply_funding(pair_id, symbol, amount)
            self._strategy.broker.add_cash(float(amount))
