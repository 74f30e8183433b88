"""Binance USD-M futures: exchange information and the mark price."""

from __future__ import annotations

from typing import Any

from brokers.desk.filters import decimals, lot_size, price_filter, rate_limits
from brokers.desk.params import Params, plain
from brokers.desk.public import PublicEndpoints
from ccxt_bt_bridge.words import Market

YEAR_MS = 366 * 86_400_000
PERPETUAL_ENDS_MS = 4_133_404_800_000
ORDER_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET"]
TIMES_IN_FORCE = ["GTC", "IOC", "FOK", "GTX"]


class UsdmPublic(PublicEndpoints):
    async def exchange_info(self, _: Params) -> dict[str, Any]:
        markets = await self._core.exchange.markets()
        assets = sorted({market.quote for market in markets.values()})
        return {
            "timezone": "UTC",
            "serverTime": self._core.now_ms(),
            "futuresType": "U_MARGINED",
            "rateLimits": rate_limits(self._limits),
            "exchangeFilters": [],
            "assets": [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "0"} for asset in assets],
            "symbols": [self._symbol(market) for market in markets.values()],
        }

    async def premium_index(self, params: Params) -> Any:
        if "symbol" not in params:
            return [self._premium(symbol) for symbol in self._core.markets]
        self._core.market(params.symbol())
        return self._premium(params.symbol())

    async def funding_rate(self, params: Params) -> list[dict[str, Any]]:
        """Oldest first; from the newest back when no beginning is given, as Binance has it."""
        symbol, limit, now = params.symbol(), params.integer("limit", 100), self._core.now_ms()
        self._core.market(symbol)
        since_ms, until_ms = params.integer("startTime", 0), params.integer("endTime", now)
        due = self._core.venue.past_funding(symbol, since_ms or max(0, now - YEAR_MS), until_ms)
        rows = [
            {"symbol": symbol, "fundingTime": one.time_ms, "fundingRate": plain(one.rate),
             "markPrice": "" if one.mark_price is None else plain(one.mark_price)}
            for one in due
        ]  # fmt: skip
        return rows[:limit] if since_ms else rows[-limit:]

    async def leverage_bracket(self, params: Params) -> list[dict[str, Any]]:
        symbols = [params.symbol()] if "symbol" in params else list(self._core.markets)
        return [{"symbol": symbol, "brackets": [self._bracket()]} for symbol in symbols]

    def mark_event(self, symbol: str) -> dict[str, Any]:
        mark = self._premium(symbol)
        return {
            "e": "markPriceUpdate", "E": mark["time"], "s": symbol, "p": mark["markPrice"], "i": mark["indexPrice"],
            "P": mark["estimatedSettlePrice"], "r": mark["lastFundingRate"], "T": mark["nextFundingTime"],
        }  # fmt: skip

    def _premium(self, symbol: str) -> dict[str, Any]:
        price, now = plain(self._core.price(symbol)), self._core.now_ms()
        mark, funding = plain(self._core.venue.mark_price(symbol)), self._core.venue.next_funding(symbol)
        return {
            "symbol": symbol, "markPrice": mark, "indexPrice": price, "estimatedSettlePrice": price,
            "lastFundingRate": plain(funding.rate), "interestRate": "0.0001", "nextFundingTime": funding.time_ms,
            "time": now,
        }  # fmt: skip

    def _bracket(self) -> dict[str, Any]:
        return {
            "bracket": 1, "initialLeverage": 125, "notionalCap": 1_000_000_000, "notionalFloor": 0,
            "maintMarginRatio": 0.005, "cum": 0.0,
        }  # fmt: skip

    def _symbol(self, market: Market) -> dict[str, Any]:
        return {
            "symbol": market.symbol, "pair": market.symbol, "contractType": "PERPETUAL",
            "deliveryDate": PERPETUAL_ENDS_MS, "onboardDate": 1_569_398_400_000,
            "status": "TRADING" if self._core.is_trading(market.symbol) and market.is_open else "SETTLING",
            "maintMarginPercent": "2.5", "requiredMarginPercent": "5",
            "baseAsset": self._core.base(market), "quoteAsset": market.quote,
            "marginAsset": market.quote, "pricePrecision": decimals(market.price_tick),
            "quantityPrecision": decimals(market.amount_step), "baseAssetPrecision": 8, "quotePrecision": 8,
            "underlyingType": "COIN", "underlyingSubType": [], "triggerProtect": "0.05", "liquidationFee": "0.0125",
            "marketTakeBound": "0.05", "maxMoveOrderLimit": 10_000, "orderTypes": ORDER_TYPES,
            "timeInForce": TIMES_IN_FORCE, "filters": self._filters(market),
        }  # fmt: skip

    def _filters(self, market: Market) -> list[dict[str, Any]]:
        lot = lot_size(market)
        return [
            price_filter(market),
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": plain(market.min_notional)},
        ]
