"""A real exchange over the wire, or one on this machine that speaks its dialect. Its market never ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Self

from brokers.binance import AccountWish, WirePorts, open_binance
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.port import MarketPort, TradingPort
from ccxt_bt_bridge.readiness import doubts_about
from ccxt_bt_bridge.session import Credentials, SessionSettings
from ccxt_bt_bridge.words import BINANCE_IDS, Account, Market
from trading.config.credentials import ApiKey
from trading.config.model import Config, LoadedConfig
from trading.venues.venue import EndlessMarket


class WireVenue(EndlessMarket):
    """A ``Venue`` on Binance, USD-M or spot. ``capital`` caps what a run's books begin with."""

    run = 1

    def __init__(self, ports: WirePorts, model: Config, rules: Mapping[str, Market], account: Account) -> None:
        self._ports = ports
        self._capital = model.broker.capital
        self._wallet = account.wallet
        self.market: MarketPort = ports.market
        self.trading: TradingPort = ports.trading
        self.emergency: TradingPort = ports.emergency
        self.clock: Clock = ports.session.clock
        self.rules = rules
        self.warmup_bars = model.data.lookback_bars
        self.notes = ports.notes
        self.pace = _pace(model)
        self.network = network_reached(ports.session.settings)

    @classmethod
    async def open(cls, config: LoadedConfig, key: ApiKey) -> Self:
        """Raises BridgeError with what to do; nothing is left open then, and nothing was changed at the exchange."""
        model = config.model
        settings = SessionSettings(
            exchange_id=BINANCE_IDS[model.market],
            credentials=Credentials(key.key, key.secret),
            testnet=model.testnet,
            url=model.broker.exchange_url,
            ca_file=model.broker.ca_file,
        )
        ports = await open_binance(settings, _wish(model), symbols=config.symbols, interval=model.data.interval)
        try:
            listed = await ports.market.markets()
            return cls(ports, model, rules_for(listed, model), await ports.trading.account())
        except BaseException:
            await ports.close()
            raise

    def doubts(self) -> tuple[str, ...]:
        return doubts_about(self._ports.session)

    def opening_equity(self, known: Mapping[str, Any]) -> Decimal:
        """The wallet, or as much of it as ``capital`` allows; a run that goes on keeps what it began with."""
        if "opening_equity" in known:
            return Decimal(known["opening_equity"])
        return self._wallet if self._capital is None else min(self._wallet, Decimal(repr(self._capital)))

    def terms(self) -> dict[str, str]:
        return {"broker.capital": str(self._capital)}

    def withdraw_unsent(self) -> None:
        self._ports.trading.withdraw_unsent()

    async def play(self) -> None:
        """The market moves by itself: let its bars come, beginning where the history ended."""
        await self._ports.market.start()

    async def close(self) -> None:
        await self._ports.close()


def _wish(model: Config) -> AccountWish:
    account = model.broker.account
    if model.market == "spot":
        return AccountWish("one_way")
    return AccountWish(account.position_mode, account.margin_mode, Decimal(repr(account.leverage)))


def rules_for(markets: Mapping[str, Market], model: Config) -> dict[str, Market]:
    """The venue's rules, and no order smaller than the config wants any to be."""
    smallest = Decimal(repr(model.execution.min_order_value))
    return {name: replace(one, min_notional=max(one.min_notional, smallest)) for name, one in markets.items()}


def network_reached(settings: SessionSettings) -> str:
    """By what was connected to, not by what was wanted."""
    return "desk" if settings.url else "testnet" if settings.testnet else "live"


def _pace(model: Config) -> str:
    if model.broker.exchange_url is not None:
        return f"the exchange at {model.broker.exchange_url}"
    return "its test network" if model.testnet else "with real money"
