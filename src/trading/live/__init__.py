"""A live run: bars and prices in, the strategy's decisions out, and what a run remembers of itself."""
