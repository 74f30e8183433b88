"""Binance USD-M futures: balances, positions and the account's settings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.desk.core import Core
from brokers.desk.params import Params, plain
from brokers.desk.refusals import Refusal
from ccxt_bt_bridge.words import Account, PositionReport

ZERO = Decimal(0)


class UsdmAccount:
    """``leverage`` as the core has it."""

    def __init__(self, core: Core, *, leverage: int) -> None:
        self._core, self._leverage = core, leverage

    async def account(self, _: Params) -> dict[str, Any]:
        account = await self._core.exchange.account()
        positions = [self._position(one, account.time_ms) for one in account.positions]
        wallet = account.wallet
        profit = sum((Decimal(one["unRealizedProfit"]) for one in positions), ZERO)
        margin = sum((Decimal(one["initialMargin"]) for one in positions), ZERO)
        upkeep = sum((Decimal(one["maintMargin"]) for one in positions), ZERO)
        free = account.free if account.free is not None else max(ZERO, wallet + profit - margin)
        sums = {
            "walletBalance": plain(wallet), "unrealizedProfit": plain(profit), "marginBalance": plain(wallet + profit),
            "initialMargin": plain(margin), "maintMargin": plain(upkeep), "positionInitialMargin": plain(margin),
            "openOrderInitialMargin": "0", "crossWalletBalance": plain(wallet), "crossUnPnl": plain(profit),
            "availableBalance": plain(free), "maxWithdrawAmount": plain(free),
        }  # fmt: skip
        return {
            "totalWalletBalance": plain(wallet), "totalUnrealizedProfit": plain(profit),
            "totalMarginBalance": plain(wallet + profit), "totalInitialMargin": plain(margin),
            "totalMaintMargin": plain(upkeep), "totalPositionInitialMargin": plain(margin),
            "totalOpenOrderInitialMargin": "0", "totalCrossWalletBalance": plain(wallet),
            "totalCrossUnPnl": plain(profit), "availableBalance": plain(free), "maxWithdrawAmount": plain(free),
            "assets": [{"asset": self._quote(), **sums, "updateTime": account.time_ms}],
            "positions": positions,
        }  # fmt: skip

    async def positions(self, params: Params) -> list[dict[str, Any]]:
        """Open positions, as version 3 of the endpoint has them."""
        account: Account = await self._core.exchange.account()
        wanted = params.get("symbol")
        return [self._position(one, account.time_ms) for one in account.positions if wanted in ("", one.symbol)]

    async def symbol_config(self, params: Params) -> list[dict[str, Any]]:
        symbols = [params.symbol()] if "symbol" in params else list(self._core.markets)
        return [
            {"symbol": self._core.market(symbol).symbol, "marginType": "CROSSED", "isAutoAddMargin": False,
             "leverage": self._leverage, "maxNotionalValue": "1000000000"} for symbol in symbols
        ]  # fmt: skip

    async def account_config(self, _: Params) -> dict[str, Any]:
        return {
            "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "dualSidePosition": False,
            "updateTime": 0, "multiAssetsMargin": False, "tradeGroupId": -1,
        }  # fmt: skip

    async def position_mode(self, _: Params) -> dict[str, Any]:
        return {"dualSidePosition": False}

    async def set_position_mode(self, _: Params) -> dict[str, Any]:
        raise Refusal(-4059, "No need to change position side.")

    async def set_margin_type(self, _: Params) -> dict[str, Any]:
        raise Refusal(-4046, "No need to change margin type.")

    async def set_leverage(self, params: Params) -> dict[str, Any]:
        if params.integer("leverage") != self._leverage:
            raise Refusal(-4028, f"Leverage {params.integer('leverage')} is not valid")
        return {"leverage": self._leverage, "maxNotionalValue": "1000000000", "symbol": params.symbol()}

    async def multi_assets(self, _: Params) -> dict[str, Any]:
        return {"multiAssetsMargin": False}

    def _position(self, position: PositionReport, time_ms: int) -> dict[str, Any]:
        price = self._core.price(position.symbol)
        notional = position.amount * price
        profit = notional - position.amount * position.entry_price
        margin = plain(abs(notional) / self._leverage)
        return {
            "symbol": position.symbol, "positionSide": "BOTH", "positionAmt": plain(position.amount),
            "entryPrice": plain(position.entry_price), "breakEvenPrice": plain(position.entry_price),
            "markPrice": plain(price), "unRealizedProfit": plain(profit), "unrealizedProfit": plain(profit),
            "liquidationPrice": "0", "isolatedMargin": "0", "isolatedWallet": "0", "notional": plain(notional),
            "marginAsset": self._quote(), "initialMargin": margin, "positionInitialMargin": margin,
            "maintMargin": plain(abs(notional) * Decimal("0.005")), "openOrderInitialMargin": "0", "adl": 0,
            "bidNotional": "0", "askNotional": "0", "updateTime": time_ms,
        }  # fmt: skip

    def _quote(self) -> str:
        return next(iter(self._core.markets.values())).quote
