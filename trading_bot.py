"""Run a config as a bot: ``python trading_bot.py 0001.json``."""

if __name__ == "__main__":
    try:
        from trading.trading_bot import main

        code = main()
    except KeyboardInterrupt:  # also while the libraries are being loaded
        code = 130
    raise SystemExit(code)
