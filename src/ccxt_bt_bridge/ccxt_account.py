"""The account's own settings, read at the start and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.errors import ExchangeUnreachable, KeyRefused, NotSupported
from ccxt_bt_bridge.order_rows import Row
from ccxt_bt_bridge.refusals import answer_of
from ccxt_bt_bridge.session import CcxtSession
from ccxt_bt_bridge.wire import ask
from ccxt_bt_bridge.words import AccountSettings, KeyPermissions, SymbolSettings

MARGIN_MODES = {"CROSSED": "cross", "ISOLATED": "isolated"}


class CcxtAccount:
    """An ``AccountPort``. Raises ``NotSupported`` for an exchange other than Binance, or without credentials."""

    def __init__(self, session: CcxtSession) -> None:
        if session.endpoints is None:
            raise NotSupported(f"account settings are not understood for {session.settings.exchange_id}")
        if session.settings.credentials is None:
            raise NotSupported("the account's settings need an API key and its secret; the session has none")
        self._session, self._endpoints = session, session.endpoints
        self._client = session.new_client()

    async def server_time_ms(self) -> int:
        return int((await self._read(self._endpoints.time, {}, "the exchange's time"))["serverTime"])

    async def key_permissions(self) -> KeyPermissions:
        """Raises ``KeyRefused`` for a key that the exchange does not know, or that is for the other network."""
        try:
            row = await self._restrictions()
            if row is None:
                return await self._from_the_account()
        except KeyRefused as error:
            raise KeyRefused(f"{error}. {self._other_network()}") from None
        field = "enableFutures" if self._session.kind == "usdm" else "enableSpotAndMarginTrading"
        transfers = [row.get("enableInternalTransfer"), row.get("permitsUniversalTransfer")]
        known = [value for value in transfers if isinstance(value, bool)]
        return KeyPermissions(
            may_trade=_flag(row.get(field)),
            may_withdraw=_flag(row.get("enableWithdrawals")),
            may_transfer=any(known) if known else None,
            ip_restricted=_flag(row.get("ipRestrict")),
        )

    async def settings(self, symbols: Sequence[str]) -> AccountSettings:
        if self._session.kind == "spot":
            return AccountSettings("one_way", ())
        mode = await self._read("fapiPrivateGetPositionSideDual", {}, "the position mode")
        rows = [await self._symbol_settings(symbol) for symbol in symbols]
        return AccountSettings("hedge" if mode["dualSidePosition"] is True else "one_way", tuple(rows))

    async def _symbol_settings(self, symbol: str) -> SymbolSettings:
        market_id, what = self._session.raw_market(symbol)["id"], f"the settings of {symbol}"
        rows = await self._read("fapiPrivateGetSymbolConfig", {"symbol": market_id}, what)
        row = next((row for row in rows if row["symbol"] == market_id), None)
        if row is None or row.get("marginType") not in MARGIN_MODES:
            raise ExchangeUnreachable(f"{what}: an unreadable answer")
        return SymbolSettings(symbol, MARGIN_MODES[row["marginType"]], Decimal(str(row["leverage"])))

    async def _restrictions(self) -> Row | None:
        """None where the exchange does not say: the test network has no such page."""
        if self._session.settings.testnet:
            return None
        reply = await ask(self._client.sapiGetAccountApiRestrictions, {})
        if reply.code == "-5000":
            return None
        return answer_of(reply, "the key's permissions")

    async def _from_the_account(self) -> KeyPermissions:
        page = "fapiPrivateGetAccountConfig" if self._session.kind == "usdm" else self._endpoints.account
        account = await self._read(page, {}, "the account")
        return KeyPermissions(_flag(account.get("canTrade")), None, None, None)

    def _other_network(self) -> str:
        if self._session.settings.url is not None:
            return "This is the exchange on this machine: it knows only the keys that it was started with"
        if self._session.settings.testnet:
            return "This is the test network: a key of the live exchange does not work here"
        return "This is the live exchange: a key of the test network does not work here"

    async def _read(self, method: str, params: dict[str, Any], what: str) -> Any:
        return answer_of(await ask(getattr(self._client, method), params), what)


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
