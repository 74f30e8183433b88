"""The bot and the backtest of one file agree, trade by trade."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest

from tests.trading.runs import CONFIGS, backtest, live, merged, write_config
from trading.journal.reads import JournalReader
from trading.market_input import DataChoice
from trading.records import LegRecord, RunResult, TradeRecord

MONEY = 1e-6
SHORT = {"bars": 900, "seed": 7}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def same(one: object, other: object, where: str) -> None:
    if isinstance(one, Decimal | float) and isinstance(other, Decimal | float):
        assert float(one) == pytest.approx(float(other), abs=MONEY), where
    else:
        assert one == other, where


def same_legs(ours: LegRecord, theirs: LegRecord, where: str) -> None:
    for field in fields(LegRecord):
        same(getattr(ours, field.name), getattr(theirs, field.name), f"{where}.{field.name}")


def same_trade(ours: TradeRecord, theirs: TradeRecord) -> None:
    where = f"{ours.pair_id} {ours.entry_time}"
    for field in fields(TradeRecord):
        if field.name != "legs":
            same(getattr(ours, field.name), getattr(theirs, field.name), f"{where} {field.name}")
    for one, other in zip(ours.legs, theirs.legs, strict=True):
        same_legs(one, other, f"{where} {one.symbol}")


def sorted_trades(result: RunResult) -> list[TradeRecord]:
    """Pairs that close at the same moment are booked in no particular order."""
    return sorted(result.trades, key=lambda trade: (trade.exit_time, trade.pair_id))


def assert_agree(bot: RunResult, test: RunResult) -> RunResult:
    ours, theirs = sorted_trades(bot), sorted_trades(test)
    assert [(t.pair_id, t.entry_time, t.exit_time) for t in ours] == [
        (t.pair_id, t.entry_time, t.exit_time) for t in theirs
    ]
    for one, other in zip(ours, theirs, strict=True):
        same_trade(one, other)
    assert sorted(bot.refused, key=str) == sorted(test.refused, key=str)
    assert [time for time, _ in bot.equity] == [time for time, _ in test.equity]
    assert [value for _, value in bot.equity] == pytest.approx([value for _, value in test.equity], abs=MONEY)
    assert len(bot.open) == len(test.open)
    for held, known in zip(bot.open, test.open, strict=True):
        same(
            (held.pair_id, held.direction, held.entry_time), (known.pair_id, known.direction, known.entry_time), "open"
        )
        same(held.unrealised, known.unrealised, f"open {held.pair_id}")
    for name in ("bars", "signals", "bars_in_position", "start", "end", "equity_start", "notes", "risk_trips"):
        same(getattr(bot, name), getattr(test, name), name)
    same(bot.equity_end, test.equity_end, "equity_end")
    same(bot.turnover_notional, test.turnover_notional, "turnover")
    return bot


def agree(path: Path, choice: DataChoice | None = None) -> RunResult:
    return assert_agree(live(path, choice), backtest(path, choice))


def decisions(config: str = "0001") -> list:
    with JournalReader.open(Path("state") / f"{config}_mock.journal.sqlite") as journal:
        return list(journal.decisions())


def test_the_shipped_config_agrees_through_holes_in_its_market():
    result = agree(CONFIGS / "0001.json")
    assert len(result.trades) >= 5


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("method", ["ols", "tls", "kalman"])
def test_every_hedge_method_agrees(method, seed, tmp_path):
    hedge = {"method": method, "prices": "log", "window": 200, "refit_every": 24}
    pairs = [{"pair_id": "ETH_BTC", "leg_a": "ETH/USDT", "leg_b": "BTC/USDT"},
             {"pair_id": "ADA_XRP", "leg_a": "ADA/USDT", "leg_b": "XRP/USDT"}]  # fmt: skip
    path = write_config(
        tmp_path,
        mock={"bars": 700, "seed": seed},
        pairs=pairs,
        strategy={"hedge": hedge, "entry_logic": {"params": {"e_min_edge": 0.0}}},
        data={"lookback_bars": 320},
    )
    assert agree(path).signals > 0


@pytest.mark.parametrize("method", ["risk", "kelly", "volatility"])
@pytest.mark.parametrize("neutrality", ["beta", "dollar"])
def test_every_sizing_method_agrees(method, neutrality, tmp_path):
    sizing = {"method": method, "neutrality": neutrality, "scale_by_strength": True, "kelly_cap": 1.0}
    path = write_config(
        tmp_path,
        mock=SHORT,
        strategy={"sizing": sizing},
        execution={"max_position_size": 1.0},
        trading={"max_exposure": 4.0},
        risk_management={"max_leverage": 4.0},
        broker={"account": {"leverage": 4}},
    )
    gross = [float(abs(leg.quantity) * leg.entry_price) for trade in agree(path).trades for leg in trade.legs]
    assert max(gross) > 1.5 * min(gross), "the method decides the size, not a limit"


def test_risk_exits_agree(tmp_path):
    tight = {"stop_loss_pct": 0.4, "take_profit_pct": 0.6, "max_daily_loss": 20.0,
             "trailing_stop": {"enabled": True, "activation_pct": 0.3, "trailing_pct": 0.2}}  # fmt: skip
    result = agree(write_config(tmp_path, mock=SHORT, risk_management=tight))
    reasons = {trade.exit_reason for trade in result.trades}
    assert {"stop_loss", "take_profit", "trailing_stop"} <= reasons


@pytest.mark.parametrize(
    ("trading", "risk", "reason"),
    [
        ({"max_positions": 1}, {}, "max_positions"),
        ({"max_exposure": 0.15}, {}, "max_exposure"),
        ({}, {"max_daily_trades": 1}, "max_daily_trades"),
        ({}, {"max_daily_loss": 0.5}, "max_daily_loss"),
    ],
)
def test_refusals_agree(trading, risk, reason, tmp_path):
    result = agree(write_config(tmp_path, mock=SHORT, trading=trading, risk_management=risk))
    assert reason in {why for refusal in result.refused for why in refusal.reasons}


LARGE = {
    "execution": {"max_position_size": 1.5},
    "broker": {"account": {"leverage": 4}},
    "strategy": {"entry_logic": {"params": {"e_min_edge": 0.0}}},
}


def test_a_cap_on_each_pair_agrees(tmp_path):
    path = write_config(
        tmp_path,
        mock=SHORT,
        strategy={"sizing": {"method": "volatility"}},
        execution={"max_position_size": 1.0},
        trading={"max_pair_exposure": 0.69},
    )
    result = agree(path)
    assert "max_pair_exposure" in {why for refusal in result.refused for why in refusal.reasons}
    assert result.trades, "some are small enough"


def test_leverage_and_margin_agree(tmp_path):
    """A second pair would be more than the account carries. The account's leverage is at most ``max_leverage``."""
    path = write_config(
        tmp_path,
        mock=SHORT,
        trading={"position_size": 0.6, "max_exposure": 4.0, "max_drawdown_pct": 90.0},
        risk_management={"max_leverage": 1.0, "max_daily_loss": None, "max_daily_loss_pct": None},
        **merged(LARGE, {"broker": {"account": {"leverage": 1}}}),
    )
    result = agree(path)
    assert {"max_leverage", "initial_margin"} <= {why for refusal in result.refused for why in refusal.reasons}
    assert result.trades


