from __future__ import annotations

import asyncio

import pytest

from trading.position_tracker import HISTORY, PositionTracker


def opened(tracker: PositionTracker, **fields):
    wanted = {"symbol": "BTC/USDT", "side": "LONG", "quantity": 0.1, "entry_price": 50_000.0} | fields
    return asyncio.run(tracker.open_position(**wanted))


def test_profit_follows_the_price_of_any_notation():
    tracker = PositionTracker()
    position = opened(tracker, stop_loss=48_000.0, take_profit=55_000.0)
    assert (position.symbol, position.unrealized_pnl, position.current_price) == ("BTCUSDT", 0.0, 50_000.0)
    tracker.update_position_pnl("BTCUSDT", current_price=51_000.0)
    known = tracker.get_position("BTC/USDT:USDT")
    assert known.unrealized_pnl == pytest.approx(100.0) and known.current_price == 51_000.0
    assert (known.stop_loss_price, known.take_profit_price, known.price_stop) == (48_000.0, 55_000.0, None)


@pytest.mark.parametrize(
    ("side", "price", "reason"),
    [("LONG", 47_999.0, "stop_loss"), ("LONG", 55_000.0, "take_profit"), ("LONG", 50_000.0, None),
     ("SHORT", 52_000.0, "stop_loss"), ("SHORT", 45_000.0, "take_profit"), ("SHORT", 50_000.0, None)],
)  # fmt: skip
def test_a_price_level_is_reached_from_its_own_side(side, price, reason):
    levels = (48_000.0, 55_000.0) if side == "LONG" else (52_000.0, 45_000.0)
    tracker = PositionTracker()
    opened(tracker, side=side, stop_loss=levels[0], take_profit=levels[1])
    tracker.update_position_pnl("BTCUSDT", price)
    assert tracker.get_position("BTCUSDT").price_stop == reason


def test_the_portfolio_counts_winners_losers_and_what_is_realised():
    tracker = PositionTracker()
    opened(tracker)
    opened(tracker, symbol="ETHUSDT", side="SHORT", quantity=1.0, entry_price=2_000.0)
    opened(tracker, symbol="SOLUSDT", quantity=1.0, entry_price=100.0)
    for symbol, price in (("BTCUSDT", 50_500.0), ("ETHUSDT", 2_100.0)):
        tracker.update_position_pnl(symbol, price)
    closed = asyncio.run(tracker.close_position("SOLUSDT", 110.0, "done"))
    assert (closed.realized_pnl, closed.close_reason, closed.is_open) == (pytest.approx(10.0), "done", False)
    assert tracker.get_portfolio_stats() == {
        "total_positions": 2, "total_unrealized_pnl": pytest.approx(-50.0), "winning_positions": 1,
        "losing_positions": 1, "closed_positions": 1, "total_realized_pnl": pytest.approx(10.0),
    }  # fmt: skip
    assert [p.symbol for p in tracker.get_winning_positions()] == ["BTCUSDT"]
    assert [p.symbol for p in tracker.get_losing_positions()] == ["ETHUSDT"]


def test_the_same_symbol_on_two_exchanges_is_two_positions():
    tracker = PositionTracker()
    opened(tracker, exchange="one")
    opened(tracker, exchange="two", side="SHORT")
    tracker.update_position_pnl("BTCUSDT", 51_000.0, exchange="two")
    assert tracker.get_position("BTCUSDT", "one").unrealized_pnl == 0.0
    assert tracker.get_position("BTCUSDT", "two").unrealized_pnl == pytest.approx(-100.0)
    asyncio.run(tracker.close_position("BTCUSDT", exchange="one"))
    assert [position.exchange for position in tracker.open_positions] == ["two"]


def test_what_is_not_held_is_closed_by_nobody():
    tracker = PositionTracker()
    assert asyncio.run(tracker.close_position("BTCUSDT")) is None and tracker.get_position("BTCUSDT") is None


@pytest.mark.parametrize("fields", [{"side": "BUY"}, {"quantity": 0.0}, {"entry_price": float("nan")}])
def test_what_is_no_position_is_refused(fields):
    with pytest.raises(ValueError, match="wanted"):
        opened(PositionTracker(), **fields)


def test_a_second_position_of_a_symbol_is_refused():
    tracker = PositionTracker()
    opened(tracker)
    with pytest.raises(ValueError, match="open already"):
        opened(tracker)


def test_the_history_keeps_the_last_ones():
    tracker = PositionTracker()
    for number in range(HISTORY + 1):
        opened(tracker, entry_price=100.0 + number)
        asyncio.run(tracker.close_position("BTCUSDT"))
    assert len(tracker.position_history) == HISTORY and tracker.position_history[0].entry_price == 101.0
