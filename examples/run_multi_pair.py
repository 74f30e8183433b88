"""Run several pairs from Python: ``python examples/run_multi_pair.py [CONFIG]``.

A listener is told every event of the run, here it prints closed pair trades; the result has everything else.
"""

from __future__ import annotations

import os
import sys

from trading.events import Event, PairClosed
from trading.live_trading_bot import LiveTradingBot


def tell(event: Event) -> None:
    if isinstance(event, PairClosed):
        trade = event.trade
        print(f"{trade.exit_time:%Y-%m-%d %H:%M} {trade.pair_id} {trade.exit_reason} {trade.pnl:+.2f}")


def main(config: str) -> None:
    bot = LiveTradingBot(config, environ=os.environ)
    bot.add_listener(tell)
    result = bot.run()
    profits = {pair_id: 0 for pair_id in sorted({trade.pair_id for trade in result.trades})}
    for trade in result.trades:
        profits[trade.pair_id] += trade.pnl
    for pair_id, profit in profits.items():
        print(f"{pair_id:10} {profit:+10.2f}")
    print(f"{'equity':10} {bot.get_status()['equity']:10.2f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "0001.json")