def test_a_distance_to_liquidation_agrees_in_what_it_refuses_and_in_what_it_leaves(tmp_path):
    """1.5 times equity stands 66.2 % off when it is entered: a second pair comes too near, and so does a small loss."""
    near = {"max_leverage": 4.0, "min_liquidation_distance_pct": 66.0, "max_daily_loss_pct": None}
    path = write_config(
        tmp_path,
        mock=SHORT,
        trading={"position_size": 1.5, "max_exposure": 4.0, "max_drawdown_pct": 90.0},
        risk_management=near | {"max_daily_loss": None},
        **LARGE,
    )
    result = agree(path)
    assert "min_liquidation_distance_pct" in {why for refusal in result.refused for why in refusal.reasons}
    assert "liquidation_distance" in {trade.exit_reason for trade in result.trades}


@pytest.mark.parametrize("hours", [None, 60.0])
def test_a_quarantine_agrees(hours, tmp_path):
    tight = {"stop_loss_pct": 0.2, "max_stops_per_pair": 1, "quarantine_hours": hours, "max_daily_loss": None}
    path = write_config(
        tmp_path,
        mock=SHORT,
        strategy={
            "entry_logic": {"params": {"e_window": 40, "e_entry_z": 1.6, "e_min_edge": 0.0}},
            "exit_logic": {"params": {"x_exit_z": 1.4, "x_cooldown_bars": 0}},
        },
        risk_management=tight,
    )
    result = agree(path)
    assert "quarantined" in {why for refusal in result.refused for why in refusal.reasons}
    refused = [refusal.time for refusal in result.refused if "quarantined" in refusal.reasons]
    assert all(trade.entry_time not in refused for trade in result.trades)


def test_a_drawdown_that_latches_agrees(tmp_path):
    result = agree(write_config(tmp_path, mock=SHORT, trading={"max_drawdown_pct": 0.1}))
    assert result.risk_trips and any("breaker" in reason for refusal in result.refused for reason in refusal.reasons)


