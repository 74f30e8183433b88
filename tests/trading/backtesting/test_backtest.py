from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import backtrader as bt
import numpy as np
import pytest

from brokers.fills import market_fill_price
from brokers.funding import FundingSchedule
from ccxt_bt_bridge.bt_time import ms_to_datetime
from ccxt_bt_bridge.series import FundingSeries
from feeds.array_feed import ArrayFeed
from tests.trading.runs import CONFIGS, backtest, write_config
from trading.backtesting.backtest import run_backtest
from trading.config.loader import load_config
from trading.config.model import LoadedConfig
from trading.market_input import DataChoice, InputError, MarketInput, market_input
from trading.records import RunResult
from trading.reports.result_files import write_json

D = Decimal
SHORT = {"bars": 760, "seed": 7}
CENT = 0.01


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def short(tmp_path: Path) -> Path:
    return write_config(tmp_path, mock=SHORT, data={"lookback_bars": 200})


def loaded(path: Path) -> tuple[LoadedConfig, MarketInput]:
    config = load_config(path, environ={})
    return config, market_input(config, DataChoice())


def bars_of(market: MarketInput, symbol: str) -> dict[datetime, tuple[float, float]]:
    """Close time → (open, close)."""
    one = market.source.series[symbol]
    return {
        ms_to_datetime(int(t)): (float(o), float(c)) for t, o, c in zip(one.time_ms, one.open, one.close, strict=True)
    }


# what a result says


def test_every_number_of_the_json_adds_up(short, tmp_path):
    result = backtest(short)
    report = json.loads(write_json(tmp_path / "r.json", result).read_text(encoding="utf-8"))
    assert report["mode"] == "backtest" and report["config"] == "test.json"
    assert len(report["trades"]) >= 5
    for trade in report["trades"]:
        parts = trade["pnl_price"] + trade["pnl_fees"] + trade["pnl_funding"]
        assert trade["pnl"] == pytest.approx(parts, abs=CENT)
        priced = sum(leg["quantity"] * (leg["exit_price"] - leg["entry_price"]) for leg in trade["legs"])
        assert trade["pnl_price"] == pytest.approx(priced, abs=CENT)
        assert trade["pnl_fees"] == pytest.approx(sum(leg["fees"] for leg in trade["legs"]), abs=CENT)
        assert trade["pnl_funding"] == pytest.approx(sum(leg["funding"] for leg in trade["legs"]), abs=CENT)
        assert (trade["direction"] == "long") == (trade["legs"][0]["quantity"] > 0)
    gained = sum(trade["pnl"] for trade in report["trades"]) + sum(one["unrealised"] for one in report["open"])
    assert report["equity_end"] - report["equity_start"] == pytest.approx(gained, abs=CENT)
    assert report["equity"][-1][1] == pytest.approx(report["equity_end"], abs=CENT)
    exits = [trade["exit_time"] for trade in report["trades"]]
    assert exits == sorted(exits)


def test_the_sums_are_exact_before_they_are_written(short):
    result = backtest(short)
    gained = sum(trade.pnl for trade in result.trades) + sum(one.unrealised for one in result.open)
    assert result.equity_end - result.equity_start == gained


# fills


def test_every_fill_is_the_next_bars_open_and_slips_against_us(tmp_path):
    path = write_config(tmp_path, mock=SHORT, data={"lookback_bars": 200}, broker={"slippage_bps": 25.0})
    config, market = loaded(path)
    result = run_backtest(config, market).result
    hour = timedelta(hours=1)
    for trade in result.trades:
        for leg in trade.legs:
            opens = bars_of(market, leg.symbol)
            for when, price, sign in (
                (trade.entry_time, leg.entry_price, 1 if leg.quantity > 0 else -1),
                (trade.exit_time, leg.exit_price, -1 if leg.quantity > 0 else 1),
            ):
                opened = next(opens[when + n * hour][0] for n in range(1, 6) if when + n * hour in opens)
                assert abs(price - market_fill_price(D(repr(float(opened))), sign, D(25))) < D("1e-7")
                assert (price - D(repr(float(opened)))) * sign > 0
    assert result.trades


