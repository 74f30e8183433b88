"""JSON values without secrets: what stands under a secret's name, or looks like one, is hidden."""

from __future__ import annotations

from typing import Any

from trading.config.source import HIDDEN, is_secret_key, is_secret_value


def redacted(value: Any) -> Any:
    """The same value; objects and arrays are gone through to the bottom.

    >>> redacted({"dir": "state", "api_key": "k", "channels": [{"password": "p"}]})
    {'dir': 'state', 'api_key': '(hidden)', 'channels': [{'password': '(hidden)'}]}
    """
    if isinstance(value, dict):
        return {
            key: HIDDEN if is_secret_key(str(key)) and holds_text(inner) else redacted(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(inner) for inner in value]
    return HIDDEN if is_secret_value(value) else value


def holds_text(value: Any) -> bool:
    """A switch or a number under a secret's name is none."""
    return not (value is None or isinstance(value, bool | int | float))
