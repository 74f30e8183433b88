"""The ledger of pairs: fills and funding in, positions, profit and finished trades out. Pure, exact, no I/O.

A pair's numbers are always the sum of its legs'. The same ledger books a backtest and a live run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from pairs.words import Direction, LegPosition, Pair, PairOrder, PairPosition, PairState, SpreadStatistics
from trading.records import LegRecord, OpenRecord, TradeRecord

ZERO = Decimal(0)


@dataclass(slots=True)
class _Leg:
    """Running sums of one leg of one open pair. ``cash`` is what its fills paid in or out, without fees."""

    symbol: str
    quantity: Decimal = ZERO
    entered: Decimal = ZERO
    entered_value: Decimal = ZERO
    left: Decimal = ZERO
    left_value: Decimal = ZERO
    cash: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    slippage: Decimal = ZERO

    def fill(self, amount: Decimal, price: Decimal, fee: Decimal, reference_price: Decimal, *, adds: bool) -> None:
        self.quantity += amount
        self.cash -= amount * price
        self.fees -= fee
        self.slippage -= amount * (price - reference_price)
        if adds:
            self.entered += amount
            self.entered_value += amount * price
        else:
            self.left += amount
            self.left_value += amount * price

    @property
    def entry_price(self) -> Decimal:
        return self.entered_value / self.entered if self.entered else ZERO

    @property
    def exit_price(self) -> Decimal | None:
        return self.left_value / self.left if self.left else None

    def profit_of_price(self, price: Decimal) -> Decimal:
        return self.cash + self.quantity * price

    def record(self, price: Decimal) -> LegRecord:
        return LegRecord(
            symbol=self.symbol,
            quantity=self.entered,
            entry_price=self.entry_price,
            exit_price=self.exit_price,
            pnl_price=self.profit_of_price(price),
            fees=self.fees,
            funding=self.funding,
            slippage=self.slippage,
        )


@dataclass(slots=True)
class _Holding:
    """One pair between its first order and flat."""

    pair_id: str
    direction: Direction
    entry_time: datetime
    entry_z: float | None
    statistics: SpreadStatistics | None
    half_life_bars: float | None
    legs: dict[str, _Leg]
    state: PairState = PairState.ENTERING
    legging_cost: Decimal = ZERO
    exit_time: datetime | None = None
    exit_z: float | None = None
    exit_reason: str = ""
    snapshot: PairPosition | None = field(default=None, repr=False)

    def entry_sign(self, symbol: str) -> int:
        first = next(iter(self.legs))
        return self.direction.sign if symbol == first else -self.direction.sign


class PairLedger:
    """Open pairs, their profit and the trades they became.

    ``equity = equity_start + profit of closed trades + profit of open ones`` at the prices given.
    """

    def __init__(self, equity_start: Decimal, pairs: Mapping[str, Pair]) -> None:
        self.equity_start = equity_start
        self.trades: list[TradeRecord] = []
        self.turnover_notional = ZERO
        self._pairs = pairs
        self._holdings: dict[str, _Holding] = {}
        self._realised = ZERO

    # what comes in

    def begin(self, order: PairOrder) -> None:
        """An approved entry: the pair is ENTERING, with nothing filled yet."""
        self._holdings[order.pair_id] = _Holding(
            pair_id=order.pair_id,
            direction=order.direction,
            entry_time=order.decided_at,
            entry_z=order.zscore,
            statistics=order.statistics,
            half_life_bars=order.half_life_bars,
            legs={leg.symbol: _Leg(leg.symbol) for leg in order.legs},
        )

    def restore(self, position: PairPosition, *, legging_cost: Decimal) -> None:
        """A pair that an earlier process held; its fills and funding are applied again afterwards."""
        self._holdings[position.pair_id] = _Holding(
            pair_id=position.pair_id,
            direction=position.direction,
            entry_time=position.entry_time,
            entry_z=position.entry_z,
            statistics=position.statistics,
            half_life_bars=position.half_life_bars,
            legs={leg.symbol: _Leg(leg.symbol) for leg in position.legs},
            state=position.state,
            legging_cost=legging_cost,
        )

    def begin_exit(self, pair_id: str, *, when: datetime, zscore: float | None, reason: str) -> None:
        """An exit (or an unwind) has been decided; the state is the caller's to set."""
        holding = self._holdings[pair_id]
        holding.exit_time, holding.exit_z, holding.exit_reason = when, zscore, reason

    def set_state(self, pair_id: str, state: PairState) -> None:
        holding = self._holdings[pair_id]
        holding.state = state
        holding.snapshot = None

    def apply_fill(
        self, pair_id: str, symbol: str, amount: Decimal, price: Decimal, *, fee: Decimal, reference_price: Decimal
    ) -> None:
        """``amount`` signed, ``fee`` positive when paid; ``reference_price`` is the close the order was decided on."""
        holding = self._holdings[pair_id]
        adds = (amount > 0) == (holding.entry_sign(symbol) > 0)
        holding.legs[symbol].fill(amount, price, fee, reference_price, adds=adds)
        holding.snapshot = None
        self.turnover_notional += abs(amount) * price

    def apply_funding(self, pair_id: str, symbol: str, amount: Decimal) -> None:
        self._holdings[pair_id].legs[symbol].funding += amount

    def add_legging_cost(self, pair_id: str, cost: Decimal) -> None:
        self._holdings[pair_id].legging_cost += cost

    def write_off(self, pair_id: str, symbol: str) -> Decimal:
        """What is left of a leg is given up: it counts as lost, whatever it is worth. The amount, signed."""
        holding = self._holdings[pair_id]
        leg = holding.legs[symbol]
        left, leg.quantity = leg.quantity, ZERO
        holding.snapshot = None
        return left

    def take_back(self, pair_id: str, symbol: str, amount: Decimal) -> None:
        """What was written off is held after all."""
        holding = self._holdings[pair_id]
        holding.legs[symbol].quantity += amount
        holding.snapshot = None

    def finish(self, pair_id: str) -> TradeRecord | None:
        """The pair is flat and forgotten. The finished trade, or None when nothing ever filled."""
        trade = self.trade_of(pair_id)
        del self._holdings[pair_id]
        if trade is not None:
            self.trades.append(trade)
            self._realised += trade.pnl
        return trade

    def replace_trade(self, trade: TradeRecord) -> None:
        """A closed trade as it is known now: the one of the same pair and entry gives way to it."""
        known = [(one.pair_id, one.entry_time) for one in self.trades]
        at = known.index((trade.pair_id, trade.entry_time))
        self._realised += trade.pnl - self.trades[at].pnl
        self.trades[at] = trade

    @property
    def realised(self) -> Decimal:
        """Profit of the closed trades, quote currency."""
        return self._realised

    def restore_trades(self, trades: list[TradeRecord], turnover_notional: Decimal) -> None:
        """What an earlier process of the same run already finished."""
        self.trades = list(trades)
        self._realised = sum((trade.pnl for trade in trades), ZERO)
        self.turnover_notional = turnover_notional

    # what can be asked

    @property
    def open_pairs(self) -> tuple[str, ...]:
        return tuple(self._holdings)

    def pairs_with(self, symbol: str) -> tuple[str, ...]:
        """Pairs whose open position or closed trades are of ``symbol``, whether they hold some now or not."""
        held = [pair_id for pair_id, holding in self._holdings.items() if symbol in holding.legs]
        traded = [trade.pair_id for trade in self.trades if any(leg.symbol == symbol for leg in trade.legs)]
        return tuple(dict.fromkeys(held + traded))

    def pairs_of(self, symbol: str) -> dict[str, Decimal]:
        """Signed quantity of ``symbol`` by pair, for pairs that hold some."""
        held = {p: h.legs[symbol].quantity for p, h in self._holdings.items() if symbol in h.legs}
        return {pair_id: quantity for pair_id, quantity in held.items() if quantity}

    def quantity(self, pair_id: str, symbol: str) -> Decimal:
        holding = self._holdings.get(pair_id)
        return ZERO if holding is None or symbol not in holding.legs else holding.legs[symbol].quantity

    def net(self, symbol: str) -> Decimal:
        """Signed quantity of ``symbol`` over all pairs."""
        net = ZERO
        for holding in self._holdings.values():
            if symbol in holding.legs:
                net += holding.legs[symbol].quantity
        return net

    def state(self, pair_id: str) -> PairState:
        holding = self._holdings.get(pair_id)
        return PairState.FLAT if holding is None else holding.state

    def exit_of(self, pair_id: str) -> tuple[datetime | None, float | None, str]:
        """When, at which z and why the pair is being left."""
        holding = self._holdings[pair_id]
        return holding.exit_time, holding.exit_z, holding.exit_reason

    def has_traded(self, pair_id: str) -> bool:
        """Something of it has filled, also when nothing is held now."""
        holding = self._holdings.get(pair_id)
        return holding is not None and any(leg.entered for leg in holding.legs.values())

    def trade_of(self, pair_id: str) -> TradeRecord | None:
        """What ``finish`` would book. Raises ValueError while the pair holds anything."""
        holding = self._holdings[pair_id]
        if any(leg.quantity for leg in holding.legs.values()):
            raise ValueError(f"{pair_id} is not flat: {[(leg.symbol, leg.quantity) for leg in holding.legs.values()]}")
        return self._trade_of(holding) if self.has_traded(pair_id) else None

    def legging_cost(self, pair_id: str) -> Decimal:
        return self._holdings[pair_id].legging_cost

    def position(self, pair_id: str) -> PairPosition | None:
        holding = self._holdings.get(pair_id)
        if holding is None:
            return None
        if holding.snapshot is None:
            holding.snapshot = self._snapshot_of(holding)
        return holding.snapshot

    def positions(self) -> dict[str, PairPosition]:
        return {pair_id: position for pair_id in self._holdings if (position := self.position(pair_id)) is not None}

    def equity(self, prices: Mapping[str, float]) -> float:
        """In quote currency, open pairs marked at ``prices`` (their entry price where one is missing)."""
        value = float(self.equity_start + self._realised)
        for holding in self._holdings.values():
            for leg in holding.legs.values():
                price = prices.get(leg.symbol, float(leg.entry_price))
                value += float(leg.cash + leg.fees + leg.funding) + float(leg.quantity) * price
        return value

    def open_records(self, prices: Mapping[str, float]) -> tuple[OpenRecord, ...]:
        return tuple(self._open_record(holding, prices) for holding in self._holdings.values())

    def _open_record(self, holding: _Holding, prices: Mapping[str, float]) -> OpenRecord:
        legs = tuple(
            leg.record(Decimal(str(prices[leg.symbol])) if leg.symbol in prices else leg.entry_price)
            for leg in holding.legs.values()
        )
        unrealised = sum((leg.pnl_price + leg.fees + leg.funding for leg in legs), ZERO)
        return OpenRecord(holding.pair_id, holding.direction.word, holding.entry_time, legs, unrealised)

    def _snapshot_of(self, holding: _Holding) -> PairPosition:
        legs = tuple(LegPosition(leg.symbol, leg.quantity, leg.entry_price) for leg in holding.legs.values())
        return PairPosition(
            pair_id=holding.pair_id,
            state=holding.state,
            direction=holding.direction,
            legs=legs,
            entry_time=holding.entry_time,
            entry_z=holding.entry_z,
            statistics=holding.statistics,
            half_life_bars=holding.half_life_bars,
            gross_notional=float(sum((abs(leg.entered_value) for leg in holding.legs.values()), ZERO)),
        )

    def _trade_of(self, holding: _Holding) -> TradeRecord:
        pair = self._pairs[holding.pair_id]
        return TradeRecord(
            pair_id=holding.pair_id,
            direction=holding.direction.word,
            entry_time=holding.entry_time,
            exit_time=holding.exit_time or holding.entry_time,
            entry_z=holding.entry_z,
            exit_z=holding.exit_z,
            exit_reason=holding.exit_reason,
            in_formation=pair.in_formation(holding.entry_time),
            legs=tuple(leg.record(ZERO) for leg in holding.legs.values()),
            legging_cost=holding.legging_cost,
        )
