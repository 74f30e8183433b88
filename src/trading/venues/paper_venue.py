"""Paper: the real market's bars and prices, fills by the simulated exchange, in a file of its own. No key is used."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from brokers.broker_factory import open_paper_store, opening_settings
from brokers.funding import FundingSchedule
from brokers.paper.exchange import PaperExchange
from brokers.simulated.venue import VenueTerms
from ccxt_bt_bridge.ccxt_market import CcxtMarket
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.port import MarketPort, TradingPort
from ccxt_bt_bridge.series import interval_ms
from ccxt_bt_bridge.session import CcxtSession, SessionSettings
from ccxt_bt_bridge.words import BINANCE_IDS, Market
from trading.config.model import Config, LoadedConfig
from trading.venues.venue import EndlessMarket
from trading.venues.wire_venue import rules_for


class PaperVenue(EndlessMarket):
    """A ``Venue`` on the quotes of Binance. ``broker.initial_balance`` is the account's opening balance."""

    network = "simulated"

    def __init__(self, session: CcxtSession, market: CcxtMarket, exchange: PaperExchange, config: LoadedConfig) -> None:
        model = config.model
        self._session, self._quotes, self._exchange = session, market, exchange
        self._initial = Decimal(repr(model.broker.initial_balance))
        self.market: MarketPort = exchange
        self.trading: TradingPort = exchange
        self.emergency: TradingPort = exchange
        self.clock: Clock = session.clock
        self.rules: Mapping[str, Market] = rules_for(exchange.venue.markets, model)
        self.warmup_bars = model.data.lookback_bars
        self.notes: tuple[str, ...] = ()
        self.pace = _pace(model)

    @classmethod
    async def open(cls, config: LoadedConfig, path: Path) -> Self:
        """Raises BridgeError or StoreError with what to do; nothing is left open then."""
        model = config.model
        settings = SessionSettings(
            exchange_id=BINANCE_IDS[model.market], url=model.broker.exchange_url, ca_file=model.broker.ca_file
        )
        session = await CcxtSession.open(settings)
        try:
            market = CcxtMarket(session, config.symbols, model.data.interval)
            exchange = await PaperExchange.open(
                market,
                open_paper_store(path, config.symbols, model.market),
                symbols=config.symbols,
                interval_ms=interval_ms(model.data.interval),
                clock=session.clock,
                initial_balance=Decimal(repr(model.broker.initial_balance)),
                terms=_terms(model, config.symbols),
                funding=_funding(model, config.symbols),
                latency_ms=model.broker.latency_ms,
                faults=[fault.model_dump(mode="json", exclude_none=True) for fault in model.broker.faults],
                fault_seed=model.mock.seed,
            )
        except BaseException:
            await session.close()
            raise
        return cls(session, market, exchange, config)

    @property
    def run(self) -> int:
        return self._exchange.run

    def doubts(self) -> tuple[str, ...]:
        return ()

    def opening_equity(self, known: Mapping[str, Any]) -> Decimal:
        return self._initial

    def terms(self) -> dict[str, str]:
        return {"broker.initial_balance": str(self._initial)}

    def withdraw_unsent(self) -> None:
        """Nothing waits: an exchange in this process is asked at once."""

    async def play(self) -> None:
        """Follow the real market for as long as it is there."""
        await self._quotes.start()
        await self._exchange.run_market()

    async def close(self) -> None:
        self._exchange.close()
        await self._quotes.close()
        await self._session.close()


def _pace(model: Config) -> str:
    url = model.broker.exchange_url
    return "at the real market's prices" if url is None else f"at the prices of the exchange at {url}"


def _terms(model: Config, symbols: tuple[str, ...]) -> VenueTerms:
    broker = model.broker
    leverage = Decimal(repr(broker.account.leverage)) if model.market == "usdm" else Decimal(1)
    return VenueTerms(
        taker_fee=Decimal(repr(broker.commission)),
        slippage_bps=Decimal(repr(broker.slippage_bps)),
        leverage=leverage,
        maintenance_margin_pct=Decimal(repr(broker.maintenance_margin_pct)),
        settings=opening_settings(symbols, broker.account.margin_mode, leverage),
    )


def _funding(model: Config, symbols: tuple[str, ...]) -> dict[str, FundingSchedule]:
    """The config's constant rate every eight hours: paper keeps books of its own and pays nobody."""
    if model.market != "usdm":
        return {}
    rate = Decimal(repr(model.data.funding_rate_8h))
    return {symbol: FundingSchedule(None, rate) for symbol in symbols}
