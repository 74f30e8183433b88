"""Binance spot: exchange information."""

from __future__ import annotations

from typing import Any

from brokers.desk.filters import decimals, lot_size, price_filter, rate_limits
from brokers.desk.params import Params, plain
from brokers.desk.public import PublicEndpoints
from ccxt_bt_bridge.words import Market

ORDER_TYPES = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"]


class SpotPublic(PublicEndpoints):
    async def exchange_info(self, _: Params) -> dict[str, Any]:
        markets = await self._core.exchange.markets()
        return {
            "timezone": "UTC",
            "serverTime": self._core.now_ms(),
            "rateLimits": rate_limits(self._limits),
            "exchangeFilters": [],
            "symbols": [self._symbol(market) for market in markets.values()],
        }

    def _symbol(self, market: Market) -> dict[str, Any]:
        trades = self._core.is_trading(market.symbol) and market.is_open
        return {
            "symbol": market.symbol, "status": "TRADING" if trades else "BREAK", "baseAsset": self._core.base(market),
            "baseAssetPrecision": max(8, decimals(market.amount_step)), "quoteAsset": market.quote,
            "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
            "orderTypes": ORDER_TYPES, "icebergAllowed": False, "ocoAllowed": False, "otoAllowed": False,
            "quoteOrderQtyMarketAllowed": False, "allowTrailingStop": False, "cancelReplaceAllowed": False,
            "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "filters": self._filters(market),
            "permissions": [], "permissionSets": [["SPOT"]], "defaultSelfTradePreventionMode": "NONE",
            "allowedSelfTradePreventionModes": ["NONE"],
        }  # fmt: skip

    def _filters(self, market: Market) -> list[dict[str, Any]]:
        notional = {"minNotional": plain(market.min_notional), "applyMinToMarket": True, "avgPriceMins": 0}
        return [
            price_filter(market),
            {"filterType": "LOT_SIZE", **lot_size(market)},
            {"filterType": "NOTIONAL", **notional, "maxNotional": "1000000000", "applyMaxToMarket": False},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ]
