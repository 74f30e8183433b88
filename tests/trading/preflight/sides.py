"""Exchanges to examine: what they answer is what a test says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from ccxt_bt_bridge.errors import MarketUnknown
from ccxt_bt_bridge.words import Account, AccountSettings, Bar, KeyPermissions, Market, Quote, SymbolSettings
from trading.config.model import LoadedConfig

PROJECT = Path(__file__).resolve().parents[3]
D = Decimal
KEYS = {"BINANCE_API_KEY": "k" * 20, "BINANCE_API_SECRET": "s" * 20}
GOOD_KEY = KeyPermissions(may_trade=True, may_withdraw=False, may_transfer=False, ip_restricted=True)
SYMBOLS = ("ETHUSDT", "BTCUSDT", "LTCUSDT", "BCHUSDT", "ADAUSDT", "XRPUSDT")


def market(symbol: str, *, min_notional: int = 5, is_open: bool = True) -> Market:
    numbers = (D("0.01"), D("0.001"), D("0.001"), D(min_notional), D("0.0005"))
    return Market(symbol, "USDT", "usdm", *numbers, is_open=is_open)


@dataclass
class FakeSide:
    """Both sides of a healthy exchange, until a test says otherwise. An exception as a value is raised."""

    markets: dict[str, Market] = field(default_factory=lambda: {symbol: market(symbol) for symbol in SYMBOLS})
    price: Any = D(100)
    bars: Any = 10_000
    offset_ms: Any = 12
    weight: tuple[int, int] | None = (40, 2_400)
    lacking: tuple[str, ...] = ()
    permissions: Any = GOOD_KEY
    position_mode: str = "one_way"
    margin_mode: str = "cross"
    leverage: Decimal = D(2)
    wallet: Any = D(10_000)

    def market_of(self, symbol: str) -> Market:
        if symbol not in self.markets:
            raise MarketUnknown(f"binanceusdm has no {symbol}; did you mean {symbol[:-1]}?")
        return self.markets[symbol]

    async def quote(self, symbol: str) -> Quote:
        return Quote(symbol, _given(self.price), 0)

    async def history(self, symbol: str, limit: int) -> list[Bar]:
        count = min(limit, _given(self.bars))
        return [Bar(symbol, at * 3_600_000, 1.0, 1.0, 1.0, 1.0, 1.0) for at in range(count)]

    async def clock_offset_ms(self) -> int | None:
        return _given(self.offset_ms)

    def request_weight(self) -> tuple[int, int] | None:
        return self.weight

    def lacks(self) -> tuple[str, ...]:
        return self.lacking

    async def key_permissions(self) -> KeyPermissions:
        return _given(self.permissions)

    async def settings(self, symbols: tuple[str, ...]) -> AccountSettings:
        each = tuple(SymbolSettings(symbol, self.margin_mode, self.leverage) for symbol in symbols)
        return AccountSettings(self.position_mode, each)

    async def account(self) -> Account:
        return Account(0, _given(self.wallet), ())


def _given(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


class FakeSides:
    """Opens one side for both; an exception instead of it is raised on opening."""

    def __init__(self, side: FakeSide | Exception, private: FakeSide | Exception | None = None) -> None:
        self._public, self._private = side, private or side

    def public(self, config: LoadedConfig) -> AbstractAsyncContextManager[FakeSide]:
        return _opened(self._public)

    def private(self, config: LoadedConfig, environ: Mapping[str, str]) -> AbstractAsyncContextManager[FakeSide] | None:
        return _opened(self._private) if config.model.is_live else None


@asynccontextmanager
async def _opened(side: FakeSide | Exception) -> AsyncIterator[FakeSide]:
    yield _given(side)


def write_config(folder: Path, **sections: Any) -> Path:
    """The shipped config, made a live one on the test network; a section's keys are added to it."""
    config = json.loads((PROJECT / "config" / "trading" / "0001.json").read_text())
    for key in ("initial_balance", "latency_ms", "faults"):
        config["broker"].pop(key)
    config["broker"] |= {"type": "binance", "testnet": True}
    config["data"] |= {"data_source": "binance"}
    for name, section in sections.items():
        config[name] = config[name] | section if isinstance(config.get(name), dict) else section
    path = folder / "live.json"
    path.write_text(json.dumps(config))
    return path
