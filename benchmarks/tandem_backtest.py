"""The project's backtest of the same pair, from the config in FOLDER. Prints what it did as JSON.

Run by ``backtest_speed.py``: ``python tandem_backtest.py FOLDER``.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import backtrader as bt  # noqa: E402

from trading import backtest  # noqa: E402
from trading.backtesting.broker import BacktestPairBroker  # noqa: E402
from trading.config.loader import load_config  # noqa: E402
from trading.market_input import DataChoice, market_input  # noqa: E402

FILLS: list[tuple[str, str, float, float]] = []


class FillKeeper(BacktestPairBroker):
    """Also keeps each fill as the plain script does."""

    def on_order(self, order: bt.Order) -> None:
        if order.status == bt.Order.Completed:
            when = bt.num2date(order.executed.dt).strftime("%Y-%m-%dT%H:%M")
            FILLS.append((when, order.data._name.partition(":")[2], order.executed.size, order.executed.price))
        super().on_order(order)


def main(folder: Path) -> dict[str, Any]:
    backtest.BacktestPairBroker = FillKeeper  # type: ignore[misc]
    config = load_config(folder / "pair.json", environ={})
    market = market_input(config, DataChoice(folder=folder))
    before = time.process_time()
    result = backtest.run_backtest(config, market).result
    run_s = time.process_time() - before
    return {"run_s": run_s, "value": float(result.equity_end), "fills": FILLS}


if __name__ == "__main__":
    report = main(Path(sys.argv[1]))
    report |= {"total_s": time.process_time(), "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    print(json.dumps(report))
