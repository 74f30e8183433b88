"""Live bars of Binance, spot or USD-M futures, through the bridge. No key is needed."""

from __future__ import annotations

from typing import Any, Self

from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.market_rules import require_open
from ccxt_bt_bridge.port import MarketPort
from ccxt_bt_bridge.session import CcxtSession, SessionSettings
from ccxt_bt_bridge.words import BINANCE_IDS
from feeds.live_data_feed import BaseLiveDataFeed


class BinanceDataFeed(BaseLiveDataFeed):
    """``market``: "spot" or "usdm"; ``url``: an exchange on this machine instead of the real one."""

    params: Any = (("market", "spot"), ("testnet", False), ("url", None), ("ca_file", None))

    def __init__(self) -> None:
        super().__init__()
        self._session: CcxtSession | None = None
        self._streams: CcxtMarket | None = None

    @classmethod
    def of(cls, symbol: str, interval: str, *, lookback_bars: int = 1_000, **settings: Any) -> Self:
        """A feed of one symbol, in any notation."""
        return cls(symbol=symbol, interval=interval, lookback_bars=lookback_bars, **settings)

    async def open_market(self) -> MarketPort:
        settings = SessionSettings(
            BINANCE_IDS[self.p.market], testnet=self.p.testnet, url=self.p.url, ca_file=self.p.ca_file
        )
        self._session = await CcxtSession.open(settings)
        require_open([self._session.market_of(self.p.symbol)])
        self._streams = CcxtMarket(self._session, [self.p.symbol], self.p.interval)
        await self._streams.start()
        return self._streams

    async def close_market(self) -> None:
        if self._streams is not None:
            await self._streams.close()
        if self._session is not None:
            await self._session.close()
