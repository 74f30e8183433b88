"""Back-test a config: ``python backtest.py 0001.json``."""

from trading.commands.backtest import main

if __name__ == "__main__":
    raise SystemExit(main())
