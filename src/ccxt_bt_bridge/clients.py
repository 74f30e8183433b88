"""The ccxt clients we use: ccxt's own, with its replies noted, its clock ours, and its streams heard unfiltered.

ccxt drops the closed flag of a candle (issue 21885) and loses order updates that come close together (27412), so the
events are taken below ``watch_ohlcv`` and ``watch_orders``: those only open the connection and wait until it breaks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ccxt
import ccxt.pro

from ccxt_bt_bridge.exchange_clock import ExchangeClock
from ccxt_bt_bridge.rate_gate import RateGate
from ccxt_bt_bridge.wire import current_attempt

# ccxt's DEBUG lines hold the API key and signatures.
_quiet = logging.getLogger("ccxt_bt_bridge.ccxt")
_quiet.setLevel(logging.WARNING)

KEEP_ALIVE_MS = 4_000  # a link that answers no ping is given up after three of these; ccxt's own are nine minutes
Listener = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Wiring:
    """What our clients share."""

    clock: ExchangeClock
    gate: RateGate


class BridgeClient:
    """Mixed into a ccxt.pro class. ``listener`` gets every raw event and what becomes of the connection."""

    wiring: Wiring
    listener: Listener | None = None
    error_prefix: str | None = None

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._timers: dict[str, asyncio.TimerHandle] = {}
        super().__init__(dict(config))  # type: ignore[call-arg]
        self.logger = _quiet
        self.timeout_on_exit = 0

    def nonce(self) -> int:
        return self.wiring.clock.signing_ms()

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        self.wiring.gate.check()
        attempt = current_attempt()
        if attempt is not None:
            attempt.check_deadline()
        return await super().fetch(url, method, headers, body)  # type: ignore[misc]

    def on_rest_response(
        self, code: int, reason: str, url: str, method: str, response_headers: dict[str, str], response_body: str,
        request_headers: Any, request_body: Any,
    ) -> str:  # fmt: skip
        self.wiring.gate.hear(code, response_headers, response_body)
        attempt = current_attempt()
        if attempt is not None:
            attempt.note_reply(code, response_headers, response_body)
        return super().on_rest_response(  # type: ignore[misc]
            code, reason, url, method, response_headers, response_body, request_headers, request_body
        )

    def get_exceptions_by_url(self, url: str, exactOrBroad: str) -> dict[str, Any]:
        """ccxt chooses its table by the address; ours may be another one."""
        return super().get_exceptions_by_url(self.error_prefix or url, exactOrBroad)  # type: ignore[misc]

    def delay(self, timeout: float, method: Any, *args: Any) -> Any:
        """One timer of a kind, so that reconnects do not pile up renewals of the listen key."""
        name = method.__name__
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = super().delay(timeout, method, *args)  # type: ignore[misc]
        return self._timers[name]

    async def close(self, clean_instance_data: bool = False) -> None:
        for timer in self._timers.values():
            timer.cancel()
        await super().close(clean_instance_data)  # type: ignore[misc]

    def on_connected(self, client: Any, message: Any = None) -> None:
        super().on_connected(client, message)  # type: ignore[misc]
        self._hear("connected", {"url": client.url})

    def handle_message(self, client: Any, message: Any) -> None:
        self._hear("message", {})
        super().handle_message(client, message)  # type: ignore[misc]

    def _hear(self, kind: str, message: dict[str, Any]) -> None:
        if self.listener is not None:
            self.listener(kind, message)

    def break_streams(self, reason: str) -> None:
        """Give up every open connection, as if it had failed: whoever watches gets an error and begins anew."""
        for client in list((self.clients or {}).values()):  # type: ignore[attr-defined]
            for future in client.futures.values():
                # Nobody may be waiting any more, and asyncio reports an error that nobody has looked at.
                future.add_done_callback(lambda done: done.cancelled() or done.exception())
            client.on_error(ccxt.NetworkError(reason))


class BinanceClient(BridgeClient):
    """Binance's streams, below ccxt's filters. Nothing resolves ccxt's futures here but a failure."""

    def handle_ohlcv(self, client: Any, message: dict[str, Any]) -> None:
        self._hear("kline", message)

    def handle_mark_prices(self, client: Any, message: Any) -> None:
        self._hear("heartbeat", message if isinstance(message, dict) else {})

    def handle_tickers(self, client: Any, message: Any) -> None:
        self._hear("heartbeat", message if isinstance(message, dict) else {})

    def handle_order_update(self, client: Any, message: dict[str, Any]) -> None:
        self._hear("order", message)

    def handle_acount_update(self, client: Any, message: dict[str, Any]) -> None:  # (sic) ccxt's spelling
        self._hear("account", message)

    def handle_balance(self, client: Any, message: dict[str, Any]) -> None:
        self._hear("account", message)

    def handle_user_data_stream_subscribe(self, client: Any, message: dict[str, Any]) -> None:
        super().handle_user_data_stream_subscribe(client, message)  # type: ignore[misc]
        if isinstance(message.get("result"), dict):
            self._hear("subscribed", message)

    def handle_message(self, client: Any, message: Any) -> None:
        if isinstance(message, dict) and message.get("e") == "kline":
            # At a full minute every symbol speaks at once: ccxt's own way to its handler takes most of the time.
            self.handle_ohlcv(client, message)
            return
        super().handle_message(client, message)
        if isinstance(message, dict) and message.get("e") in ("listenKeyExpired", "serverShutdown"):
            client.on_error(ccxt.NetworkError(message["e"]))

    def forget_listen_key(self) -> None:
        """The next connection asks for the key anew: an expired one would stay silent."""
        self.options["linear"] = {}  # type: ignore[attr-defined]


class UsdmClient(BinanceClient, ccxt.pro.binanceusdm):
    error_prefix = "https://fapi.binance.com/"


class SpotClient(BinanceClient, ccxt.pro.binance):
    error_prefix = "https://api.binance.com/"


def client_class(exchange_id: str) -> type[Any]:
    """Raises ``KeyError`` for an exchange that ccxt.pro does not have."""
    known = {"binanceusdm": UsdmClient, "binance": SpotClient}
    if exchange_id in known:
        return known[exchange_id]
    if exchange_id not in ccxt.pro.exchanges:
        raise KeyError(exchange_id)
    return type("GenericClient", (BridgeClient, getattr(ccxt.pro, exchange_id)), {})
