"""Binance spot put together: its endpoints, its streams, its user events."""

from __future__ import annotations

from brokers.desk.core import Core
from brokers.desk.limits import Limits
from brokers.desk.market_data import MarketData
from brokers.desk.market_streams import Maker
from brokers.desk.routes import Handler, Route, Routes
from brokers.desk.spot_events import SpotEvents
from brokers.desk.spot_public import SpotPublic
from brokers.desk.spot_trading import SpotTrading

PERMISSION = "spot"


class SpotDialect:
    name = "binance"
    permission = PERMISSION
    listen_key_path = "/api/v3/userDataStream"
    ws_api_path = "/ws-api/v3"
    account_endpoint = ("GET", "/api/v3/account")

    def __init__(self, core: Core, limits: Limits) -> None:
        self.data = MarketData(core, most_klines=1_000)
        self.events = SpotEvents(core)
        self._public = SpotPublic(core, limits)
        self._trading = SpotTrading(core)

    def makers(self) -> dict[str, Maker]:
        data = self.data
        return {
            "miniTicker": data.mini_ticker_event,
            "ticker": data.ticker_event,
            "trade": data.trade_event,
            "aggTrade": lambda symbol: data.trade_event(symbol, "aggTrade"),
            "bookTicker": data.book_event,
        }

    def ws_methods(self) -> dict[str, tuple[str, str]]:
        names = {
            "ping": ("GET", "ping"),
            "time": ("GET", "time"),
            "exchangeInfo": ("GET", "exchangeInfo"),
            "klines": ("GET", "klines"),
            "order.place": ("POST", "order"),
            "order.cancel": ("DELETE", "order"),
            "order.status": ("GET", "order"),
            "openOrders.status": ("GET", "openOrders"),
            "openOrders.cancelAll": ("DELETE", "openOrders"),
            "account.status": ("GET", "account"),
            "myTrades": ("GET", "myTrades"),
        }
        return {name: (method, f"/api/v3/{path}") for name, (method, path) in names.items()}

    def routes(self) -> Routes:
        return self._open_routes() | self._signed_routes()

    def _open_routes(self) -> Routes:
        public, data = self._public, self.data
        rows: list[tuple[str, Handler, str, int]] = [
            ("ping", public.ping, "ping", 1),
            ("time", public.time, "time", 1),
            ("exchangeInfo", public.exchange_info, "markets", 20),
            ("klines", data.klines, "history", 2),
            ("ticker/24hr", data.ticker_24h, "quote", 2),
            ("ticker/price", data.price, "quote", 2),
            ("ticker/bookTicker", data.book_ticker, "quote", 2),
            ("depth", data.depth, "quote", 5),
            ("trades", data.trades, "quote", 25),
        ]
        return {("GET", f"/api/v3/{path}"): Route(answer, name, weight=cost) for path, answer, name, cost in rows}

    def _signed_routes(self) -> Routes:
        trading = self._trading
        return {
            ("POST", "/api/v3/order"): Route(trading.place, "create_order", "signed", PERMISSION, 1, 1),
            ("DELETE", "/api/v3/order"): Route(trading.cancel, "cancel_order", "signed", PERMISSION, 1),
            ("GET", "/api/v3/order"): Route(trading.look_up, "fetch_order", "signed", "read", 4),
            ("GET", "/api/v3/openOrders"): Route(trading.open_orders, "open_orders", "signed", "read", 6),
            ("DELETE", "/api/v3/openOrders"): Route(trading.cancel_all, "cancel_order", "signed", PERMISSION, 1),
            ("GET", "/api/v3/myTrades"): Route(trading.trades, "fills", "signed", "read", 20),
            ("GET", "/api/v3/account"): Route(trading.account, "account", "signed", "read", 20),
        }
