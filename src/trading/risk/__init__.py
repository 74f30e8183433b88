"""The parts of RiskGuard: limits, state, exposure, stops, and what is told of them."""
