"""How far each account stands from its liquidation: by what its ledger holds, or by what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trading.risk.exposure import Exposure
from trading.risk.limits import RiskLimits
from trading.risk.stops import MarginSeen, liquidation_distance_pct


class Margins:
    """A view of ``exposure``. ``account_of``: which account a pair stands on; None: all on one, without a name.
    ``equity``: of each account, where there are several."""

    def __init__(self, limits: RiskLimits, exposure: Exposure) -> None:
        self._maintenance_pct, self._exposure = limits.maintenance_margin_pct, exposure
        self._seen: dict[str, MarginSeen] = {}
        self.account_of: Callable[[str], str] | None = None
        self.equity: Mapping[str, float] = {}

    def note(self, account: str, equity: float, maintenance: float) -> None:
        """What it says of itself, in quote currency."""
        self._seen[account] = MarginSeen(equity, maintenance, self.exposure_of(account).gross)

    def account(self, pair_id: str) -> str:
        return "" if self.account_of is None else self.account_of(pair_id)

    @property
    def accounts(self) -> list[str]:
        """Those that hold anything."""
        return sorted({self.account(pair_id) for pair_id in self._exposure.pairs})

    def exposure_of(self, account: str) -> Exposure:
        if self.account_of is None:
            return self._exposure
        return self._exposure.only(lambda pair_id: self.account(pair_id) == account)

    def distance_pct(self, account: str, gross: float, equity: float) -> float:
        """With ``gross`` in its place, the lesser of both. ``equity``: of the account, where it has no other."""
        by_ledger = self.by_ledger_pct(account, gross, equity)
        seen = self._seen.get(account)
        return by_ledger if seen is None else min(by_ledger, seen.distance_pct(gross, self._maintenance_pct))

    def by_ledger_pct(self, account: str, gross: float, equity: float) -> float:
        return liquidation_distance_pct(self.equity.get(account, equity), gross, self._maintenance_pct)

    def least_pct(self, equity: float) -> float:
        """Of the account that stands nearest; infinite without positions."""
        distances = (self.distance_pct(one, self.exposure_of(one).gross, equity) for one in self.accounts)
        return min(distances, default=float("inf"))
