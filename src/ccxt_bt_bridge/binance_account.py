"""The account on Binance: own trades, funding, balances and positions, by REST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.account_rows import TradeRow, funding_payment, spot_account, trade_row, usdm_account
from ccxt_bt_bridge.client_ids import ClientIds
from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.fees import FeeBook
from ccxt_bt_bridge.refusals import answer_of, rows_of
from ccxt_bt_bridge.session import CcxtSession
from ccxt_bt_bridge.wire import Reply, ask
from ccxt_bt_bridge.words import Account, Fill, FundingPayment, Market

PAGE = 1_000
NO_SUCH_ORDER = "-2013"
MOST_WINDOWS = 8  # beyond, all trades that the exchange keeps are read instead


class BinanceAccount:
    """Reads of one account. ``markets`` by the caller's symbols, ``names``: those by the exchange's ids;
    ``client_ids``: of the orders heard of, to which it adds those that it looks up.

    Every read raises ``ExchangeUnreachable`` when it fails: a failed read is never "nothing".
    """

    def __init__(
        self,
        session: CcxtSession,
        client: Any,
        markets: Mapping[str, Market],
        names: Mapping[str, str],
        client_ids: ClientIds,
    ) -> None:
        if session.endpoints is None:
            raise ValueError("accounts are understood for Binance only")
        self._session, self._client, self._endpoints = session, client, session.endpoints
        self._markets, self._names, self._client_ids = markets, names, client_ids
        self._ids = {name: market_id for market_id, name in names.items()}
        self.quote = next(iter(markets.values())).quote
        self.bases = {market.base: name for name, market in markets.items() if market.quote == self.quote}
        self.fees = FeeBook(self._price_of)

    async def account(self) -> Account:
        """Its time is when it was asked for: it may be no newer than that."""
        asked_ms = self._session.clock.now_ms()
        rows = await self._read(self._endpoints.account, {}, "the account")
        try:
            if self._endpoints.kind == "spot":
                return spot_account(rows, quote=self.quote, bases=self.bases, time_ms=asked_ms)
            positions = await self._list("fapiPrivateV3GetPositionRisk", {}, "the positions")
            return usdm_account(rows, positions, quote=self.quote, names=self._names, time_ms=asked_ms)
        except (ValueError, TypeError, KeyError) as error:
            raise ExchangeUnreachable(f"the account: an unreadable answer: {error}") from None

    async def fills(self, since_ms: int) -> list[Fill]:
        """Own trades of all symbols, oldest first."""
        rows = [row for symbol in self._markets for row in await self._trades(symbol, since_ms)]
        for row in rows:
            await self.fees.learn(row.asset, self._markets[self._names[row.market_id]])
        rows.sort(key=lambda row: (row.time_ms, int(row.trade_id)))
        return [self.fill(row, await self._client_id(row)) for row in rows]

    def fill(self, row: TradeRow, cid: str) -> Fill:
        """With its fee in quote currency."""
        name = self._names[row.market_id]
        fee, base_fee = self.fees.convert(row.commission, row.asset, row.price, row.amount, self._markets[name])
        return Fill(
            row.trade_id, row.order_id, cid, name, row.side, row.amount, row.price, fee, row.time_ms, base_fee
        )  # fmt: skip

    async def _client_id(self, row: TradeRow) -> str:
        """A listed trade names its order by the exchange's id alone; of an earlier process' order, that is all."""
        symbol = self._names[row.market_id]
        found = self._client_ids.of(symbol, row.order_id)
        if found is None:
            params = {"symbol": row.market_id, "orderId": row.order_id}
            reply = await ask(getattr(self._client, self._endpoints.fetch), params)
            # The exchange forgets old orders sooner than their trades.
            order = {} if reply.code == NO_SUCH_ORDER else answer_of(reply, f"the order of trade {row.trade_id}")
            found = str(order.get("clientOrderId", ""))
            self._client_ids.learn(symbol, row.order_id, found)
        return found

    async def _trades(self, symbol: str, since_ms: int) -> list[TradeRow]:
        """In windows that the exchange allows, and in pages by trade id inside of one."""
        now_ms, window_ms = self._session.clock.now_ms(), self._endpoints.trades_window_ms
        if now_ms - since_ms > MOST_WINDOWS * window_ms:
            rows = await self._trades_from(symbol, {"fromId": 0})
            return [row for row in rows if row.time_ms >= since_ms]
        trades: dict[str, TradeRow] = {}
        for start_ms in range(since_ms, now_ms + 1, window_ms):
            trades |= {row.trade_id: row for row in await self._trades_from(symbol, {"startTime": start_ms})}
        return list(trades.values())

    async def _trades_from(self, symbol: str, where: dict[str, int]) -> list[TradeRow]:
        rows = page = await self._trade_page(symbol, where)
        while len(page) == PAGE:
            page = await self._trade_page(symbol, {"fromId": int(page[-1].trade_id) + 1})
            rows = rows + page
        return rows

    async def _trade_page(self, symbol: str, where: dict[str, int]) -> list[TradeRow]:
        params = {"symbol": self._ids[symbol], "limit": PAGE, **where}
        rows = await self._list(self._endpoints.trades, params, f"the trades of {symbol}")
        try:
            return sorted(map(trade_row, rows), key=lambda row: int(row.trade_id))
        except (ValueError, TypeError, KeyError) as error:
            raise ExchangeUnreachable(f"the trades of {symbol}: an unreadable answer: {error}") from None

    async def funding(self, since_ms: int) -> list[FundingPayment]:
        """Oldest first; none on spot."""
        if self._endpoints.kind == "spot":
            return []
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        start_ms: int | None = since_ms
        while start_ms is not None:
            params = {"incomeType": "FUNDING_FEE", "startTime": start_ms, "limit": PAGE}
            page = await self._list("fapiPrivateGetIncome", params, "the funding payments")
            rows |= {(str(row["symbol"]), str(row["tranId"])): row for row in page}
            latest_ms = int(page[-1]["time"]) if len(page) == PAGE else None
            start_ms = latest_ms if latest_ms != start_ms else None
        ours = [row for row in rows.values() if row["symbol"] in self._names]
        rates = {symbol: await self._rates(symbol, since_ms) for symbol in dict.fromkeys(r["symbol"] for r in ours)}
        try:
            payments = [funding_payment(row, self._names[row["symbol"]], rates[row["symbol"]]) for row in ours]
        except (ValueError, TypeError, KeyError, ArithmeticError) as error:
            raise ExchangeUnreachable(f"the funding payments: an unreadable answer: {error!r}") from None
        return sorted(payments, key=lambda payment: payment.time_ms)

    async def _rates(self, market_id: str, since_ms: int) -> dict[int, tuple[Decimal, Decimal]]:
        """Rate and mark price by the minute. Empty when the exchange does not answer: the payment itself counts."""
        params = {"symbol": market_id, "startTime": since_ms - 60_000, "limit": PAGE}
        reply = await ask(self._client.fapiPublicGetFundingRate, params)
        rows = reply.data if reply.status == 200 and isinstance(reply.data, list) else []
        try:
            return {
                int(row["fundingTime"]) // 60_000: (Decimal(row["fundingRate"]), Decimal(row.get("markPrice") or 0))
                for row in rows
            }
        except (ValueError, TypeError, KeyError, ArithmeticError):
            return {}

    async def _price_of(self, coin: str, quote: str) -> Decimal:
        what = f"the price of {coin}"
        book = await self._read(self._endpoints.book_ticker, {"symbol": f"{coin}{quote}"}, what)
        try:
            return (Decimal(str(book["bidPrice"])) + Decimal(str(book["askPrice"]))) / 2
        except (TypeError, KeyError, ArithmeticError):
            raise ExchangeUnreachable(f"{what}: an unreadable answer") from None

    async def _read(self, method: str, params: dict[str, Any], what: str) -> Any:
        return answer_of(await self._ask(method, params), what)

    async def _list(self, method: str, params: dict[str, Any], what: str) -> list[Any]:
        return rows_of(await self._ask(method, params), what)

    async def _ask(self, method: str, params: dict[str, Any]) -> Reply:
        """A question that came with a wrong time stamp is asked once more: nothing happens by asking."""
        reply = await ask(getattr(self._client, method), params)
        if reply.code == "-1021":
            await self._session.synchronise_quietly()
            reply = await ask(getattr(self._client, method), params)
        return reply

    @property
    def symbols(self) -> Sequence[str]:
        return tuple(self._markets)
