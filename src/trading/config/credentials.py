"""Where an exchange's API key comes from: the environment, or a file that only its owner can read. Never a config.

CredentialsError    no key, or one that must not be used here: stop and tell the person
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from trading.config.model import Config
from trading.config.notifiers import HEARTBEAT, SECRETS, WEBHOOKS, addresses, secret_parts

KEY, SECRET = "BINANCE_API_KEY", "BINANCE_API_SECRET"
IN_FILE = "_FILE"
SECRET_ENDINGS = ("_API_KEY", "_SECRET", "_TOKEN", "_PASSWORD")
LEAST_MASKED = 6  # letters: a shorter value ("1", "true") would blacken what is no secret, numbers in JSON included
DESK_KEY, DESK_SECRET = "desk-key", "desk-secret"  # the desk exchange's own pair: public, it guards nothing
PRODUCTION_KEY_LENGTH = 64


class CredentialsError(Exception):
    """The key for the exchange is missing or must not be used."""


def known_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Every value that no log may show, from the environment and the files it names for keys and notifiers."""
    values = [value for name, value in environ.items() if name.endswith(SECRET_ENDINGS)]
    for name in (KEY, SECRET, *SECRETS):
        with suppress(CredentialsError):
            value = secret_value(environ, name)
            values.append(value)
            if name in (WEBHOOKS, HEARTBEAT):
                values += [part for address in addresses(value) for part in secret_parts(address)]
    return tuple(dict.fromkeys(value for value in values if len(value) >= LEAST_MASKED))


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Shows neither of its values."""

    key: str = field(repr=False)
    secret: str = field(repr=False)


def api_key(model: Config, environ: Mapping[str, str]) -> ApiKey:
    """The key pair for the config's exchange. Raises CredentialsError with what to do."""
    key, secret = secret_value(environ, KEY), secret_value(environ, SECRET)
    if model.broker.exchange_url is not None:
        return _desk_key(key, secret)
    missing = [name for name, value in ((KEY, key), (SECRET, secret)) if not value]
    if missing:
        raise CredentialsError(
            f"{' and '.join(missing)} not set: put the key pair into the environment or .env, "
            f"or name a file of mode 0600 in {missing[0]}{IN_FILE}"
        )
    return ApiKey(key, secret)


def _desk_key(key: str, secret: str) -> ApiKey:
    """A desk exchange gets a key of its own: a real one stays where it belongs."""
    if len(key) == PRODUCTION_KEY_LENGTH and key.isalnum():
        raise CredentialsError(
            f"{KEY} looks like a key of the real exchange, but broker.exchange_url names an exchange on this machine: "
            f"unset {KEY} and {SECRET}, or give the desk exchange's own pair"
        )
    return ApiKey(key or DESK_KEY, secret or DESK_SECRET)


def secret_value(environ: Mapping[str, str], name: str) -> str:
    """Of ``name``, or of the file that ``name_FILE`` names; empty for neither. Raises CredentialsError."""
    direct, file = environ.get(name, "").strip(), environ.get(name + IN_FILE, "").strip()
    if direct and file:
        raise CredentialsError(f"{name} and {name + IN_FILE} are both set; keep one of them")
    return _read(name + IN_FILE, Path(file)) if file else direct


def _read(name: str, path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise CredentialsError(f"{path}, named by {name}, is open to others (mode {mode:04o}); chmod 600 it")
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"{path}, named by {name}, cannot be read: {type(error).__name__}") from None
