"""Binance USD-M futures: balances, positions and the account's settings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.desk.core import Core
from brokers.desk.params import Params, plain
from brokers.desk.refusals import Refusal
from brokers.simulated.settings import Refused
from brokers.simulated.views import PositionView

ZERO = Decimal(0)
MARGIN_TYPES = {"cross": "CROSSED", "isolated": "ISOLATED"}
MOST_NOTIONAL = "1000000000"


class UsdmAccount:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def account(self, _: Params) -> dict[str, Any]:
        """Sums, the one asset, and the open positions."""
        report = await self._core.exchange.account()
        views = self._core.venue.positions()
        balance = self._core.venue.balances()[0]
        profit = sum((one.unrealised for one in views), ZERO)
        margin = sum((one.initial_margin for one in views), ZERO)
        upkeep = sum((one.maintenance_margin for one in views), ZERO)
        figures = {
            "walletBalance": report.wallet, "unrealizedProfit": profit, "marginBalance": report.wallet + profit,
            "initialMargin": balance.locked, "maintMargin": upkeep, "positionInitialMargin": margin,
            "openOrderInitialMargin": max(balance.locked - margin, ZERO), "crossWalletBalance": report.wallet,
            "crossUnPnl": profit,
        }  # fmt: skip
        asset = {name: plain(value) for name, value in figures.items()}
        totals = {f"total{name[0].upper()}{name[1:]}": value for name, value in asset.items()}
        free = {"availableBalance": plain(balance.free), "maxWithdrawAmount": plain(balance.free)}
        return {
            **totals, **free, "assets": [{"asset": balance.asset, **asset, **free, "updateTime": report.time_ms}],
            "positions": [self._row(one, report.time_ms) for one in views],
        }  # fmt: skip

    async def positions(self, params: Params) -> list[dict[str, Any]]:
        """Open positions, as version 3 of the endpoint has them."""
        time_ms = (await self._core.exchange.account()).time_ms
        wanted = params.get("symbol")
        return [self._row(one, time_ms) for one in self._core.venue.positions() if wanted in ("", one.symbol)]

    async def symbol_config(self, params: Params) -> list[dict[str, Any]]:
        symbols = [self._core.market(params.symbol()).symbol] if "symbol" in params else list(self._core.markets)
        return [
            {
                "symbol": one.symbol, "marginType": MARGIN_TYPES[one.margin_mode], "isAutoAddMargin": False,
                "leverage": int(one.leverage), "maxNotionalValue": MOST_NOTIONAL,
            } for one in (await self._core.exchange.settings(symbols)).symbols
        ]  # fmt: skip

    async def account_config(self, params: Params) -> dict[str, Any]:
        return {
            "feeTier": 0, "canTrade": "futures" in params.key.permissions, "canDeposit": True, "canWithdraw": True,
            "dualSidePosition": await self._is_hedged(), "updateTime": 0, "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }  # fmt: skip

    async def position_mode(self, _: Params) -> dict[str, Any]:
        return {"dualSidePosition": await self._is_hedged()}

    async def set_position_mode(self, params: Params) -> dict[str, Any]:
        mode = "hedge" if params.text("dualSidePosition").lower() == "true" else "one_way"
        return _done(self._core.venue.set_position_mode(mode))

    async def set_margin_type(self, params: Params) -> dict[str, Any]:
        modes = {theirs: ours for ours, theirs in MARGIN_TYPES.items()}
        mode = modes.get(params.text("marginType").upper(), params.text("marginType"))
        return _done(self._core.venue.set_margin_mode(params.symbol(), mode))

    async def set_leverage(self, params: Params) -> dict[str, Any]:
        symbol, leverage = params.symbol(), params.integer("leverage")
        _done(self._core.venue.set_leverage(symbol, leverage))
        return {"leverage": leverage, "maxNotionalValue": MOST_NOTIONAL, "symbol": symbol}

    async def multi_assets(self, _: Params) -> dict[str, Any]:
        return {"multiAssetsMargin": False}

    async def _is_hedged(self) -> bool:
        return (await self._core.exchange.settings([])).position_mode == "hedge"

    def _row(self, view: PositionView, time_ms: int) -> dict[str, Any]:
        profit, margin = plain(view.unrealised), plain(view.initial_margin)
        isolated = margin if view.margin_mode == "isolated" else "0"
        return {
            "symbol": view.symbol, "positionSide": "BOTH", "positionAmt": plain(view.amount),
            "entryPrice": plain(view.entry_price), "breakEvenPrice": plain(view.entry_price),
            "markPrice": plain(view.mark_price), "unRealizedProfit": profit, "unrealizedProfit": profit,
            "liquidationPrice": plain(view.liquidation_price), "isolatedMargin": isolated, "isolatedWallet": isolated,
            "notional": plain(view.notional), "marginAsset": self._core.quote, "initialMargin": margin,
            "positionInitialMargin": margin, "maintMargin": plain(view.maintenance_margin),
            "openOrderInitialMargin": "0", "adl": 0, "bidNotional": "0", "askNotional": "0", "updateTime": time_ms,
        }  # fmt: skip


def _done(refused: Refused | None) -> dict[str, Any]:
    """Raises what the exchange refused with."""
    if refused is not None:
        raise Refusal(int(refused.code), refused.reason)
    return {"code": 200, "msg": "success"}
