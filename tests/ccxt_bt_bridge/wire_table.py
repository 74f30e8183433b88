"""What can come back over the wire for one request, and what may be concluded from it. Data, and nothing else.

Two answers are proofs: a reply that validates, and a refusal on the list of that market. After everything else it may
have happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Order = dict[str, Any]
Change = Callable[[Order], Any]

PLACED, NOT_PLACED, AMBIGUOUS = "Placed", "NotPlaced", "Ambiguous"
CANCELLED, NOT_CANCELLED = "Cancelled", "NotCancelled"
FOUND, UNKNOWN = "Found", "Unknown"
HTML = "<html><body>sorry</body></html>"


@dataclass(frozen=True)
class WireRow:
    """``executed``: the request took effect at the exchange. ``body``: text, or a change of the true answer.

    ``breaks``: how the connection fails instead of an answer. ``spot_create`` where the markets differ.
    """

    name: str
    executed: bool
    create: str = AMBIGUOUS
    cancel: str = AMBIGUOUS
    fetch: str = UNKNOWN
    status: int = 200
    body: str | Change = ""
    breaks: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    spot_create: str | None = None

    def expected(self, kind: str, operation: str) -> str:
        if kind == "spot" and operation == "create" and self.spot_create is not None:
            return self.spot_create
        return str(getattr(self, operation))


def broken(name: str, *, executed: bool = True) -> WireRow:
    return WireRow(name, executed, breaks=name)


def changed(name: str, change: Change, **more: Any) -> WireRow:
    """A 200 that is not quite the answer."""
    return WireRow(name, True, body=change, **more)


def page(status: int, *, executed: bool = True, body: str = HTML) -> WireRow:
    headers = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
    return WireRow(f"{status} page", executed, status=status, body=body, headers=headers)


def code(status: int, number: int, text: str = "refused", **more: Any) -> WireRow:
    """Binance's own words, by default for something that was not executed."""
    executed = more.pop("executed", False)
    body = f'{{"code":{number},"msg":"{text}"}}'
    return WireRow(f"{status} {number} {text}".strip(), executed, status=status, body=body, **more)


def no(status: int, number: int, text: str = "refused", **more: Any) -> WireRow:
    """A refusal of the request itself: it proves that nothing happened, whatever was asked for."""
    return code(status, number, text, **{"create": NOT_PLACED, "cancel": NOT_CANCELLED, **more})


def refused_order(number: int, text: str = "refused", **more: Any) -> WireRow:
    """A refusal of the order: proof for a creation, and no answer to anything else."""
    return code(400, number, text, **{"create": NOT_PLACED, **more})


def without(*names: str) -> Change:
    return lambda order: {name: value for name, value in order.items() if name not in names}


def with_(**values: Any) -> Change:
    return lambda order: order | values


def other_id(order: Order) -> Order:
    return order | {name: "somebody" for name in ("clientOrderId", "origClientOrderId") if name in order}


QUIET = {"Retry-After": "0"}