def test_more_slippage_and_more_fees_only_cost(tmp_path):
    pnl = []
    for slip, fee in ((0.0, 0.0), (5.0, 0.0), (5.0, 0.001)):
        path = write_config(
            tmp_path,
            mock=SHORT,
            data={"lookback_bars": 200, "funding_rate_8h": 0.0},
            broker={"slippage_bps": slip, "commission": fee},
            strategy={"entry_logic": {"params": {"e_min_edge": 0.0}}},
        )
        pnl.append(float(backtest(path).equity_end))
    assert pnl[0] > pnl[1] > pnl[2]


def test_nothing_is_decided_during_the_warm_up(short):
    config, market = loaded(short)
    result = run_backtest(config, market).result
    assert min(trade.entry_time for trade in result.trades) > market.trade_after
    assert result.equity[0][0] > market.trade_after
    assert result.bars > len(result.equity)


def test_no_pair_trades_on_a_bar_that_one_leg_does_not_have(tmp_path):
    path = write_config(tmp_path, mock={"bars": 2000, "seed": 5}, data={"lookback_bars": 200})
    config, market = loaded(path)
    result = run_backtest(config, market).result
    legs = {pair.pair_id: pair.symbols for pair in config.pairs}
    closes = {symbol: set(bars_of(market, symbol)) for symbol in config.symbols}
    assert any(len(closes[symbol]) < 2000 for symbol in config.symbols), "this market has holes"
    for trade in result.trades:
        for symbol in legs[trade.pair_id]:
            assert {trade.entry_time, trade.exit_time} <= closes[symbol]


# money


def test_a_pair_is_entered_with_both_legs_or_none_when_margin_is_short(tmp_path):
    path = write_config(
        tmp_path,
        mock=SHORT,
        data={"lookback_bars": 200},
        broker={"account": {"leverage": 1}},
        trading={"position_size": 0.6, "max_exposure": 2.0},
        execution={"max_position_size": 0.6},
    )
    result = backtest(path)
    told = {reason for refusal in result.refused for reason in refusal.reasons}
    assert "initial_margin" in told
    assert all(len(trade.legs) == 2 and all(leg.quantity for leg in trade.legs) for trade in result.trades)
    assert result.trades


def test_a_margin_call_leaves_everything_and_trades_no_more(tmp_path):
    path = write_config(
        tmp_path, mock=SHORT, data={"lookback_bars": 200}, broker={"maintenance_margin_pct": 100.0},
        trading={"position_size": 1.5, "max_exposure": 2.0}, execution={"max_position_size": 1.5},
        risk_management={"stop_loss_pct": None, "max_daily_loss": None, "max_daily_loss_pct": None},
    )  # fmt: skip
    result = backtest(path)
    assert result.trades[0].exit_reason == "margin_call"
    assert [reason for _, reason in result.risk_trips] == ["margin_call"]
    assert len(result.trades) == 1


def test_a_limit_that_trips_is_reported_with_its_date_and_stops_the_test(tmp_path):
    path = write_config(tmp_path, mock=SHORT, data={"lookback_bars": 200}, trading={"max_drawdown_pct": 0.1})
    result = backtest(path)
    (when, reason), *_ = [trip for trip in result.risk_trips if trip[1] == "max_drawdown"]
    assert reason == "max_drawdown"
    assert all(trade.entry_time < when for trade in result.trades)
    curve = np.array([value for time, value in result.equity if time <= when])
    peak = max(float(result.equity_start), curve.max())
    assert 100 * (peak - curve[-1]) / peak >= 0.1
    assert (100 * (1 - curve[:-1] / np.maximum.accumulate(curve)[:-1]) < 0.1).all()


def test_backtest_rearm_lets_the_test_go_on_the_next_day(tmp_path):
    path = write_config(
        tmp_path, mock=SHORT, data={"lookback_bars": 200}, trading={"max_drawdown_pct": 0.1},
        risk_management={"backtest_rearm": True},
    )  # fmt: skip
    result = backtest(path)
    first = result.risk_trips[0][0]
    later = [trade.entry_time for trade in result.trades if trade.entry_time > first]
    assert later and all(when.date() > first.date() for when in later[:1])


# funding


def funded(path: Path, rate: float, series: FundingSeries | None = None) -> RunResult:
    config, market = loaded(path)
    schedules = {
        symbol: FundingSchedule(series and replace(series, symbol=symbol), D(repr(rate))) for symbol in config.symbols
    }
    return run_backtest(config, replace(market, funding=schedules)).result


