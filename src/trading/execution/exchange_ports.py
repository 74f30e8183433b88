"""An exchange as an engine that stands alone is given it: its ports, and what one must know before trading there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from brokers.binance import WirePorts
from brokers.simulated.trading import SimulatedTrading
from ccxt_bt_bridge.clock import Clock
from ccxt_bt_bridge.port import MarketPort, TradingPort
from ccxt_bt_bridge.readiness import doubts_about
from trading.venues.venue import Venue
from trading.venues.wire_venue import network_reached

VENUE = ("market", "trading", "emergency", "clock", "network", "withdraw_unsent", "doubts", "run")


@dataclass(frozen=True, slots=True)
class ExchangePorts:
    """``network``: "simulated", "desk", "testnet" or "live". ``run``: the exchange's own run, 1 where it has none.

    ``remembers``: what was traded there is still known when this process is gone. ``doubts``: why it is not fit for
    anything new just now. ``emergency``, ``withdraw_unsent``: see ``KillSwitch``. ``login``: see ``Journal.open``.
    """

    market: MarketPort
    trading: TradingPort
    emergency: TradingPort
    clock: Clock
    network: str
    withdraw_unsent: Callable[[], None]
    doubts: Callable[[], tuple[str, ...]] = tuple
    run: int = 1
    remembers: bool = True
    login: str = field(default="", repr=False)

    @property
    def keeps_own_time(self) -> bool:
        """Its market may live in another year than whoever sends it signals."""
        return self.network in ("simulated", "desk")


def ports_of(exchange: Any) -> ExchangePorts:
    """Of a simulated or paper exchange, of what ``open_binance`` gave, of a venue, or of ports themselves.

    Raises ``TypeError`` for anything else.
    """
    match exchange:
        case ExchangePorts():
            return exchange
        case SimulatedTrading():
            return _simulated(exchange)
        case WirePorts(market=market, trading=trading, emergency=emergency, session=session):
            settings = session.settings
            network = network_reached(settings)
            key = settings.credentials.api_key if settings.credentials else ""
            return ExchangePorts(
                market=market,
                trading=trading,
                emergency=emergency,
                clock=session.clock,
                network=network,
                withdraw_unsent=trading.withdraw_unsent,
                doubts=lambda: doubts_about(session),
                login=f"{settings.exchange_id} {network} {settings.url or ''} {key}",
            )
    if all(hasattr(exchange, name) for name in VENUE):
        return _of_venue(exchange)
    raise TypeError(
        f"{type(exchange).__name__} is no exchange: give a SimulatedExchange, a PaperExchange or what "
        "brokers.binance.open_binance returns"
    )


def _simulated(exchange: Any) -> ExchangePorts:
    return ExchangePorts(
        market=exchange,
        trading=exchange,
        emergency=exchange,
        clock=exchange.clock,
        network="simulated",
        withdraw_unsent=lambda: None,
        run=exchange.run,
        remembers=exchange.remembers,
    )


def _of_venue(venue: Venue) -> ExchangePorts:
    return ExchangePorts(
        market=venue.market,
        trading=venue.trading,
        emergency=venue.emergency,
        clock=venue.clock,
        network=venue.network,
        withdraw_unsent=venue.withdraw_unsent,
        doubts=venue.doubts,
        run=venue.run,
    )
