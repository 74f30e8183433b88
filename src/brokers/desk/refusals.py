"""What the exchange says no with: Binance's codes and HTTP statuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
    return Refusal(
        -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        status=408,
    )  # fmt: skip


def disconnected() -> Refusal:
    """A read that the exchange's inside did not answer."""
    return Refusal(-1001, "Internal error; unable to process your request. Please try again.", status=503)


def no_such_path(path: str) -> Refusal:
    return Refusal(-5000, f"Path {path}, Method is invalid", status=404)
