"""A config as it may be shown to whoever asks: no key, token or password, and of an address only where it leads."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

MASK = "***"
SECRET_NAME = re.compile(r"(secret|token|password|passphrase|api_?key|chat_id|user_id)", re.IGNORECASE)
PLAIN = (bool, int, str, type(None))


def masked(value: Any, *, name: str = "") -> Any:
    """A JSON value like ``value``: what a secret's name stands for is masked, numbers are finite.

    A secret may also stand in the path or the user part of an address: only scheme, host and port are kept.
    """
    if isinstance(value, Mapping):
        return {str(key): masked(one, name=str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [masked(one, name=name) for one in value]
    if SECRET_NAME.search(name) and value is not None and not isinstance(value, bool):
        return MASK
    if isinstance(value, str) and "://" in value:
        return _place(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if isinstance(value, PLAIN) else str(value)


def _place(address: str) -> str:
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return MASK
    rest = f"/{MASK}" if parts.path.strip("/") or parts.query or parts.fragment else ""
    return f"{parts.scheme}://{parts.hostname or MASK}{port}{rest}"
