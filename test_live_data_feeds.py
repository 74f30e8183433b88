"""See that a source of bars works: ``python test_live_data_feeds.py binance BTCUSDT 1m``. (A command, no unit test.)"""

from trading.commands.feed import main

if __name__ == "__main__":
    raise SystemExit(main())
