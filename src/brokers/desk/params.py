"""Parameters of one request, read with Binance's refusals, and numbers as Binance writes them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from brokers.desk.api_key import DeskKey
from brokers.desk.refusals import Refusal, missing


class Params:
    """Text by name. ``raw``: the text that was signed; ``key``: the API key, once it has been checked."""

    key: DeskKey

    def __init__(self, values: Mapping[str, str], raw: str = "") -> None:
        self.values, self.raw = dict(values), raw

    @classmethod
    def parse(cls, query: str, body: str) -> Params:
        """The query string and the form body count as one, as they do in the signature."""
        parts = [part for text in (query, body) for part in text.split("&") if part]
        signed = [part for part in parts if not part.startswith("signature=")]
        # Binance concatenates query and body without a separator between them.
        raw = "&".join(p for p in query.split("&") if not p.startswith("signature="))
        raw += "&".join(p for p in body.split("&") if not p.startswith("signature="))
        values = dict(parse_qsl("&".join(signed), keep_blank_values=True))
        values |= dict(parse_qsl("&".join(part for part in parts if part.startswith("signature="))))
        return cls(values, raw)

    def __contains__(self, name: str) -> bool:
        return bool(self.values.get(name))

    def get(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)

    def text(self, name: str) -> str:
        """Raises -1102 when it is missing or empty."""
        if name not in self:
            raise missing(name)
        return self.values[name]

    def symbol(self) -> str:
        return self.text("symbol").upper()

    def integer(self, name: str, default: int | None = None) -> int:
        """Raises -1102 when there is neither the parameter nor a default, -1100 when it is no whole number."""
        if name not in self and default is not None:
            return default
        text = self.text(name)
        if not text.lstrip("-").isdigit():
            raise Refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
        return int(text)

    def decimal(self, name: str) -> Decimal:
        """Raises -1102 or -1100 alike."""
        try:
            value = Decimal(self.text(name))
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite():
            raise Refusal(-1100, f"Illegal characters found in parameter '{name}'.")
        return value

    def flag(self, name: str) -> bool:
        return self.get(name).lower() == "true"


def text_of(value: Any) -> str:
    """A JSON value as a form would carry it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def plain(value: Decimal | float | None) -> str:
    """Digits without an exponent: ``Decimal("1E-7")`` → ``0.0000001``; nothing → ``0``."""
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value or 0)))
    return format(number.normalize(), "f") if number else "0"
