"""Run a config as a bot: ``python trading_bot.py 0001.json``."""

from trading.trading_bot import main

if __name__ == "__main__":
    raise SystemExit(main())
