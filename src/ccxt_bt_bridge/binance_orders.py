"""Orders on Binance, one call each: placed, cancelled, looked up, listed. Outcomes are decided on the raw reply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ccxt_bt_bridge import outcomes
from ccxt_bt_bridge.client_ids import ClientIds
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketUnknown, RateBanned
from ccxt_bt_bridge.order_requests import (
    CANCEL_STOP,
    FETCH_STOP,
    OPEN_STOPS,
    Call,
    create_call,
    local_objection,
)
from ccxt_bt_bridge.order_rows import fits, order_report, stop_report
from ccxt_bt_bridge.refusals import rows_of
from ccxt_bt_bridge.session import CcxtSession
from ccxt_bt_bridge.wire import Reply, ask
from ccxt_bt_bridge.words import (
    Ambiguous,
    CancelOutcome,
    CreateOutcome,
    Found,
    Market,
    NotCancelled,
    NotPlaced,
    OrderReport,
    OrderRequest,
    Placed,
    Unknown,
)

log = logging.getLogger(__name__)

FRESH_S = 2.0  # an order that waited longer for the rate limiter is not sent: the market has moved on


class BinanceOrders:
    """``names``: the caller's symbol by the exchange's id. ``client``: the ccxt client that carries the requests.
    ``client_ids`` learns what triggered stops became."""

    def __init__(self, session: CcxtSession, client: Any, names: Mapping[str, str], client_ids: ClientIds) -> None:
        if session.endpoints is None:
            raise ValueError("orders are understood for Binance only")
        self._session, self._client, self._names = session, client, names
        self._endpoints = session.endpoints
        self._ids = {name: market_id for market_id, name in names.items()}
        self._stops: set[str] = set()
        self._has_stops = self._endpoints.kind == "usdm"
        self._client_ids = client_ids
        self._withdrawals = 0

    def withdraw_unsent(self) -> None:
        """What still waits for the rate limiter is not sent: ``create`` answers that nothing was placed."""
        self._withdrawals += 1

    def name_of(self, market_id: str) -> str:
        return self._names.get(market_id, market_id)

    async def create(self, request: OrderRequest, market: Market) -> CreateOutcome:
        """Sends at most one request that can place an order; a duplicate id is looked up."""
        objection = local_objection(request, market)
        if objection:
            return NotPlaced("local", objection)
        market_id = self._ids[request.symbol]
        call = create_call(self._endpoints, request, market_id)
        if call.is_stop:
            self._stops.add(request.client_order_id)
        try:
            reply = await self._send_fresh(call)
        except RateBanned as banned:
            return NotPlaced("local", f"not sent: {banned}")
        read = stop_report if call.is_stop else order_report
        outcome = outcomes.create_outcome(
            reply,
            self._endpoints.kind,
            lambda row: read(row, request.symbol),
            lambda report: fits(report, reply.data, request, market_id),
        )
        return await self._adopted(request) or outcome if outcomes.is_duplicate(reply) else outcome

    async def _adopted(self, request: OrderRequest) -> Placed | None:
        """The order that has this id already, if it is what was wanted."""
        found = await self.look_up(request.symbol, request.client_order_id)
        if not isinstance(found, Found):
            return None
        report = found.report
        is_ours = report.side is request.side and report.amount == request.amount
        return Placed(report) if is_ours else None

    async def cancel(self, symbol: str, cid: str) -> CancelOutcome:
        try:
            outcome = await self._cancel(symbol, cid, is_stop=cid in self._stops)
            is_unknown = isinstance(outcome, NotCancelled) and outcome.code == outcomes.UNKNOWN_TO_CANCEL
            if is_unknown and self._has_stops and cid not in self._stops:
                # It may be a stop that an earlier process has placed.
                return await self._cancel(symbol, cid, is_stop=True)
            return outcome
        except RateBanned as banned:
            return NotCancelled("local", f"not sent: {banned}")

    async def _cancel(self, symbol: str, cid: str, *, is_stop: bool) -> CancelOutcome:
        if not is_stop:
            params = {"symbol": self._ids[symbol], "origClientOrderId": cid}
            reply = await self._send(Call(self._endpoints.cancel, params))
            return outcomes.cancel_outcome(reply, cid, lambda row: order_report(row, symbol))
        reply = await self._send(Call(CANCEL_STOP, {"symbol": self._ids[symbol], "clientAlgoId": cid}))
        if reply.status != 200 or reply.code != "200":
            return outcomes.cancel_outcome(reply, cid, lambda row: stop_report(row, symbol))
        # The answer to a stop's cancellation names it, but not its state.
        found = await self._look_up_stop(symbol, cid)
        if isinstance(found, Found):
            return outcomes.cancelled_or_not(found.report)
        return Ambiguous("the exchange took the cancellation, but does not show the stop")

    async def look_up(self, symbol: str, cid: str) -> Found | Unknown | None:
        """None: the exchange knows no such order."""
        try:
            if cid in self._stops:
                return await self._look_up_stop(symbol, cid)
            params = {"symbol": self._ids[symbol], "origClientOrderId": cid}
            reply = await self._send(Call(self._endpoints.fetch, params))
            found = outcomes.lookup_outcome(reply, cid, lambda row: order_report(row, symbol))
            return await self._look_up_stop(symbol, cid) if found is None and self._has_stops else found
        except ExchangeUnreachable as error:
            return Unknown(str(error))

    async def _look_up_stop(self, symbol: str, cid: str) -> Found | Unknown | None:
        reply = await self._send(Call(FETCH_STOP, {"symbol": self._ids[symbol], "clientAlgoId": cid}))
        found = outcomes.lookup_outcome(reply, cid, lambda row: stop_report(row, symbol))
        order_id = reply.data.get("actualOrderId") if isinstance(found, Found) else None
        if not isinstance(found, Found) or not order_id:
            return found
        # It has triggered: what counts is the order that it became.
        self._client_ids.learn(symbol, str(order_id), cid)
        params = {"symbol": self._ids[symbol], "orderId": order_id}
        became = await self._send(Call(self._endpoints.fetch, params))
        return outcomes.triggered_outcome(became, found.report, lambda row: order_report(row, symbol))

    async def open(self, symbols: Iterable[str] | None = None) -> list[OrderReport]:
        """Every open order of the account, or of these symbols, which costs far less of the rate limit.

        Raises ``ExchangeUnreachable``.
        """
        wanted: list[dict[str, Any]] = [{}] if symbols is None else [{"symbol": self._ids[name]} for name in symbols]
        listed = []
        for params in wanted:
            listed += await self._list(Call(self._endpoints.open_orders, params), order_report)
            listed += await self._list(Call(OPEN_STOPS, params), stop_report) if self._has_stops else []
        return listed

    async def _list(self, call: Call, read: Any) -> list[OrderReport]:
        reply = await self._send(call)
        rows = rows_of(reply, "the open orders")
        listed = []
        for row in rows:
            try:
                listed.append(read(row, self.name_of(row["symbol"])))
            except (ValueError, TypeError, KeyError) as error:
                # A person's order may be of a kind that is never sent here. One of ours is looked up by its id.
                log.warning("open_order_unread reason=%r", str(error))
        return listed

    async def _send_fresh(self, call: Call) -> Reply:
        """Now or not at all."""
        asked_at, deadline_s = self._withdrawals, asyncio.get_running_loop().time() + FRESH_S
        return await self._send(call, deadline_s=deadline_s, is_wanted=lambda: self._withdrawals == asked_at)

    async def _send(self, call: Call, **terms: Any) -> Reply:
        reply = await ask(getattr(self._client, call.method), call.params, **terms)
        if reply.code == "-1021":
            self._session.synchronise_soon()
        return reply

    def knows(self, symbol: str) -> bool:
        return symbol in self._ids

    def id_of(self, symbol: str) -> str:
        """Raises ``MarketUnknown`` for a symbol that was not asked for."""
        if symbol not in self._ids:
            raise MarketUnknown(f"{symbol} was not asked for; this account trades {', '.join(self._ids)}")
        return self._ids[symbol]
