"""One call of the heartbeat's address, for a person who asks whether it is right."""

from __future__ import annotations

from collections.abc import Mapping

from trading.config.credentials import CredentialsError, secret_value
from trading.config.notifiers import HEARTBEAT


async def heartbeat_problem(environ: Mapping[str, str]) -> str | None:
    """Empty when the call was heard, else why not, without the address; None when there is no address."""
    try:
        url = secret_value(environ, HEARTBEAT)
        if not url:
            return None
        from notifications.heartbeat import call, refuse_unsafe  # loads aiohttp

        refuse_unsafe(url)
    except (CredentialsError, ValueError) as error:
        return str(error)
    return await call(url)