def test_one_symbol_on_spot_agrees(tmp_path):
    path = write_config(
        tmp_path,
        "0002_single_symbol.json",
        broker={"type": "mock"},
        data={"data_source": "mock", "lookback_bars": 100, "symbol": "BTCUSDT"},
        mock={"bars": 1500, "seed": 3},
        strategy={"entry_logic": {"name": "RSIBBEntryMixin",
                                  "params": {"e_rsi_oversold": 40, "e_bb_dev": 1.5}}},
        notifications=None,
    )  # fmt: skip
    assert len(agree(path).trades) >= 3


@pytest.mark.parametrize(("leg_a", "leg_b"), [("UST/USDT", "EUR/USDT"), ("SOL/USDT", "AVAX/USDT")])
def test_carried_legs_agree(leg_a, leg_b, shared_data, tmp_path):
    """The other leg's bars are used, with the last close in place of what is missing; a dead coin is carried on."""
    choice = DataChoice(shared_data("spot_1h"), None, day("2022-03-25"), day("2022-06-01"))
    pairs = [{"pair_id": "P", "leg_a": leg_a, "leg_b": leg_b}]
    carry = write_config(tmp_path, "real_pairs_1h.json", pairs=pairs, data={"missing_leg": "carry"})
    assert len(agree(carry, choice).trades) > 0


def test_carrying_adds_the_bars_that_waiting_drops(shared_data, tmp_path):
    choice = DataChoice(shared_data("spot_1h"), None, day("2022-03-25"), day("2022-06-01"))
    pairs = [{"pair_id": "P", "leg_a": "UST/USDT", "leg_b": "EUR/USDT"}]
    carried, dropped = (
        backtest(write_config(tmp_path, "real_pairs_1h.json", pairs=pairs, data={"missing_leg": policy}), choice)
        for policy in ("carry", "wait")
    )
    assert carried.bars > dropped.bars


def test_real_hours_agree(shared_data):
    choice = DataChoice(shared_data("futures_1h"), None, day("2023-01-01"), day("2023-03-01"))
    assert len(agree(CONFIGS / "real_pairs_1h.json", choice).trades) >= 5


def test_a_coin_that_dies_and_legs_with_holes_agree(shared_data, tmp_path):
    """Funding is marked at a symbol's own last close; an exit that cannot be is asked for once."""
    pairs = [{"pair_id": "UST_EUR", "leg_a": "UST/USDT", "leg_b": "EUR/USDT"},
             {"pair_id": "ETH_BTC", "leg_a": "ETH/USDT", "leg_b": "BTC/USDT"}]  # fmt: skip
    path = write_config(tmp_path, "real_pairs_1h.json", pairs=pairs)
    choice = DataChoice(shared_data("spot_1h"), None, day("2022-03-25"), day("2022-06-01"))
    result = agree(path, choice)
    assert [held.pair_id for held in result.open if held.pair_id == "UST_EUR"] == ["UST_EUR"]
    assert result.signals <= 2 * len(result.trades) + len(result.open) + len(result.refused) + 2


def test_funding_from_a_series_and_from_the_constant_agrees(shared_data):
    """The recorded series begins on 2025-03-06: before it the constant is due, after it the series."""
    choice = DataChoice(shared_data("futures_1h"), shared_data("funding_8h"), day("2025-02-01"), day("2025-03-20"))
    result = agree(CONFIGS / "real_pairs_1h.json", choice)
    (note,) = [note for note in result.notes if note.startswith("funding")]
    recorded, constant = int(note.split()[1]), int(note.split("series, ")[1].split()[0])
    assert recorded > 0 and constant > 0, note
    assert any(trade.pnl_funding for trade in result.trades)


def test_the_same_seed_gives_the_same_decisions_to_the_last_bit(tmp_path):
    hashes = set()
    for name in ("one", "two"):
        path = write_config(tmp_path, name=f"{name}.json", bot_id=name, mock={"bars": 700})
        live(path)
        hashes.add(sha256(repr(decisions(name)).encode()).hexdigest())
    assert len(hashes) == 1
    assert decisions("one")


def test_funding_heard_long_after_it_fell_due_agrees(tmp_path):
    """By then pairs that were left on that very bar are closed; equity may show it a bar later."""
    late = {"kind": "event_late", "on": "events", "rate": 1.0, "delay_ms": 20 * 60_000}
    plan = write_config(tmp_path, mock=SHORT, data={"funding_rate_8h": 0.001})
    path = write_config(
        tmp_path, name="late.json", mock=SHORT, data={"funding_rate_8h": 0.001}, broker={"faults": [late]}
    )
    bot, test = live(path), backtest(plan)
    due = [trade for trade in test.trades if trade.exit_time.hour % 8 == 0]
    assert any(trade.pnl_funding for trade in due)
    for ours, theirs in zip(sorted_trades(bot), sorted_trades(test), strict=True):
        same(ours.pnl_funding, theirs.pnl_funding, f"{ours.pair_id} {ours.entry_time}")
