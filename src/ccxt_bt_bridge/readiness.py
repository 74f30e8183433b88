"""Whether an exchange is in a state to begin anything on: its clock, the way there, and its patience."""

from __future__ import annotations

from ccxt_bt_bridge.request_room import LIMITS
from ccxt_bt_bridge.session import DOUBTFUL_MS, CcxtSession

WEIGHT_OF_A_TRADE = 100  # four orders, and the questions that an uncertain one takes


def doubts_about(session: CcxtSession) -> tuple[str, ...]:
    """Why nothing should be begun there now, empty when all is well. Closing is another matter.

    ``clock_offset``: two measurements of its time disagree; ``slow_round_trip``: an order would be half-way out of its
    window when it arrives; ``rate_banned``: the exchange wants silence; ``rate_room``: it is about to.
    """
    clock, gate, settings = session.clock, session.gate, session.settings
    limit = LIMITS.get(settings.exchange_id)
    tests = (
        # An exchange on this machine has a time of its own, which may leap.
        (settings.url is None and abs(clock.correction_ms) > DOUBTFUL_MS, "clock_offset"),
        (clock.round_trip_s * 1000.0 > settings.recv_window_ms / 2, "slow_round_trip"),
        (gate.left_s > 0, "rate_banned"),
        (limit is not None and limit - gate.weight_used < WEIGHT_OF_A_TRADE, "rate_room"),
    )
    return tuple(name for is_so, name in tests if is_so)
