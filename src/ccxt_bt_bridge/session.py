"""A session with one exchange: its clients, its markets, its clock, and how long an unknown order may still turn up."""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ccxt_bt_bridge.binance_endpoints import BY_EXCHANGE, Endpoints, local_urls
from ccxt_bt_bridge.capabilities import CapabilityReport, report_on
from ccxt_bt_bridge.clients import KEEP_ALIVE_MS, Wiring, client_class
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketUnknown, NotSupported
from ccxt_bt_bridge.exchange_clock import ExchangeClock, TimeSample
from ccxt_bt_bridge.local_address import loopback_address, trust
from ccxt_bt_bridge.market_rules import market_from
from ccxt_bt_bridge.rate_gate import RateGate
from ccxt_bt_bridge.refusals import answer_of, refusal
from ccxt_bt_bridge.resolver import GuardedSession, open_session
from ccxt_bt_bridge.sent_orders import SentOrders
from ccxt_bt_bridge.wire import Reply, ask, ask_unified
from ccxt_bt_bridge.words import Market

log = logging.getLogger(__name__)

REAL_KEY_LENGTH = 64

BACKEND_TIMEOUT_MS, MARGIN_MS = 10_000, 2_000  # Binance's own, and what a query may lag behind
RESYNC_S, PING_S, TIME_SAMPLES = 600.0, 10.0, 5
DOUBT_S = 10.0  # a clock that is doubted is measured once in so long
DOUBTFUL_MS = 500.0
WINDOW_MS, USDM_WEIGHT = 60_000, 2_400  # a minute, and what futures allow in it; ccxt assumes half


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key. Neither part is in any repr, log or error. Raises ``ValueError`` for an empty one."""

    api_key: str = field(repr=False)
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        empty = [name for name, text in (("API key", self.api_key), ("secret", self.secret)) if not text.strip()]
        if empty:
            raise ValueError(
                f"the {' and the '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty: give what the exchange "
                "issued, or look whether the environment variable that it is read from is set"
            )


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """``exchange_id``: ccxt's ("binanceusdm", "binance" for spot, or any other).

    ``url``: an exchange on this machine, nothing else; with https and ``ca_file`` it is reached under the production
    names. ``recv_window_ms``: how late the exchange may still accept a request. ``silent_after_s``: after so long
    without a message a stream counts as broken. Raises ``ValueError``.
    """

    exchange_id: str
    credentials: Credentials | None = None
    testnet: bool = False
    url: str | None = None
    ca_file: str | None = None
    recv_window_ms: int = 2_000
    timeout_ms: int = 8_000
    silent_after_s: float = 15.0

    def __post_init__(self) -> None:
        if self.url is not None:
            object.__setattr__(self, "url", loopback_address(self.url, self.ca_file))
        elif self.ca_file is not None:
            raise ValueError("ca_file is for an https url on this machine; the real exchange needs none")
        if self.ca_file is not None:
            trust(self.ca_file)
        if self.url is not None and self.testnet:
            raise ValueError("testnet and url exclude each other: one exchange at a time")
        if self.url is not None and self.credentials is not None and _is_real(self.credentials.api_key):
            raise ValueError(
                "the API key looks like one of the real exchange: give the exchange on this machine its own"
            )
        if not 1_500 <= self.recv_window_ms <= 3_000:
            raise ValueError(f"recv_window_ms is {self.recv_window_ms}; it must be from 1500 to 3000")
        if not 0.0 < self.silent_after_s <= 15.0:
            raise ValueError(f"silent_after_s is {self.silent_after_s}; it must be above 0 and at most 15")


class CcxtSession:
    """Made by ``open``. ``kind``: "usdm" or "spot"; ``horizon_ms``: how long after it was sent an order that the
    exchange does not know may still turn up; ``sent``: the orders that any of its clients has sent."""

    def __init__(self, settings: SessionSettings, report: CapabilityReport) -> None:
        loop_time = asyncio.get_running_loop().time
        self.settings, self.report = settings, report
        self.kind = report.kind
        self.endpoints: Endpoints | None = BY_EXCHANGE.get(settings.exchange_id)
        self.clock = ExchangeClock(loop_time)
        self.gate = RateGate(loop_time, self.clock)
        self.horizon_ms = settings.recv_window_ms + BACKEND_TIMEOUT_MS + MARGIN_MS
        self.sent = SentOrders(loop_time)
        self._clients: list[Any] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._doubt: asyncio.Task[Any] | None = None
        self._http: GuardedSession | None = None

    @classmethod
    async def open(cls, settings: SessionSettings, *, loop: asyncio.AbstractEventLoop | None = None) -> CcxtSession:
        """Connected, with markets and clock. On ``loop``, which must be the running one; closes everything on failure.

        Raises ``ExchangeUnreachable``, ``NotSupported`` for an exchange that ccxt does not have, and ``ValueError``.
        """
        if loop not in (None, asyncio.get_running_loop()):
            raise ValueError("a session is opened on the loop that will use it")
        session = cls(settings, report_on(settings.exchange_id))
        try:
            await session._connect()
        except BaseException:
            await session.close()
            raise
        return session

    # names and rules

    def market_of(self, name: str) -> Market:
        """The rules of ``BTCUSDT``, ``BTC/USDT`` or ``BTC/USDT:USDT``, under the name asked for.

        Raises ``MarketUnknown`` with names that are near.
        """
        return market_from(self.raw_market(name), kind=self.kind, symbol=name)

    @property
    def raw_markets(self) -> tuple[dict[str, Any], ...]:
        """ccxt's markets that a name may mean: spot, or linear perpetuals."""
        return tuple(self._by_compact.values())

    def raw_market(self, name: str) -> dict[str, Any]:
        """ccxt's market of any of its names. Raises ``MarketUnknown``."""
        wanted = _compact(name)
        found = self._by_compact.get(wanted)
        if found is None:
            near = difflib.get_close_matches(wanted, self._by_compact, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f"it lists {len(self._by_compact)} others"
            raise MarketUnknown(f"{self.settings.exchange_id} has no market {name}; {hint}")
        return found

    def names_by_id(self, names: Sequence[str]) -> dict[str, str]:
        """These names by the exchange's ids. Raises ``MarketUnknown``, also for two names of one market."""
        by_id: dict[str, str] = {}
        for name in names:
            known = by_id.setdefault(self.raw_market(name)["id"], name)
            if known != name:
                raise MarketUnknown(f"{known} and {name} are one market: use one name for it throughout")
        return by_id

    # clients

    @property
    def public(self) -> Any:
        """The client for whatever belongs to no port: time and declarations."""
        return self._clients[0]

    def new_client(self) -> Any:
        """A ccxt client of its own limiter and streams, so that no order queues behind a backfill."""
        client = client_class(self.settings.exchange_id)(self._config())
        client.wiring = Wiring(self.clock, self.gate)
        client.streaming = {**client.streaming, "keepAlive": KEEP_ALIVE_MS}
        if self.settings.testnet:
            _use_test_network(client)
        if self._clients:
            client.set_markets_from_exchange(self._clients[0])
            client.ssl_context = self._clients[0].ssl_context  # 40 ms to build, and the same for all
        self._clients.append(client)
        return client

    def _config(self) -> dict[str, Any]:
        credentials, url = self.settings.credentials, self.settings.url
        plain = url is not None and self.settings.ca_file is None
        return {
            "session": self._http,
            "timeout": self.settings.timeout_ms,
            "enableRateLimit": True,
            "rateLimiterAlgorithm": "rollingWindow",  # the default holds a second leg back by 200 ms
            "rollingWindowSize": WINDOW_MS,
            **({"rateLimit": WINDOW_MS / USDM_WEIGHT} if self.kind == "usdm" and self.endpoints else {}),
            "aiohttp_trust_env": False,
            "options": _options(self.settings),
            **({"apiKey": credentials.api_key, "secret": credentials.secret} if credentials else {}),
            **({"urls": {"api": local_urls(url)}} if url is not None and plain else {}),
        }

    # opening

    async def _connect(self) -> None:
        if self.settings.url is not None and self.endpoints is None:
            raise NotSupported("an exchange url is understood for binance and binanceusdm only")
        hosts = self.endpoints.hosts if self.endpoints else frozenset[str]()
        self._http = open_session(self.settings.url, self.settings.ca_file, hosts)
        await self._hear_declaration(self.new_client())
        await self.synchronise()
        await self._load_markets()
        self._keep(self._resynchronise())

    async def _hear_declaration(self, client: Any) -> None:
        """An exchange on this machine says what it is; a real one is never asked."""
        if self.settings.url is None or self.endpoints is None:
            return
        base = self.endpoints.prefix if self.settings.ca_file else self.settings.url
        reply = await ask(client.fetch, f"{base}/desk")
        if reply.status == 0:
            raise ExchangeUnreachable(
                f"no exchange answers at {self.settings.url}: {reply.problem}; start it there, or mend the address"
            )
        declared = reply.data if reply.status == 200 and isinstance(reply.data, dict) else {}
        dialect = declared.get("dialect", self.settings.exchange_id)
        if dialect != self.settings.exchange_id:
            raise NotSupported(
                f"the exchange at {self.settings.url} speaks {dialect}, wanted {self.settings.exchange_id}: "
                "start it with that dialect, or choose the other market"
            )
        self.clock.may_skip = float(declared.get("speed", 1.0)) > 1.0
        timeout_ms = int(declared.get("backend_timeout_ms", BACKEND_TIMEOUT_MS))
        margin_ms = min(int(declared.get("query_lag_ms", MARGIN_MS)), MARGIN_MS)
        self.horizon_ms = self.settings.recv_window_ms + timeout_ms + margin_ms

    async def _load_markets(self) -> None:
        reply = await ask(self.public.load_markets)
        if not self.public.markets:
            raise ExchangeUnreachable(f"the markets of {self.settings.exchange_id} could not be read: {reply}")
        self._by_compact = {
            _compact(market["symbol"]): market for market in self.public.markets.values() if self._is_ours(market)
        }

    def _is_ours(self, market: dict[str, Any]) -> bool:
        """Spot, or linear perpetuals."""
        return bool(market["spot"] if self.kind == "spot" else market["swap"] and market["linear"])

    # the clock

    async def synchronise(self) -> None:
        """Measure the exchange's clock anew. Raises ``ExchangeUnreachable``."""
        if self.endpoints is None:
            self.clock.measure([await self._generic_sample()])
            return
        method = getattr(self.public, self.endpoints.time)
        replies = [await ask(method, {}) for _ in range(TIME_SAMPLES)]
        self.clock.measure([_sample(answer_of(reply, "the exchange's time"), reply) for reply in replies])

    async def hear_time(self) -> None:
        """Ask once what time it is there: what decides which candle is closed. Raises ``ExchangeUnreachable``."""
        if self.endpoints is not None:
            reply = await ask(getattr(self.public, self.endpoints.time), {})
            if not self.clock.observe(_sample(answer_of(reply, "the exchange's time"), reply).server_ms):
                await self.synchronise()

    def hear_event(self, event_ms: int) -> None:
        """A stream has said this time. What cannot be believed moves nothing: the clock is measured instead."""
        if not self.clock.observe(event_ms) and (self._doubt is None or self._doubt.done()):
            self._doubt = self._keep(self._settle_doubt())

    async def _settle_doubt(self) -> None:
        await self.synchronise_quietly()
        await asyncio.sleep(DOUBT_S)

    def synchronise_soon(self) -> None:
        """The exchange has refused a time stamp."""
        self._keep(self.synchronise_quietly())

    async def _generic_sample(self) -> TimeSample:
        """The exchange's time by ccxt's unified name for it; this machine's where it has none."""
        loop, client = asyncio.get_running_loop(), self.public
        sent_s, server_ms = loop.time(), None
        if client.has.get("fetchTime"):
            reply, server_ms = await ask_unified(client.fetch_time)
            if server_ms is None:
                raise refusal(reply, "the exchange's time")
        return TimeSample(sent_s, loop.time(), server_ms or client.milliseconds())

    async def _resynchronise(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_S)
            await self.synchronise_quietly()

    async def synchronise_quietly(self) -> None:
        """As ``synchronise``, twice where the first measure is doubtful; an exchange that does not answer is logged."""
        try:
            await self.synchronise()
            if abs(self.clock.correction_ms) > DOUBTFUL_MS:
                await self.synchronise()  # whether the first was right
        except ExchangeUnreachable as error:
            log.warning("clock_not_measured reason=%r", str(error))

    async def keep_warm(self, client: Any) -> None:
        """Until cancelled: two connections stay open, so that two legs after a quiet hour pay no handshake."""
        if self.endpoints is None:
            return
        ping = getattr(client, self.endpoints.ping)
        while True:
            answers = await asyncio.gather(ask(ping, {}), ask(ping, {}), return_exceptions=True)
            times_s = [one.received_s - one.sent_s for one in answers if isinstance(one, Reply) and one.status == 200]
            self.clock.round_trip_s = min(times_s, default=self.clock.round_trip_s)
            await asyncio.sleep(PING_S)

    # the end

    def _keep(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Leaves no socket and no task. May be called again, also after a failed ``open``."""
        tasks, clients, http = list(self._tasks), self._clients, self._http
        self._clients, self._http = [], None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(client.close() for client in clients), return_exceptions=True)
        if http is not None:
            await http.close()
            # asyncio closes a transport in the next turns of the loop
            await asyncio.sleep(0.01)


def _is_real(api_key: str) -> bool:
    return len(api_key) == REAL_KEY_LENGTH and api_key.isalnum()


def _compact(name: str) -> str:
    return name.split(":")[0].replace("/", "").replace("-", "").upper()


def _options(settings: SessionSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "fetchCurrencies": False,
        "fetchMargins": False,
        "recvWindow": settings.recv_window_ms,
        "maxRetriesOnFailure": 0,
        "warnOnFetchOpenOrdersWithoutSymbol": False,
    }
    if settings.exchange_id == "binance":
        options |= {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}}
    return options


def _use_test_network(client: Any) -> None:
    if client.urls.get("demo"):
        client.enable_demo_trading(True)
    elif client.urls.get("test"):
        client.set_sandbox_mode(True)
    else:
        raise NotSupported(f"{client.id} has no test network")


def _sample(answer: Any, reply: Reply) -> TimeSample:
    server_ms = answer.get("serverTime") if isinstance(answer, dict) else None
    if not isinstance(server_ms, int | Decimal):
        raise ExchangeUnreachable("the exchange's time could not be read from its answer")
    return TimeSample(reply.sent_s, reply.received_s, int(server_ms))