def test_longs_pay_a_positive_constant_and_shorts_receive_it(short):
    for rate in (0.001, -0.001):
        result = funded(short, rate)
        legs = [leg for trade in result.trades for leg in trade.legs if leg.funding]
        assert legs
        assert all((leg.quantity > 0) == (leg.funding < 0) for leg in legs) is (rate > 0)


def test_a_series_is_booked_at_its_own_times_and_marks(short):
    config, market = loaded(short)
    trade = run_backtest(config, market).result.trades[0]
    due = int(trade.entry_time.timestamp() * 1000) + 2 * 3_600_000 + 1_234
    series = FundingSeries("x", (due,), (D("0.01"),), (D(500),))
    result = funded(short, 0.0, series)
    booked = result.trades[0]
    assert [leg.funding for leg in booked.legs] == [-leg.quantity * 500 * D("0.01") for leg in booked.legs]
    assert sum(trade.pnl_funding for trade in result.trades[1:] if trade.entry_time > booked.exit_time) == 0


# formation windows


def with_window(tmp_path: Path, start: str, end: str, count: int = 3) -> Path:
    pairs = json.loads((CONFIGS / "0001.json").read_text(encoding="utf-8"))["pairs"]
    for pair in pairs[:count]:
        pair |= {"formation_start": start, "formation_end": end}
    return write_config(tmp_path, mock=SHORT, data={"lookback_bars": 200}, pairs=pairs)


def test_trades_inside_the_formation_window_are_labelled(tmp_path):
    result = backtest(with_window(tmp_path, "2024-01-01T00:00Z", "2024-01-20T00:00Z"))
    limit = datetime(2024, 1, 20, tzinfo=UTC)
    labels = {(trade.in_formation, trade.entry_time <= limit) for trade in result.trades}
    assert labels == {(True, True), (False, False)}
    assert not any("formation" in note for note in result.notes)


def test_a_run_wholly_inside_the_window_says_so_first(tmp_path):
    assert (
        backtest(with_window(tmp_path, "2024-01-01T00:00Z", "2025-01-01T00:00Z"))
        .notes[0]
        .startswith("this run lies wholly inside the formation window")
    )
    one = backtest(with_window(tmp_path, "2024-01-01T00:00Z", "2025-01-01T00:00Z", count=1))
    assert one.notes[0].startswith("for ETH_BTC this run lies wholly inside")


# other shapes


def test_a_one_symbol_config_has_one_leg_and_no_z(tmp_path):
    path = write_config(
        tmp_path, "0002_single_symbol.json", broker={"type": "mock"}, mock={"bars": 1500, "seed": 3},
        data={"data_source": "mock", "lookback_bars": 100},
        strategy={"entry_logic": {"name": "RSIBBEntryMixin", "params": {"e_rsi_oversold": 40, "e_bb_dev": 1.5}}},
        notifications=None,
    )  # fmt: skip
    result = backtest(path)
    assert result.trades
    for trade in result.trades:
        assert len(trade.legs) == 1 and trade.entry_z is None and trade.exit_z is None
        assert trade.direction == "long" and trade.pnl_funding == 0


def test_data_shorter_than_the_warm_up_are_told_in_a_sentence(tmp_path):
    path = write_config(tmp_path, mock={"bars": 1000}, data={"lookback_bars": 500})
    choice = DataChoice(end=datetime(2024, 1, 5, tzinfo=UTC))
    with pytest.raises(InputError, match="a warm-up of 500 leaves none to trade"):
        market_input(load_config(path, environ={}), choice)


