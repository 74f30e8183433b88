"""Binance USD-M futures put together: its endpoints, its streams, its user events."""

from __future__ import annotations

from brokers.desk.core import Core
from brokers.desk.limits import Limits
from brokers.desk.market_data import MarketData
from brokers.desk.market_streams import Maker
from brokers.desk.routes import Handler, Route, Routes
from brokers.desk.usdm_account import UsdmAccount
from brokers.desk.usdm_algo import UsdmAlgo
from brokers.desk.usdm_events import UsdmEvents
from brokers.desk.usdm_public import UsdmPublic
from brokers.desk.usdm_trading import UsdmTrading

PERMISSION = "futures"


class UsdmDialect:
    name = "binanceusdm"
    permission = PERMISSION
    listen_key_path = "/fapi/v1/listenKey"
    ws_api_path = "/ws-fapi/v1"
    account_endpoint = ("GET", "/fapi/v3/account")

    def __init__(self, core: Core, limits: Limits) -> None:
        self.data = MarketData(core, most_klines=1_500)
        self.events = UsdmEvents(core)
        self._public = UsdmPublic(core, limits)
        self._trading = UsdmTrading(core)
        self._algo = UsdmAlgo(core)
        self._account = UsdmAccount(core)

    def makers(self) -> dict[str, Maker]:
        data, mark = self.data, self._public.mark_event
        return {
            "miniTicker": data.mini_ticker_event,
            "ticker": data.ticker_event,
            "trade": data.trade_event,
            "aggTrade": lambda symbol: data.trade_event(symbol, "aggTrade"),
            "bookTicker": lambda symbol: {"e": "bookTicker", **data.book_event(symbol)},
            "markPrice": mark,
            "markPrice@1s": mark,
        }

    def ws_methods(self) -> dict[str, tuple[str, str]]:
        return {
            "ping": ("GET", "/fapi/v1/ping"),
            "time": ("GET", "/fapi/v1/time"),
            "exchangeInfo": ("GET", "/fapi/v1/exchangeInfo"),
            "order.place": ("POST", "/fapi/v1/order"),
            "order.cancel": ("DELETE", "/fapi/v1/order"),
            "order.status": ("GET", "/fapi/v1/order"),
            "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
            "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
            "v2/account.status": ("GET", "/fapi/v3/account"),
            "account.status": ("GET", "/fapi/v2/account"),
            "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
            "account.position": ("GET", "/fapi/v2/positionRisk"),
            "userDataStream.start": ("POST", "/fapi/v1/listenKey"),
            "userDataStream.ping": ("PUT", "/fapi/v1/listenKey"),
            "userDataStream.stop": ("DELETE", "/fapi/v1/listenKey"),
        }

    def routes(self) -> Routes:
        return self._open_routes() | self._order_routes() | self._account_routes()

    def _open_routes(self) -> Routes:
        public, data = self._public, self.data
        rows: list[tuple[str, Handler, str, int]] = [
            ("ping", public.ping, "ping", 1),
            ("time", public.time, "time", 1),
            ("exchangeInfo", public.exchange_info, "markets", 1),
            ("klines", data.klines, "history", 2),
            ("ticker/24hr", data.ticker_24h, "quote", 1),
            ("ticker/price", data.price, "quote", 1),
            ("ticker/bookTicker", data.book_ticker, "quote", 2),
            ("depth", data.depth, "quote", 2),
            ("trades", data.trades, "quote", 5),
            ("premiumIndex", public.premium_index, "quote", 1),
            ("fundingRate", public.funding_rate, "history", 1),
        ]
        return {("GET", f"/fapi/v1/{path}"): Route(answer, name, weight=cost) for path, answer, name, cost in rows}

    def _order_routes(self) -> Routes:
        trading, algo = self._trading, self._algo
        return {
            ("POST", "/fapi/v1/algoOrder"): _signed(algo.place, "create_order", 0, orders=1),
            ("DELETE", "/fapi/v1/algoOrder"): _signed(algo.cancel, "cancel_order", 1),
            ("GET", "/fapi/v1/algoOrder"): _signed(algo.look_up, "fetch_order", 1),
            ("GET", "/fapi/v1/openAlgoOrders"): _signed(algo.open_orders, "open_orders", 1),
            ("DELETE", "/fapi/v1/algoOpenOrders"): _signed(algo.cancel_all, "cancel_order", 1),
            ("POST", "/fapi/v1/batchOrders"): _signed(trading.place_batch, "create_order", 5, orders=5),
            ("POST", "/fapi/v1/order"): _signed(trading.place, "create_order", 0, orders=1),
            ("DELETE", "/fapi/v1/order"): _signed(trading.cancel, "cancel_order", 1),
            ("GET", "/fapi/v1/order"): _signed(trading.look_up, "fetch_order", 1),
            ("GET", "/fapi/v1/openOrders"): _signed(trading.open_orders, "open_orders", 1),
            ("DELETE", "/fapi/v1/allOpenOrders"): _signed(trading.cancel_all, "cancel_order", 1),
            ("GET", "/fapi/v1/userTrades"): _signed(trading.trades, "fills", 5),
            ("GET", "/fapi/v1/income"): _signed(trading.income, "funding", 30),
        }

    def _account_routes(self) -> Routes:
        account, public = self._account, self._public
        return {
            ("GET", "/fapi/v2/account"): _signed(account.account, "account", 5),
            ("GET", "/fapi/v3/account"): _signed(account.account, "account", 5),
            ("GET", "/fapi/v2/positionRisk"): _signed(account.positions, "account", 5),
            ("GET", "/fapi/v3/positionRisk"): _signed(account.positions, "account", 5),
            ("GET", "/fapi/v1/leverageBracket"): _signed(public.leverage_bracket, "settings", 1),
            ("GET", "/fapi/v1/symbolConfig"): _signed(account.symbol_config, "settings", 5),
            ("GET", "/fapi/v1/accountConfig"): _signed(account.account_config, "settings", 5),
            ("GET", "/fapi/v1/positionSide/dual"): _signed(account.position_mode, "settings", 30),
            ("POST", "/fapi/v1/positionSide/dual"): _signed(account.set_position_mode, "settings", 1),
            ("GET", "/fapi/v1/multiAssetsMargin"): _signed(account.multi_assets, "settings", 30),
            ("POST", "/fapi/v1/marginType"): _signed(account.set_margin_type, "settings", 1),
            ("POST", "/fapi/v1/leverage"): _signed(account.set_leverage, "settings", 1),
        }


def _signed(answer: Handler, operation: str, weight: int, *, orders: int = 0) -> Route:
    return Route(answer, operation, "signed", PERMISSION, weight, orders)
