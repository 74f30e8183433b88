"""How a preflight reaches the exchange of a config: two sessions, so that a bad key does not hide the market."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from brokers.broker_factory import check_broker
from ccxt_bt_bridge.ccxt_account import CcxtAccount
from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.errors import MarketUnknown
from ccxt_bt_bridge.request_room import request_weight
from ccxt_bt_bridge.session import CcxtSession, Credentials, SessionSettings
from ccxt_bt_bridge.words import BINANCE_IDS, Account, AccountSettings, Bar, KeyPermissions, Market, Quote
from trading.config.credentials import api_key
from trading.config.model import Config, LoadedConfig
from trading.market_input import DataChoice, market_input
from trading.preflight.simulated_side import SimulatedSide
from trading.preflight.venue import PrivateSide, PublicSide


class ExchangeSides:
    """``Sides`` of every broker that can be run; raises BrokerUnavailable for others."""

    def public(self, config: LoadedConfig) -> AbstractAsyncContextManager[PublicSide]:
        broker = config.model.broker.type
        check_broker(broker)
        return _simulated(config) if broker == "mock" else _public_session(config)

    def private(
        self, config: LoadedConfig, environ: Mapping[str, str]
    ) -> AbstractAsyncContextManager[PrivateSide] | None:
        return _private_session(config, environ) if config.model.broker.type == "binance" else None


class PublicSession:
    """A ``PublicSide`` over the wire."""

    def __init__(self, session: CcxtSession, config: LoadedConfig) -> None:
        self._session, self._config = session, config
        self._market: CcxtMarket | None = None

    def market_of(self, symbol: str) -> Market:
        return self._session.market_of(symbol)

    async def quote(self, symbol: str) -> Quote:
        return await self._open_market().quote(symbol)

    async def history(self, symbol: str, limit: int) -> list[Bar]:
        return await self._open_market().history(symbol, limit=limit)

    async def clock_offset_ms(self) -> int | None:
        if self._config.model.broker.exchange_url is not None:
            return None
        return self._session.clock.now_ms() - round(time.time() * 1000)

    def request_weight(self) -> tuple[int, int] | None:
        return request_weight(self._session)

    def lacks(self) -> Iterable[str]:
        return map(str, self._session.report.missing)

    def _open_market(self) -> CcxtMarket:
        """Made when first needed: an interval that the exchange lacks is told by the checks that want bars."""
        if self._market is None:
            listed = [symbol for symbol in self._config.symbols if _is_listed(self._session, symbol)]
            self._market = CcxtMarket(self._session, listed, self._config.model.data.interval)
        return self._market


class PrivateSession:
    """A ``PrivateSide`` over the wire."""

    def __init__(self, session: CcxtSession, symbols: tuple[str, ...]) -> None:
        self._account = CcxtAccount(session)
        self._trading = CcxtTrading(session, [symbol for symbol in symbols if _is_listed(session, symbol)])
        self._session = session

    async def key_permissions(self) -> KeyPermissions:
        return await self._account.key_permissions()

    async def settings(self, symbols: tuple[str, ...]) -> AccountSettings:
        return await self._account.settings([symbol for symbol in symbols if _is_listed(self._session, symbol)])

    async def account(self) -> Account:
        return await self._trading.account()


@asynccontextmanager
async def _simulated(config: LoadedConfig) -> AsyncIterator[PublicSide]:
    yield SimulatedSide(market_input(config, DataChoice()))


@asynccontextmanager
async def _public_session(config: LoadedConfig) -> AsyncIterator[PublicSide]:
    session = await CcxtSession.open(_settings(config.model, None))
    try:
        yield PublicSession(session, config)
    finally:
        await session.close()


@asynccontextmanager
async def _private_session(config: LoadedConfig, environ: Mapping[str, str]) -> AsyncIterator[PrivateSide]:
    pair = api_key(config.model, environ)
    session = await CcxtSession.open(_settings(config.model, Credentials(pair.key, pair.secret)))
    try:
        yield PrivateSession(session, config.symbols)
    finally:
        await session.close()


def _settings(model: Config, credentials: Credentials | None) -> SessionSettings:
    broker = model.broker
    return SessionSettings(
        BINANCE_IDS[model.market],
        credentials=credentials,
        testnet=model.testnet,
        url=broker.exchange_url,
        ca_file=broker.ca_file,
    )


def _is_listed(session: CcxtSession, symbol: str) -> bool:
    try:
        session.market_of(symbol)
    except MarketUnknown:
        return False
    return True
