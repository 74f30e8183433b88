"""Paper trading: a real market's quotes and bars, simulated fills and a simulated account. No private call is made."""
