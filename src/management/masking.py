"""Text that may leave this machine: no secret, no login in an address, no name of a user."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from trading.config.credentials import LEAST_MASKED, known_secrets
from trading.secret_text import MASK, Redactor, forms_of

TOKEN_FILES = "*.token"  # of what guards the bot's doors, beside its journal
_LOGIN_IN_URL = re.compile(r"(://)[^/@\s\"']+@")
_USER_IN_PATH = re.compile(r"(/home/|/Users/)[^/\s\"']+")


class Masking:
    """Replaces known secrets and what looks like one, logins in addresses, and whose home a path lies in."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.secrets = tuple(secrets)
        self._redactor = Redactor(self.secrets)

    @classmethod
    def of_bot(cls, environ: Mapping[str, str], state: Path) -> Self:
        """``environ``: where secrets are known from; ``state``: the folder with the tokens of the bot's doors."""
        tokens = []
        for file in sorted(state.glob(TOKEN_FILES)) if state.is_dir() else ():
            with suppress(OSError, UnicodeDecodeError):
                tokens.append(file.read_text("utf-8").strip())
        return cls((*known_secrets(environ), *(token for token in tokens if len(token) >= LEAST_MASKED)))

    def __call__(self, text: str) -> str:
        text = _LOGIN_IN_URL.sub(rf"\g<1>{MASK}@", self._redactor(text))
        return _USER_IN_PATH.sub(rf"\g<1>{MASK}", text)

    def value(self, value: Any) -> Any:
        """A JSON value with every text in it masked."""
        if isinstance(value, dict):
            return {self(str(key)): self.value(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return self(value) if isinstance(value, str) else value

    def shows(self, content: bytes) -> bool:
        """True when a known secret is in it all the same, in any of its forms."""
        return any(form.encode() in content for secret in self.secrets for form in forms_of(secret))
