"""What can go wrong on the wire: one table, with what each fault does and what it can happen to.

What the exchange itself does wrong (bans, lost events, late bars …) is in the core's own table.
"""

from __future__ import annotations

from dataclasses import dataclass

WRITES = ("create_order", "cancel_order")
READS = (
    "fetch_order", "open_orders", "fills", "funding", "account", "settings", "permissions", "listen_key", "markets",
    "history", "quote", "time",
)  # fmt: skip
REQUESTS = (*WRITES, *READS)
MARKET, USER = ("market_stream",), ("user_stream",)
STREAMS = (*MARKET, *USER)


@dataclass(frozen=True, slots=True)
class WireKind:
    """``executed``: whether a request has its effect before the fault, unless the fault says otherwise; None where that
    is not a question. On ``market_stream`` calls are counted by closed bar, on ``user_stream`` by event."""

    text: str
    on: tuple[str, ...]
    executed: bool | None = None


def _request(text: str, *, executed: bool = True, on: tuple[str, ...] = REQUESTS) -> WireKind:
    return WireKind(text, on, executed)


WIRE_KINDS: dict[str, WireKind] = {
    # the connection
    "outage": _request("every connection is cut, and for delay_ms new ones are refused", executed=False),
    "close": _request("the connection is closed without an answer"),
    "reset": _request("the connection is reset (RST) without an answer"),
    "hang": _request("no answer comes; the connection stays open for delay_ms"),
    "stale_keep_alive": _request("a kept-alive connection turns out closed when it is used again", executed=False),
    "held_up": _request("no answer comes; the request arrives delay_ms later and is judged then", executed=False),
    "slow_loris": _request("the answer comes one byte every delay_ms"),
    # the answer's form
    "partial_headers": _request("the answer ends amid its headers"),
    "truncated_body": _request("the answer ends amid its body"),
    "bad_chunk": _request("the answer's chunks are malformed"),
    "garbage": _request("the answer is no HTTP at all"),
    "html_200": _request("200 with a page of HTML"),
    "empty_200": _request("200 with nothing"),
    "cut_json_200": _request("200 with JSON that breaks off"),
    "empty_object_200": _request("200 with {}"),
    "redirect_302": _request("302 to another path of the same server"),
    "redirect_307": _request("307 to the same path, which makes a careless client send again"),
    # statuses
    "http_403": _request("403 with HTML: the firewall refuses", executed=False),
    "http_404": _request("404 with HTML", executed=False),
    "http_451": _request("451: a restricted location", executed=False),
    "http_500": _request("500 with HTML"),
    "http_502": _request("502 with HTML"),
    "http_503": _request("503 with HTML: service unavailable"),
    "http_504": _request("504 with HTML"),
    "http_520": _request("520 with HTML"),
    "http_524": _request("524 with HTML"),
    # Binance's own words
    "unknown_error_503": _request('503 "Unknown error, please check your request or try again later."'),
    "unknown_-1000": _request("500 -1000: an unknown error occurred"),
    "disconnected_-1001": _request("503 -1001: internal error, unable to process"),
    "unexpected_-1006": _request("400 -1006: unexpected response, execution status unknown"),
    # streams
    "ws_drop": WireKind("every connection of the stream is closed (code 1012)", STREAMS),
    "ws_abort": WireKind("every connection of the stream is cut without a goodbye (1006)", STREAMS),
    "ws_half_open": WireKind("connections stay open: nothing is sent any more, and no ping is answered", STREAMS),
    "ws_silent": WireKind("connections stay open and answer pings, but say nothing for delay_ms", STREAMS),
    "server_shutdown": WireKind("the serverShutdown event, and delay_ms later the connections are closed", STREAMS),
    "kline_out_of_order": WireKind("the closed bar is streamed after the next one", MARKET),
    "kline_unclosed_as_closed": WireKind("the forming bar is streamed as closed", MARKET),
    "listen_key_expired": WireKind("every listen key runs out now", USER),
}
