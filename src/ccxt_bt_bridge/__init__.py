"""A bridge between ccxt exchanges and Backtrader that stands alone: it knows nothing of pairs or config files."""
