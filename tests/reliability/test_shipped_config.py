"""The shipped config on an exchange where almost everything fails at times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.reliability.bot_days import inside
from tests.reliability.draws import EVENT_FAULTS, FEED_FAULTS, ORDER_FAULTS, OUTAGES
from tests.reliability.files import differences, rows
from tests.trading.runs import live, write_config

LEAST_KINDS = 10


def faults() -> list[dict[str, Any]]:
    """Every kind that a bot must survive without a person, each now and then."""
    orders = [{"kind": kind, "on": "create_order", **_mean(ORDER_FAULTS[kind]), "rate": 0.03} for kind in ORDER_FAULTS]
    told = [
        {"kind": kind, **_mean(table[kind]), "rate": 0.01} for table in (EVENT_FAULTS, FEED_FAULTS) for kind in table
    ]
    outages = [
        {"kind": kind, "on": "account", **_mean(OUTAGES[kind]), "at": 100 * number}
        for number, kind in enumerate(OUTAGES, start=1)
    ]
    halt = {"kind": "halt", "symbol": "ETHUSDT", "at": 500, "delay_ms": 5_400_000}
    return [one | {"times": 1_000} if "rate" in one else one for one in (*orders, *told, *outages, halt)]


def _mean(ranges: dict[str, tuple[float, float]]) -> dict[str, float]:
    means = {name: sum(ends) / 2 for name, ends in ranges.items()}
    return {name: round(mean) if name == "delay_ms" else mean for name, mean in means.items()}


def test_the_shipped_config_survives_faults_of_many_kinds(tmp_path: Path, tell: Callable[..., None]) -> None:
    script = faults()
    with inside(tmp_path):
        result = live(write_config(tmp_path, bot_id="day", broker={"latency_ms": 200, "faults": script}))
    journal, exchange = (tmp_path / "state" / f"day_mock.{of}.sqlite" for of in ("journal", "exchange"))
    broken = differences(journal, exchange)
    struck = {script[index]["kind"] for index, fired in rows(exchange, "SELECT fault, fired FROM faults") if fired}
    tell("0001.json with faults", kinds=len(struck), trades=len(result.trades), violations=len(broken))
    assert not broken, broken
    assert len(struck) >= LEAST_KINDS, struck
    assert result.trades
    assert result.bars > 1_900  # it has seen the market's end
