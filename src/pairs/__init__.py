"""Words and mathematics of pair trading. No I/O, no Backtrader, no exchange."""