def test_a_backtest_writes_no_file(short, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    backtest(short)
    assert sorted(tmp_path.rglob("*")) == before


# against a script of plain Backtrader


class PlainPair(bt.Strategy):
    """The z-score rules of config 0001 for one pair, as one would write them by hand."""

    params = {"trade_after": None, "steps": (D(1), D(1))}

    def __init__(self) -> None:
        self.spreads: list[float] = []
        self.fills: list[tuple] = []
        self.side = 0
        self.previous = float("nan")

    def next(self) -> None:
        a, b = self.data0.close[0], self.data1.close[0]
        spread = float(np.log(a) - 0.85 * np.log(b))
        window = self.spreads[-100:]
        self.spreads.append(spread)
        z = (spread - np.mean(window)) / np.std(window, ddof=1) if len(window) == 100 else float("nan")
        fresh = abs(z) >= 2.0 > abs(self.previous)
        self.previous = z
        if bt.num2date(self.data.datetime[0]) <= self.p.trade_after:
            return
        if self.side:
            frozen = (spread - self.mean) / self.std
            if abs(frozen) <= 0.5 or frozen * self.entry_sign < 0:
                self.close(self.data0)
                self.close(self.data1)
                self.side = 0
        elif fresh and abs(z) < 99.0:
            self.side, self.entry_sign = (-1 if z > 0 else 1), np.sign(z)
            self.mean, self.std = np.mean(window), np.std(window, ddof=1)
            gross = 0.1 * self.broker.getvalue()
            share = gross / 1.85
            self.order(share / a, share * 0.85 / b)

    def order(self, amount_a: float, amount_b: float) -> None:
        exact = (D(repr(amount_a)), D(repr(amount_b)))
        rounded = [(amount // step) * step for amount, step in zip(exact, self.p.steps, strict=True)]
        kept = min(done / amount for done, amount in zip(rounded, exact, strict=True))
        sizes = [float((amount * kept // step) * step) for amount, step in zip(exact, self.p.steps, strict=True)]
        (self.buy if self.side > 0 else self.sell)(self.data0, size=sizes[0])
        (self.sell if self.side > 0 else self.buy)(self.data1, size=sizes[1])

    def notify_order(self, order: bt.Order) -> None:
        if order.status == order.Completed:
            self.fills.append((order.data._name, round(order.executed.size, 6), round(order.executed.price, 6)))


def test_a_plain_backtrader_script_of_the_same_strategy_gives_the_same_fills(tmp_path):
    pair = {"pair_id": "ETH_BTC", "leg_a": "ETH/USDT", "leg_b": "BTC/USDT", "hedge_ratio": 0.85,
            "z_score_threshold": 2.0, "stop_loss_z": 99.0}  # fmt: skip
    path = write_config(
        tmp_path, mock={"bars": 1400, "seed": 7}, data={"lookback_bars": 200, "funding_rate_8h": 0.0}, pairs=[pair],
        broker={"slippage_bps": 0.0, "commission": 0.0005},
        strategy={"entry_logic": {"params": {"e_min_edge": 0.0}},
                  "exit_logic": {"params": {"x_stop_z": 99.0, "x_max_half_lives": 1000.0, "x_cooldown_bars": 0}}},
        trading={"max_drawdown_pct": 99.0},
        risk_management={"stop_loss_pct": None, "take_profit_pct": None, "max_daily_trades": None,
                         "max_daily_loss": None, "max_daily_loss_pct": None},
    )  # fmt: skip
    config, market = loaded(path)
    result = run_backtest(config, market).result
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(10_000.0)
    cerebro.broker.setcommission(commission=0.0005)
    for series in market.aligned(config.pairs[0]):
        cerebro.adddata(ArrayFeed(series=series, name=series.symbol))
    steps = tuple(market.rules[symbol].amount_step for symbol in config.symbols)
    cerebro.addstrategy(PlainPair, trade_after=market.trade_after.replace(tzinfo=None), steps=steps)
    (plain,) = cerebro.run()
    ours = []
    for trade in result.trades:
        ours += [(leg.symbol, round(float(leg.quantity), 6), round(float(leg.entry_price), 6)) for leg in trade.legs]
        ours += [(leg.symbol, round(-float(leg.quantity), 6), round(float(leg.exit_price), 6)) for leg in trade.legs]
    assert len(result.trades) >= 5
    assert plain.fills[: len(ours)] == ours
    assert cerebro.broker.getvalue() == pytest.approx(float(result.equity_end), abs=1e-6)


def test_two_books_that_disagree_are_never_reported(short, monkeypatch):
    config, market = loaded(short)
    monkeypatch.setattr("trading.backtesting.broker.fee", lambda *_: D("0.01"))
    with pytest.raises(RuntimeError, match="the books disagree"):
        run_backtest(config, market)