TABLE: tuple[WireRow, ...] = (
    # the connection
    broken("closed before", executed=False),
    broken("closed after"),
    broken("reset after"),
    broken("hangs"),
    broken("partial headers"),
    broken("truncated body"),
    broken("bad chunk"),
    broken("garbage"),
    broken("slow loris"),
    # 200 and good
    changed("true answer", with_(), create=PLACED, cancel=CANCELLED, fetch=FOUND),
    changed("more fields", with_(novelty={"deep": [1]}), create=PLACED, cancel=CANCELLED, fetch=FOUND),
    changed("numbers instead of text", with_(origQty=0.01), create=PLACED, cancel=CANCELLED, fetch=FOUND),
    # 200 and not the answer
    WireRow("200 html", True, body=HTML),
    WireRow("200 empty", True, body=""),
    WireRow("200 cut", True, body='{"orderId": 7, "symbol": "BTC'),
    WireRow("200 {}", True, body="{}"),
    WireRow("200 []", True, body="[]"),
    WireRow("200 null", True, body="null"),
    WireRow("200 text", True, body='"ok"'),
    WireRow("200 success", True, body='{"code":200,"msg":"success"}'),
    WireRow("200 -1007", True, body='{"code":-1007,"msg":"timeout"}'),
    WireRow("200 -2019", False, body='{"code":-2019,"msg":"Margin is insufficient."}'),
    WireRow("202 true answer", True, status=202, body=with_()),
    changed("no order id", without("orderId")),
    changed("order id null", with_(orderId=None)),
    changed("order id 0", with_(orderId=0)),
    changed("no client id", without("clientOrderId", "origClientOrderId")),
    changed("another's client id", other_id),
    changed("another symbol", with_(symbol="DOGEUSDT"), cancel=CANCELLED, fetch=FOUND),
    changed("no side", without("side")),
    changed("other side", with_(side="SELL"), cancel=CANCELLED, fetch=FOUND),
    changed("other amount", with_(origQty="0.02"), cancel=CANCELLED, fetch=FOUND),
    changed("no amount", without("origQty")),
    changed("amount 0", with_(origQty="0")),
    changed("overfilled", with_(executedQty="0.03")),
    changed("filled below 0", with_(executedQty="-0.01")),
    changed("filled NaN", with_(executedQty="NaN")),
    changed("filled infinite", with_(executedQty="Infinity")),
    changed("filled null", with_(executedQty=None)),
    changed("no status", without("status")),
    changed("unknown status", with_(status="LOST")),
    # redirects
    page(301),
    page(302),
    page(303),
    page(307),
    page(308),
    # statuses
    page(400, executed=False, body="nope"),
    page(401, executed=False),
    page(403, executed=False),
    page(404, executed=False),
    page(408),
    WireRow("429 page", False, status=429, body=HTML, headers=QUIET),
    WireRow("451 restricted", False, status=451, body='{"code":0,"msg":"restricted location"}'),
    page(500),
    page(502),
    page(503),
    page(504),
    page(520),
    page(522),
    page(524),
    # codes that decide nothing
    code(503, -1000, "Unknown error, please check your request or try again later.", executed=True),
    code(400, -1000, "An unknown error occurred while processing the request.", executed=True),
    code(503, -1001, "Internal error"),
    code(400, -1001, "Internal error"),
    code(400, -1006, "Execution status unknown.", executed=True),
    code(408, -1007, "Execution status unknown.", executed=True),
    code(400, -1007, "Execution status unknown.", executed=True),
    code(503, -1016, "This service is no longer available."),
    code(400, -9999, "brand new"),
    code(500, -2019, "Margin is insufficient."),
    code(502, -2010, "behind a broken gateway", executed=True),
    code(400, -2010, "Duplicate order sent."),
    code(400, -4116, "ClientOrderId is duplicated."),
    code(400, -2013, "Order does not exist.", cancel=NOT_CANCELLED),
    code(400, -2011, "Unknown order sent.", cancel=NOT_CANCELLED),
    # the request was refused
    no(503, -1008, "Request throttled by system-level protection."),
    no(429, -1003, "Too many requests.", headers=QUIET),
    no(429, -1015, "Too many new orders.", headers=QUIET),
    no(418, -1003, "Way too many requests.", headers=QUIET),
    no(400, -1021, "outside of the recvWindow."),
    no(400, -1021, "1000ms ahead of the server's time."),
    no(400, -1022, "Signature for this request is not valid."),
    no(400, -1102, "Mandatory parameter"),
    no(400, -1111, "Precision is over the maximum"),
    no(400, -1121, "Invalid symbol."),
    no(401, -2014, "API-key format invalid."),
    no(401, -2015, "Invalid API-key, IP, or permissions for action."),
    # the order was refused
    refused_order(-1013, "Filter failure: LOT_SIZE"),
    refused_order(-2010, "Account has insufficient balance for requested action."),
    refused_order(-2019, "Margin is insufficient.", spot_create=AMBIGUOUS),
    refused_order(-2022, "ReduceOnly Order is rejected.", spot_create=AMBIGUOUS),
    refused_order(-4061, "position side does not match", spot_create=AMBIGUOUS),
    refused_order(-4131, "PERCENT_PRICE", spot_create=AMBIGUOUS),
    refused_order(-4164, "notional must be no smaller", spot_create=AMBIGUOUS),
    refused_order(-5022, "Post Only order will be rejected.", spot_create=AMBIGUOUS),
)
