"""What crosses between the exchange loop and a strategy."""

from __future__ import annotations

from datetime import UTC, datetime

from ccxt_bt_bridge.hub import Hub
from pairs.words import Direction, PairPosition, PairState
from trading.live.pair_broker import LivePairBroker
from trading.live.pair_gateway import PairGateway, StepView
from trading.pair_health import HealthTerms, PairHealth
from trading.risk_guard import RiskExit

T0 = datetime(2024, 1, 1, tzinfo=UTC)


def held(pair_id: str) -> PairPosition:
    return PairPosition(pair_id, PairState.OPEN, Direction.LONG, (), T0, None, None, None, 1.0)


class Desks:
    """Stands for a strategy: which desk was told what."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    desks = ()

    def desk(self, pair_id: str):
        told = self.told

        class Desk:
            def on_exit(self, reason: str) -> None:
                told.append((pair_id, reason))

        return Desk()


def unwatched() -> PairHealth:
    return PairHealth(HealthTerms(), interval_ms=3_600_000, trade_after=T0, tell=lambda change: None)


def test_an_exit_between_bars_is_seen_at_once_and_told_once():
    gateway = PairGateway(Hub(), StepView(T0, 1.0, 1.0, {"A_B": held("A_B"), "C_D": held("C_D")}))
    broker, desks = LivePairBroker(gateway, unwatched()), Desks()
    broker.bind(desks)
    gateway.tell_exit(RiskExit("A_B", "stop"))
    states = {pair_id: position.state for pair_id, position in gateway.view.positions.items()}
    assert states == {"A_B": PairState.EXITING, "C_D": PairState.OPEN}
    assert broker.position("A_B") is not None and not broker.position("A_B").is_open
    for _ in range(2):
        broker.begin_step(T0, {})
    assert desks.told == [("A_B", "stop")]


def test_an_exit_of_what_the_view_does_not_hold_is_told_all_the_same():
    gateway = PairGateway(Hub(), StepView(T0, 1.0, 1.0, {}))
    gateway.tell_exit(RiskExit("A_B", "stop"))
    assert gateway.view.positions == {}
    assert list(gateway.take_exits()) == [RiskExit("A_B", "stop")]
