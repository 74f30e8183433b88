"""``CcxtStore``: live data and a live broker of any ccxt exchange for a plain Backtrader script."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ccxt_bt_bridge.account_checks import Finding, check_account, check_key
from ccxt_bt_bridge.bridge_store import BridgeStore
from ccxt_bt_bridge.broker import BridgeBroker
from ccxt_bt_bridge.ccxt_account import CcxtAccount
from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.errors import AccountRefused
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.port import MarketPort, TradingPort
from ccxt_bt_bridge.session import CcxtSession, Credentials, SessionSettings


class CcxtStore(BridgeStore):
    """Three lines of a script::

        store = CcxtStore("binanceusdm", api_key, secret)
        cerebro.adddata(store.getdata("BTC/USDT:USDT", "1m"))
        cerebro.setbroker(store.getbroker())

    ``exchange_id``: ccxt's. No key is needed for data alone. ``testnet``: the exchange's test network. ``url``: an
    exchange on this machine, nothing else; with https, ``ca_file`` names what it is trusted by. The rest as in
    ``BridgeStore``. Raises ``ValueError`` for what cannot be meant; what the exchange refuses comes out of
    ``cerebro.run`` as a ``BridgeError`` in a sentence.
    """

    def __init__(
        self,
        exchange_id: str,
        api_key: str | None = None,
        secret: str | None = None,
        *,
        url: str | None = None,
        ca_file: str | None = None,
        testnet: bool = False,
        group_policy: str = "wait",
        grace_s: float = 10.0,
        id_prefix: str = "bt",
        silent_after_s: float = 15.0,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,16}", id_prefix):
            raise ValueError(f"id_prefix {id_prefix!r}: use 1 to 16 letters, digits, - and _")
        self._settings = SessionSettings(
            exchange_id,
            _credentials(api_key, secret),
            testnet=testnet,
            url=url,
            ca_file=ca_file,
            silent_after_s=silent_after_s,
        )
        super().__init__(self._open_ports_of, group_policy=group_policy, grace_s=grace_s, id_prefix=id_prefix)

    def __repr__(self) -> str:
        return f"CcxtStore({self._settings.exchange_id!r})"

    def getbroker(self) -> BridgeBroker:
        """The broker of the account; the same at every call. Raises ``ValueError`` without a key."""
        if self._settings.credentials is None:
            raise ValueError("a broker needs api_key and secret; data alone needs neither and no getbroker()")
        return super().getbroker()

    async def _open_ports_of(self, loop: LoopThread) -> CcxtPorts:
        session = await CcxtSession.open(self._settings)
        for lack in session.report.missing:
            self.put_notification(f"{self._settings.exchange_id} lacks {lack}")
        return CcxtPorts(session, tell=self.put_notification)


class CcxtPorts:
    """The ``ExchangePorts`` of one session. ``tell`` hears what is worth a warning."""

    def __init__(self, session: CcxtSession, *, tell: Callable[[str], None]) -> None:
        self.clock: Clock = session.clock
        self._session, self._say = session, tell
        self._markets: list[CcxtMarket] = []
        self._trading: CcxtTrading | None = None

    async def market(self, symbols: Sequence[str], interval: str) -> MarketPort:
        market = CcxtMarket(self._session, symbols, interval, tell=self._say)
        self._markets.append(market)
        return market

    async def trading(self, symbols: Sequence[str]) -> TradingPort:
        """Raises ``AccountRefused`` for a key that may do too much or an account that the broker cannot count on."""
        self._trading = CcxtTrading(self._session, symbols)
        account = CcxtAccount(self._session)
        findings = check_key(await account.key_permissions())
        findings += check_account(await account.settings(symbols), position_mode="one_way")
        self._judge(findings)
        await self._trading.start()
        return self._trading

    def _judge(self, findings: Sequence[Finding]) -> None:
        refused = [str(finding) for finding in findings if finding.refuses]
        if refused:
            raise AccountRefused(" ".join(refused))
        for finding in findings:
            self._say(str(finding))

    async def begin(self) -> None:
        for market in self._markets:
            await market.start()

    async def close(self) -> None:
        for market in self._markets:
            await market.close()
        if self._trading is not None:
            await self._trading.close()
        await self._session.close()


def _credentials(api_key: str | None, secret: str | None) -> Credentials | None:
    if (api_key is None) != (secret is None):
        raise ValueError("api_key and secret belong together: give both, or neither for data alone")
    return None if api_key is None or secret is None else Credentials(api_key, secret)
