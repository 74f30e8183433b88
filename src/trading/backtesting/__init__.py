"""A config on history: the strategy and the limits of a live run, on Backtrader's own loop."""
