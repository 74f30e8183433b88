"""What the exchange says no with: Binance's codes and HTTP statuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

STATUSES = {-1001: 503, -1003: 429, -1007: 408, -1008: 503, -1015: 429, -1016: 503, -2014: 401, -2015: 401}


class NoAnswer(Exception):
    """The connection ends without a word; whether anything happened, nobody says."""


class Refusal(Exception):
    """An answer ``{"code", "msg"}`` with its HTTP status; the client reads it, nobody here acts on it."""

    def __init__(self, code: int, message: str, *, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.headers = code, message, status, dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        return {"code": self.code, "msg": self.message}


def missing(name: str) -> Refusal:
    return Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def unknown_symbol() -> Refusal:
    return Refusal(-1121, "Invalid symbol.")


def unknown_order() -> Refusal:
    return Refusal(-2013, "Order does not exist.")


def nothing_to_cancel() -> Refusal:
    return Refusal(-2011, "Unknown order sent.")


def bad_signature() -> Refusal:
    return Refusal(-1022, "Signature for this request is not valid.")


def bad_key_format() -> Refusal:
    return Refusal(-2014, "API-key format invalid.", status=401)


def key_refused() -> Refusal:
    return Refusal(-2015, "Invalid API-key, IP, or permissions for action.", status=401)


def status_unknown() -> Refusal:
    """The back end said nothing in time: it may have been executed."""
    text = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
    return Refusal(-1007, text, status=408)


def told(text: str, now_ms: int) -> Refusal | NoAnswer:
    """What the exchange's inside says (``-1003 Too many requests; try again after 1700000000000``), for the wire.

    Words without a code are no answer at all.
    """
    coded = re.search(r"(-\d{4}):? (.*)", text)
    if coded is None:
        return NoAnswer(text)
    code, words = int(coded[1]), coded[2]
    status = 418 if "banned" in words else STATUSES.get(code, 400)
    until = re.search(r"\d{13}", words)
    wait_s = max(1, -(-(int(until[0]) - now_ms) // 1000)) if until else 1
    return Refusal(code, words, status=status, headers={"Retry-After": str(wait_s)} if status in (418, 429) else None)


def no_such_path(path: str) -> Refusal:
    return Refusal(-5000, f"Path {path}, Method is invalid", status=404)
