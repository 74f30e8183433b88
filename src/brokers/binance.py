"""Binance as a broker: one account of spot or USD-M futures, connected and checked before anything is traded on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ccxt_bt_bridge.account_checks import check_account, check_key
from ccxt_bt_bridge.ccxt_account import CcxtAccount
from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.errors import AccountRefused
from ccxt_bt_bridge.port import AccountPort
from ccxt_bt_bridge.session import CcxtSession, SessionSettings


@dataclass(frozen=True, slots=True)
class AccountWish:
    """How the account has to be. ``margin_mode`` and ``leverage`` None: the market knows none (spot)."""

    position_mode: str
    margin_mode: str | None = None
    leverage: Decimal | None = None


@dataclass(frozen=True, slots=True)
class WirePorts:
    """One account of a real exchange: opened by ``open_binance``, used on the loop that opened it.

    ``emergency``: the same account through clients of its own, which nothing else uses; it tells no events.
    ``notes``: what a person should know of the account, in words.
    """

    session: CcxtSession
    market: CcxtMarket
    trading: CcxtTrading
    emergency: CcxtTrading
    notes: tuple[str, ...]

    async def close(self) -> None:
        """May be called again."""
        await self.trading.close()
        await self.emergency.close()
        await self.market.close()
        await self.session.close()


async def open_binance(
    settings: SessionSettings, wish: AccountWish, *, symbols: Sequence[str], interval: str
) -> WirePorts:
    """The user stream runs; bars begin with ``market.start``.

    Raises BridgeError with what to do; nothing is left open then, and nothing was changed at the exchange.
    """
    session = await CcxtSession.open(settings)
    try:
        market = CcxtMarket(session, symbols, interval)
        notes = await refuse_unfit(CcxtAccount(session), wish, symbols)
        trading = CcxtTrading(session, symbols)
        await trading.start()
        emergency = CcxtTrading(session, symbols, client="emergency")
    except BaseException:
        await session.close()
        raise
    return WirePorts(session, market, trading, emergency, notes)


async def refuse_unfit(account: AccountPort, wish: AccountWish, symbols: Sequence[str]) -> tuple[str, ...]:
    """What is worth a note. Raises AccountRefused with everything that keeps this account from being traded."""
    found = check_key(await account.key_permissions())
    found += check_account(
        await account.settings(symbols),
        position_mode=wish.position_mode,
        margin_mode=wish.margin_mode,
        leverage=None if wish.leverage is None else dict.fromkeys(symbols, wish.leverage),
    )
    refusals = [str(finding) for finding in found if finding.refuses]
    if refusals:
        raise AccountRefused(" ".join(refusals))
    return tuple(map(str, found))
