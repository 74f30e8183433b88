"""A disk that refuses one commit at the worst moment: whoever asked for something hears what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from ccxt_bt_bridge.hub import Hub
from ccxt_bt_bridge.words import NotPlaced
from pairs.words import PairState
from tests.trading.engines import BTC, market, open_exchange, started
from tests.trading.execution.engine_rig import Rig, assert_sound, fast_files, open_world, start_rig
from tests.trading.plays import play, resume
from tests.virtual_time import run_virtual
from trading.events import EntryRefused, OrderFailed, PairClosed, PairOpened
from trading.execution.settings import ExecutionSettings
from trading.execution_engine import SignalAction, TradingSignal
from trading.journal.errors import JournalUnwritable
from trading.journal.writer import Journal
from trading.live.pair_gateway import PairGateway, StepView

REFUSED_S = 60.0
ENDS = (PairOpened, PairClosed, OrderFailed, EntryRefused)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch):
    """``refuse(state)``: from the first commit on that says that state, every commit is refused for a minute."""

    def begin(state: PairState) -> None:
        until: list[float] = []
        save, transaction = Journal.save_position, Journal.transaction

        def save_position(self: Journal, pair_id: str, wanted: PairState, payload: dict) -> None:
            if wanted is state and not until:
                until.append(asyncio.get_running_loop().time() + REFUSED_S)
            save(self, pair_id, wanted, payload)

        @contextmanager
        def refusing(self: Journal) -> Iterator[None]:
            if until and asyncio.get_running_loop().time() < until[0]:
                raise JournalUnwritable("database or disk is full")
            with transaction(self):
                yield

        monkeypatch.setattr(Journal, "save_position", save_position)
        monkeypatch.setattr(Journal, "transaction", refusing)

    return begin


def test_a_strategy_hears_that_its_pair_is_open(refuse, tmp_path):
    async def script(rig: Rig) -> None:
        gateway, posted = PairGateway(Hub(), StepView(None, 0.0, 0.0, {})), []
        gateway.connect(SimpleNamespace(post=posted.append), {("A_B", symbol): symbol for symbol in "AB"})
        rig.floor.bus.add(gateway.on_event)
        order = rig.enter()
        for number, leg in enumerate(order.legs):
            info = {"pair_order": order}
            gateway.submit(
                SimpleNamespace(ref=number, key=leg.symbol, symbol=leg.symbol, amount=leg.quantity, info=info)
            )
        refuse(PairState.OPEN)
        await rig.engine.execute(posted[0])
        assert rig.state() is PairState.OPEN and len(rig.of(PairOpened)) == 1
        assert not gateway.is_pending(order.ref)

    play(tmp_path, script)


def test_the_stop_of_a_signal_is_watched_all_the_same(refuse, tmp_path):
    async def main() -> None:
        exchange = open_exchange(market([50_000.0] * 3 + [40_000.0] * 10), tmp_path / "exchange.sqlite")
        async with started(exchange, tmp_path, moves=True, watch_s=5.0) as engine:
            refuse(PairState.OPEN)
            buy = TradingSignal(symbol=BTC, action=SignalAction.BUY, quantity=0.01, stop_loss=48_000.0)
            assert (await engine.execute_signal(buy)).success
            await asyncio.sleep(8 * 3_600)
            assert exchange.venue.account.ledger.amount(BTC) == 0
        exchange.close()

    run_virtual(main())


@pytest.mark.parametrize("state", [PairState.UNWINDING, PairState.FLAT])
def test_an_entry_that_is_unwound_is_told_and_counted(state, refuse, tmp_path):
    async def script(rig: Rig) -> None:
        create = rig.port.create_order

        async def refusing(request):
            if request.symbol == "B" and not request.reduce_only:
                return NotPlaced("-1013", "no")
            return await create(request)

        rig.port.create_order = refusing
        refuse(state)
        order = rig.enter()
        await rig.engine.execute(order)
        assert rig.state() is PairState.FLAT
        assert [(event.order.ref, event.reason) for event in rig.of(OrderFailed)] == [
            (order.ref, "unwound:hedge_failed")
        ]
        assert len(rig.guard.state.failures) == 1

    play(tmp_path, script)


def test_an_exit_that_would_not_close_is_over_when_it_is_halted(tmp_path):
    async def script(rig: Rig) -> None:
        create, refuses = rig.port.create_order, [True]

        async def refusing(request):
            if request.reduce_only and refuses:
                return NotPlaced("-1001", "internal error")
            return await create(request)

        await rig.engine.execute(rig.enter())
        rig.port.create_order = refusing
        order = rig.leave()
        await rig.engine.execute(order)
        assert rig.state() is PairState.HALTED
        assert [(event.order.ref, event.reason) for event in rig.of(OrderFailed)] == [(order.ref, "cannot_close")]
        refuses.clear()
        await resume(rig)
        await asyncio.sleep(10)
        assert rig.state() is PairState.FLAT and len(rig.of(PairClosed)) == 1

    play(tmp_path, script)


class Refusals:
    """From the ``at``-th commit on every one is refused for a minute."""

    def __init__(self, at: int) -> None:
        self._at, self._until_s = at, 0.0
        self.commits = 0

    def point(self, name: str) -> None:
        now_s = asyncio.get_running_loop().time()
        self.commits += 1
        if self.commits == self._at:
            self._until_s = now_s + REFUSED_S
        if now_s < self._until_s:
            raise JournalUnwritable("database or disk is full")


async def _round_trip(rig: Rig, ask) -> None:
    await ask(rig.enter())
    if rig.state() is PairState.OPEN:
        await ask(rig.leave())


async def _unwound(rig: Rig, ask) -> None:
    create = rig.port.create_order

    async def refusing(request):
        return NotPlaced("-1013", "no") if (request.symbol, request.closes) == ("B", False) else await create(request)

    rig.port.create_order = refusing
    await ask(rig.enter())


SLICES = ExecutionSettings(slice_notional=150.0)


@pytest.mark.parametrize(
    ("operation", "settings"), [(_round_trip, None), (_round_trip, SLICES), (_unwound, None), (_unwound, SLICES)]
)
def test_a_commit_may_be_refused_anywhere(operation, settings, tmp_path):
    """Everybody hears what became of what he asked for, and the next start knows all of it."""

    async def played(at: int) -> int:
        folder = tmp_path / str(at)
        folder.mkdir()
        world, asked, plan = open_world(folder), [], Refusals(at)
        rig = start_rig(world, settings=settings)
        await rig.recover()

        async def ask(order) -> None:
            asked.append(order.ref)
            await rig.engine.execute(order)

        rig.journal.crash = plan
        await operation(rig, ask)
        told = [event.order.ref for event in rig.events if isinstance(event, ENDS) and event.order is not None]
        assert told == asked, at
        await rig.stop()
        rig.journal.die()
        again = start_rig(world, settings=settings)
        assert await again.recover() == (), at
        await again.stop()
        assert again.state() is rig.state() and again.ledger.trades == rig.ledger.trades, at
        assert_sound(again)
        world.close()
        return plan.commits

    with fast_files():
        commits = run_virtual(played(0))
        assert commits > 5
        for at in range(1, commits + 1):
            run_virtual(played(at))
