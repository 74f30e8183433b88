"""Pairs that are traded are tested anew; one that falls apart is close-only, alike in a backtest and live."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pairs.cointegration import engle_granger
from tests.research.markets import market_folder, reverting, walk
from tests.trading.runs import backtest, write_config
from trading.config.loader import ConfigError, load_config
from trading.events import Alarm
from trading.live_trading_bot import LiveTradingBot
from trading.records import RunResult

BARS, BREAK = 1_500, 900
HEALTH = {"every_bars": 24, "window": 300}
START = datetime(2024, 1, 1, tzinfo=UTC)


def falls_apart(seed: int = 100) -> dict[str, np.ndarray]:
    """AAA/BBB keep together until the break and wander apart after it; CCC/DDD keep together throughout."""
    log_b, log_d = walk(seed, BARS), walk(seed + 1, BARS)
    spread = reverting(seed + 2, BARS)
    spread[BREAK:] = spread[BREAK] + np.cumsum(np.random.default_rng(seed).normal(0.0, 0.006, BARS - BREAK))
    return {"AAAUSDT": 1.0 + 0.8 * log_b + spread, "BBBUSDT": log_b,
            "CCCUSDT": 1.0 + 0.9 * log_d + reverting(seed + 3, BARS), "DDDUSDT": log_d}  # fmt: skip


def pair(leg_a: str, leg_b: str, ratio: float) -> dict[str, Any]:
    return {"pair_id": f"{leg_a}_{leg_b}", "leg_a": f"{leg_a}/USDT", "leg_b": f"{leg_b}/USDT", "hedge_ratio": ratio,
            "intercept": 1.0, "half_life_candles": 10.0}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a config of both pairs, with this section ``pair_health``."""
    monkeypatch.chdir(tmp_path)
    market_folder(tmp_path / "bars", falls_apart())
    pairs = [pair("AAA", "BBB", 0.8), pair("CCC", "DDD", 0.9)]
    return partial(write_config, tmp_path, pairs=pairs, data={"data_source": "replay", "dir": "bars"})


def entries(result: RunResult, pair_id: str) -> list[datetime]:
    return [trade.entry_time for trade in result.trades if trade.pair_id == pair_id]


def test_a_pair_that_falls_apart_is_not_entered_again_and_the_other_is(config: Any) -> None:
    free, watched = backtest(config()), backtest(config(pair_health=HEALTH))
    after = START + timedelta(hours=BREAK + 300)
    assert any(time > after for time in entries(free, "AAA_BBB"))
    assert not any(time > after for time in entries(watched, "AAA_BBB"))
    assert entries(watched, "CCC_DDD") == entries(free, "CCC_DDD")
    (note,) = [note for note in watched.notes if "close-only" in note]
    assert note.startswith("AAA_BBB was close-only") and " over 300 bars, wanted 0.2 or less" in note


def test_a_bot_does_what_the_backtest_does_and_tells_why(config: Any) -> None:
    path = config(pair_health=HEALTH)
    told: list[Alarm] = []
    bot = LiveTradingBot(path, environ={})
    bot.add_listener(lambda event: told.append(event) if isinstance(event, Alarm) else None)
    ran, tested = bot.run(), backtest(path)
    assert [(t.pair_id, t.entry_time, t.exit_time) for t in ran.trades] == [
        (t.pair_id, t.entry_time, t.exit_time) for t in tested.trades
    ]
    told = [alarm for alarm in told if "close-only" in alarm.message or "keeps together" in alarm.message]
    said = [alarm for alarm in told if alarm.pair_id == "AAA_BBB"]
    assert said[0].message.startswith("AAA_BBB is close-only, no more entries: p 0.")
    assert said[0].time.timestamp() % (24 * 3600) == 0
    assert not [alarm for alarm in told if alarm.pair_id == "CCC_DDD"]


def test_the_verdict_is_the_test_of_the_last_bars_of_the_window(config: Any) -> None:
    result = backtest(config(pair_health=HEALTH | {"max_hedge_drift": 1_000, "max_half_life_ratio": 1_000}))
    (note,) = [note for note in result.notes if "close-only" in note]
    logs, first = falls_apart(), note.split("first from ")[1][:17]
    end = round((datetime.strptime(first, "%Y-%m-%d %H:%MZ").replace(tzinfo=UTC) - START).total_seconds() / 3600)
    window = slice(end - 300, end)
    pvalue = engle_granger(logs["AAAUSDT"][window], logs["BBBUSDT"][window]).pvalue
    assert f"p {pvalue:.2g} over 300 bars" in note


def test_a_bar_that_is_missing_does_not_put_the_test_off_by_a_turn(config: Any, tmp_path: Path) -> None:
    path = config(pair_health=HEALTH)
    (first,) = (note.split("first from ")[1][:17] for note in backtest(path).notes if "close-only" in note)
    due = datetime.strptime(first, "%Y-%m-%d %H:%MZ").replace(tzinfo=UTC)
    for file in (tmp_path / "bars").iterdir():
        head, *rows = file.read_text().splitlines()
        opens = f"{due - timedelta(hours=1):%Y-%m-%dT%H:%M}"
        kept = [row for row in rows if not row.startswith(opens)]
        assert len(kept) == len(rows) - 1
        file.write_text("\n".join([head, *kept]))
    (late,) = (note.split("first from ")[1][:17] for note in backtest(path).notes if "close-only" in note)
    assert late == f"{due + timedelta(hours=1):%Y-%m-%d %H:%MZ}"


SICK: dict[str, tuple[dict[str, float], str]] = {
    "hedge ratio": ({"max_hedge_drift": 1e-6}, "hedge ratio 0."),
    "half-life": ({"max_half_life_ratio": 1e-3}, "half-life "),
    "time in trade": ({"max_half_lives": 0.1}, "in its trade for "),
}


@pytest.mark.parametrize("case", SICK)
def test_every_measure_can_make_a_pair_close_only(config: Any, case: str) -> None:
    limits, words = SICK[case]
    loose = {"max_pvalue": 1.0, "max_hedge_drift": 1_000, "max_half_life_ratio": 1_000, "max_half_lives": 1_000}
    result = backtest(config(pair_health=HEALTH | loose | limits))
    notes = [note for note in result.notes if "close-only" in note]
    assert notes and all(words in note for note in notes)


def test_a_pair_that_keeps_together_again_may_be_entered_again(config: Any) -> None:
    result = backtest(config(pair_health=HEALTH | {"max_pvalue": 0.01}))
    (note,) = [note for note in result.notes if note.startswith("CCC_DDD was close-only")]
    sick_since = datetime.strptime(note.split("first from ")[1][:17], "%Y-%m-%d %H:%MZ").replace(tzinfo=UTC)
    assert any(time > sick_since for time in entries(result, "CCC_DDD"))


def test_nothing_is_tested_unless_asked_for(config: Any) -> None:
    assert load_config(config(), environ={}).model.pair_health.every_bars is None
    assert not [note for note in backtest(config()).notes if "close-only" in note]


def test_a_history_too_short_for_the_verdict_is_refused(config: Any) -> None:
    with pytest.raises(ConfigError, match="needs 524 bars before the first answer, and the history has 500"):
        load_config(config(pair_health={"every_bars": 24, "window": 500}), environ={})
