"""Whether a bot is well enough for its heartbeat."""

from __future__ import annotations

from trading.live.assembly import LivePath
from trading.risk_guard import Breaker

PATIENCE_S = 10.0


class Wellness:
    """Asked on a thread of its own: an exchange loop that does not answer is not well either."""

    def __init__(self, path: LivePath) -> None:
        self._path = path

    def __call__(self) -> bool:
        """Running, not halted (as it is when the journal cannot be written), market up, no feed stale."""
        return self._path.loop.post(self._look()).result(PATIENCE_S)

    async def _look(self) -> bool:
        path = self._path
        is_fresh = path.session.progress.is_market_up and not path.session.stale_pairs
        return is_fresh and path.floor.guard.breaker is not Breaker.HALTED
