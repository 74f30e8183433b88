"""What a failed read or a refused order means, in words that say what to do."""

from __future__ import annotations

from typing import Any

from ccxt_bt_bridge.errors import ExchangeUnreachable, KeyRefused, MarketClosed, MarketUnknown
from ccxt_bt_bridge.wire import Reply

KEY_CODES = {
    "-2014": "the API key is malformed; copy it again, without spaces",
    "-2015": "the exchange does not accept this API key: it is wrong, revoked, lacks the permission, belongs to the "
    "other network (live or test), or this machine's address is not on its list",
    "-1022": "the signature was refused: the secret does not belong to the key; copy both again",
    "-1002": "the API key lacks a permission; switch on reading and trading for it at the exchange",
}
LOST = ("-2015", "-1002")  # what may become of a key while it is used
CLOCK = "the exchange refuses the time stamp: its clock and ours disagree; it is being measured anew"


def answer_of(reply: Reply, what: str) -> Any:
    """The JSON of a good answer. ``what`` was asked for, in words.

    Raises ``KeyRefused``, ``MarketClosed``, ``MarketUnknown`` (an interval) or ``ExchangeUnreachable``.
    """
    if reply.status == 200 and reply.data is not None and not _is_error(reply):
        return reply.data
    raise refusal(reply, what)


def rows_of(reply: Reply, what: str) -> list[Any]:
    """A list in a good answer: ``{}`` is not "none". Raises what ``answer_of`` does."""
    answer = answer_of(reply, what)
    if not isinstance(answer, list):
        raise ExchangeUnreachable(f"{what}: the answer is no list")
    return answer


def refusal(reply: Reply, what: str) -> ExchangeUnreachable | MarketUnknown:
    """The error that a failed read is."""
    code = reply.code
    if code in KEY_CODES:
        return KeyRefused(f"{what}: {KEY_CODES[code]} ({reply.code})")
    if code == "-1121":
        return MarketClosed(f"{what}: the exchange lists this symbol no more ({reply})")
    if code == "-1120":
        return MarketUnknown(f"{what}: the exchange does not have this interval ({reply})")
    if code == "-1021":
        return ExchangeUnreachable(f"{what}: {CLOCK}")
    return ExchangeUnreachable(f"{what}: {reply}")


def reason_of(reply: Reply) -> str:
    """The exchange's own words for a refused order, and what they mean where it is a key that was good before."""
    return f"{reply.message.rstrip('.')}: {KEY_CODES[reply.code]}" if reply.code in LOST else reply.message


def _is_error(reply: Reply) -> bool:
    return reply.code is not None and reply.code.startswith("-")
