"""See that a config is ready to run: ``python test_live_bot_config.py 0001.json``. (A command, no unit test.)"""

from trading.commands.preflight import main

if __name__ == "__main__":
    raise SystemExit(main())
