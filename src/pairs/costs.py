"""What a round trip costs, in the units of the spread, so that an entry can be asked to pay for itself."""

from __future__ import annotations

from dataclasses import dataclass

from pairs.words import SpreadStatistics

FUNDING_INTERVAL_HOURS = 8.0


@dataclass(frozen=True, slots=True)
class TradingCosts:
    """Fractions of notional per fill (``fee_rate``, ``slippage_rate``) and per eight hours (``funding_rate_8h``)."""

    fee_rate: float = 0.0
    slippage_rate: float = 0.0
    funding_rate_8h: float = 0.0

    def round_trip(self, statistics: SpreadStatistics, price_a: float, price_b: float, *, hold_hours: float) -> float:
        """Cost of four fills and of the expected net funding over ``hold_hours``, in units of the spread.

        In logs one unit of spread earns the notional of leg A, in levels one unit of leg A's quantity; the cost of
        the legs is scaled accordingly. Funding is taken against us: the legs pay and receive the same rate, so what
        remains is the difference of their notionals.
        """
        beta = abs(statistics.hedge_ratio)
        notional_a, notional_b = (1.0, beta) if statistics.prices == "log" else (price_a, beta * price_b)
        fills = 2.0 * (notional_a + notional_b) * (self.fee_rate + self.slippage_rate)
        settlements = hold_hours / FUNDING_INTERVAL_HOURS
        return fills + abs(notional_a - notional_b) * abs(self.funding_rate_8h) * settlements
