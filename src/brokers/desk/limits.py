"""Request limits as Binance counts them: weights a minute, orders in ten seconds and a minute, then bans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from brokers.desk.refusals import Refusal

MINUTE_S, TEN_SECONDS_S = 60.0, 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """``ban_after``: refused requests in a row (429) after which the address is banned (418) for ``ban_s``, doubled
    with each further ban. ``window_scale`` shortens the windows: 0.01 makes a minute of 0.6 s."""

    weight_per_minute: int = 2_400
    orders_per_10s: int = 300
    orders_per_minute: int = 1_200
    ban_after: int = 20
    ban_s: float = 120.0
    window_scale: float = 1.0


class _Window:
    """A count that starts afresh at each full window, as Binance's intervals do."""

    def __init__(self, length_s: float, most: int) -> None:
        self.length_s, self.most = length_s, most
        self.used, self._began = 0, -1

    def roll(self, now_s: float) -> None:
        began = int(now_s // self.length_s)
        if began != self._began:
            self.used, self._began = 0, began

    def left_s(self, now_s: float) -> float:
        return self.length_s - now_s % self.length_s


class RateMeter:
    """What one address used. ``loop_time`` in seconds: limits are real time, also where market time jumps."""

    def __init__(self, limits: Limits, loop_time: Callable[[], float], now_ms: Callable[[], int]) -> None:
        scale = limits.window_scale
        self._limits, self._time, self._now_ms = limits, loop_time, now_ms
        self._weight = _Window(MINUTE_S * scale, limits.weight_per_minute)
        self._orders_10s = _Window(TEN_SECONDS_S * scale, limits.orders_per_10s)
        self._orders_1m = _Window(MINUTE_S * scale, limits.orders_per_minute)
        self._refused, self._banned_until_s, self._bans = 0, 0.0, 0

    def charge(self, *, weight: int, orders: int) -> None:
        """Count one request. Raises 418 while banned, 429 (-1003 or -1015) above a limit."""
        now_s = self._time()
        if now_s < self._banned_until_s:
            raise self._ban_refusal()
        for window in (self._weight, self._orders_10s, self._orders_1m):
            window.roll(now_s)
        self._weight.used += weight
        if self._weight.used > self._weight.most:
            raise self._refuse(self._weight, now_s)
        for window in (self._orders_10s, self._orders_1m) if orders else ():
            window.used += orders
            if window.used > window.most:
                raise self._refuse(window, now_s)
        self._refused = 0

    def headers(self, *, orders: int) -> dict[str, str]:
        """The counts that go with every answer."""
        used = {"X-MBX-USED-WEIGHT-1M": str(self._weight.used)}
        if orders:
            used["X-MBX-ORDER-COUNT-10S"] = str(self._orders_10s.used)
            used["X-MBX-ORDER-COUNT-1M"] = str(self._orders_1m.used)
        return used

    def _refuse(self, window: _Window, now_s: float) -> Refusal:
        self._refused += 1
        if self._refused > self._limits.ban_after:
            self._refused = 0
            self._banned_until_s = now_s + self._limits.ban_s * 2**self._bans
            self._bans += 1
            return self._ban_refusal()
        retry = {"Retry-After": str(max(1, round(window.left_s(now_s))))}
        if window is self._weight:
            text = f"Too many requests; current limit is {window.most} requests per minute."
            return Refusal(-1003, text, status=429, headers=retry)
        return Refusal(
            -1015, f"Too many new orders; current limit is {window.most} orders per {window.length_s:g} s.",
            status=429, headers=retry,
        )  # fmt: skip

    def _ban_refusal(self) -> Refusal:
        left_s = self._banned_until_s - self._time()
        until_ms = self._now_ms() + round(left_s * 1000.0)
        text = (
            f"Way too many requests; IP(127.0.0.1) banned until {until_ms}. Please use the websocket for live updates."
        )
        return Refusal(-1003, text, status=418, headers={"Retry-After": str(max(1, round(left_s)))})
