"""A trading port that does what the test says, and a gateway on it in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from ccxt_bt_bridge.broker import OrderTicket
from ccxt_bt_bridge.clock import LoopClock
from ccxt_bt_bridge.hub import Hub
from ccxt_bt_bridge.order_terms import OrderTerms
from ccxt_bt_bridge.single_orders import SingleOrderGateway
from ccxt_bt_bridge.words import (
    Absent,
    Account,
    Fill,
    Found,
    Market,
    NotCancelled,
    OrderReport,
    OrderRequest,
    OrderStatus,
    Placed,
    PositionReport,
    Side,
)
from tests.virtual_time import run_virtual

EPOCH_MS = 1_704_067_200_000
D = Decimal


def market(symbol: str = "A", **changes: Any) -> Market:
    rules = {"price_tick": D("0.1"), "amount_step": D("0.001"), "min_amount": D("0.001"), "min_notional": D(5)}
    return Market(symbol, "USDT", changes.pop("kind", "usdm"), taker_fee=D("0.0005"), **rules | changes)


class ScriptedTrading:
    """Answers from ``outcomes`` by operation, then truthfully from ``orders``; ``say`` is the user stream.

    ``places_in_silence``: an order whose answer is lost was placed all the same.
    """

    def __init__(self) -> None:
        self.clock = LoopClock(asyncio.get_running_loop().time, EPOCH_MS)
        self.calls: list[tuple[int, str, str]] = []
        self.requests: list[OrderRequest] = []
        self.outcomes: dict[str, list[Any]] = {"create": [], "cancel": [], "fetch": [], "account": [], "fills": []}
        self.orders: dict[str, OrderReport] = {}
        self.known_fills: list[Fill] = []
        self.held: tuple[PositionReport, ...] = ()
        self.wallet = D(1000)
        self.places_in_silence = False
        self.say: asyncio.Queue = asyncio.Queue()

    def report(self, which: int = -1, status: str = "open", filled: str = "0") -> OrderReport:
        request = self.requests[which]
        ids = (request.client_order_id, "7", request.symbol, request.side)
        done = D(filled)
        return OrderReport(*ids, OrderStatus(status), request.amount, done, None, self.clock.now_ms())

    def fill(self, trade: str, amount: str, price: str = "100", which: int = -1, **changes: Any) -> Fill:
        request = self.requests[which]
        ids = (trade, "7", request.client_order_id, request.symbol)
        fields = {"fee": D("0.1"), "time_ms": self.clock.now_ms()} | changes
        return Fill(*ids, request.side, D(amount), D(price), **fields)

    async def create_order(self, request: OrderRequest) -> Any:
        self.requests.append(request)
        outcome = self._answer("create", request.client_order_id)
        if outcome is None or self.places_in_silence:
            self.orders[request.client_order_id] = self.report()
        return outcome or Placed(self.report())

    async def cancel_order(self, symbol: str, client_order_id: str) -> Any:
        outcome = self._answer("cancel", client_order_id)
        return NotCancelled("-2011", "unknown order") if outcome is None else outcome

    async def fetch_order(self, symbol: str, client_order_id: str) -> Any:
        outcome = self._answer("fetch", client_order_id)
        known = self.orders.get(client_order_id)
        return outcome or (Absent() if known is None else Found(known))

    async def open_orders(self) -> list[OrderReport]:
        return [order for order in self.orders.values() if not order.status.is_done]

    async def fills(self, *, since_ms: int) -> list[Fill]:
        error = self._answer("fills", "")
        if error is not None:
            raise error
        return [fill for fill in self.known_fills if fill.time_ms >= since_ms]

    async def funding(self, *, since_ms: int) -> list[Any]:
        return []

    async def account(self) -> Account:
        error = self._answer("account", "")
        if error is not None:
            raise error
        return Account(self.clock.now_ms(), self.wallet, self.held)

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self.say.get()

    def asked(self, operation: str) -> int:
        return sum(name == operation for _, name, _ in self.calls)

    def _answer(self, operation: str, client_order_id: str) -> Any:
        self.calls.append((self.clock.now_ms(), operation, client_order_id))
        return self.outcomes[operation].pop(0) if self.outcomes[operation] else None


class Desk:
    """A started gateway, what it published as words, and what it said."""

    def __init__(self, trading: ScriptedTrading, rules: Market, prefix: str = "bt") -> None:
        self.trading, self.said, self.defects = trading, list[str](), list[BaseException]()
        here = SimpleNamespace(loop=asyncio.get_running_loop(), hub=Hub())
        self.gateway = SingleOrderGateway(
            here,  # type: ignore[arg-type]
            trading,
            {rules.symbol: rules},
            clock=trading.clock,
            tell=self.said.append,
            on_defect=self.defects.append,
            id_prefix=prefix,
        )
        self._refs = 0

    def order(self, amount: float = 1.0, symbol: str = "A", info: dict | None = None, **terms: Any) -> int:
        self._refs += 1
        self.gateway.submit(OrderTicket(self._refs, symbol, symbol, amount, info or {}, OrderTerms(**terms)))
        return self._refs

    async def hear(self, *events: Any, after_s: float = 0.01) -> None:
        for event in events:
            self.trading.say.put_nowait(event)
        await asyncio.sleep(after_s)

    def told(self) -> list[str]:
        """``"1 accepted"``, ``"1 fill 0.5"``, ``"- fill -1"``; what was told is taken."""
        words = []
        while self.gateway.updates:
            update = self.gateway.updates.popleft()
            amount = f" {update.amount}" if update.kind.value == "fill" else ""
            words.append(f"{update.ref or '-'} {update.kind.value}{amount}")
        return words


def on_desk(
    act: Callable[[Desk], Coroutine[Any, Any, Any]],
    prepare: Callable[[ScriptedTrading], None] = lambda trading: None,
    rules: Market | None = None,
) -> Any:
    """``act(desk)`` on a started gateway, which is closed after it and left no defect and no task."""

    async def main() -> Any:
        trading = ScriptedTrading()
        prepare(trading)
        desk = Desk(trading, rules or market())
        desk.positions = await desk.gateway.start()  # type: ignore[attr-defined]
        result = await act(desk)
        await desk.gateway.close()
        assert desk.defects == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    return run_virtual(main())


def foreign_fill(trade: str, side: Side, amount: str, time_ms: int, symbol: str = "A") -> Fill:
    return Fill(trade, "9", "autoclose-1", symbol, side, D(amount), D(100), D(0), time_ms)
