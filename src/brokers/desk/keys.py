"""The API keys that are good now, and the checks of a signed request."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from brokers.desk.api_key import DeskKey
from brokers.desk.params import Params
from brokers.desk.refusals import Refusal, bad_key_format, bad_signature, key_refused, missing

EARLIEST_MS = 1_000  # how far ahead of the exchange a timestamp may be
DEFAULT_WINDOW_MS, LONGEST_WINDOW_MS = 5_000, 60_000


class KeyRing:
    """The keys that are good now. ``age_ms``: how long ago, in ms, a moment of the exchange's time was."""

    def __init__(
        self, keys: Iterable[DeskKey], age_ms: Callable[[int], int], wall_s: Callable[[], float] = time.time
    ) -> None:
        self._keys = {key.api_key: key for key in keys}
        self._age_ms, self._wall_s = age_ms, wall_s

    def revoke(self, api_key: str) -> None:
        self._keys.pop(api_key, None)

    def grant(self, api_key: str, *permissions: str) -> None:
        """From now on the key has exactly these permissions."""
        self._keys[api_key] = replace(self._keys[api_key], permissions=frozenset(permissions))

    def known(self, api_key: str | None, *, permission: str | None, ip: str) -> DeskKey:
        """The key behind a header. Raises -2014 without one, -2015 for one that is unknown or may not do this."""
        if not api_key:
            raise bad_key_format()
        key = self._keys.get(api_key)
        allowed = key is not None and (permission is None or permission in key.permissions)
        if key is None or not allowed or (key.ips and ip not in key.ips):
            raise key_refused()
        return key

    def check_signature(self, key: DeskKey, params: Params) -> None:
        """Raises -1102, -1022, -1131 or -1021."""
        if "signature" not in params:
            raise missing("signature")
        wanted = hmac.new(key.secret.encode(), params.raw.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, params.get("signature")):
            raise bad_signature()
        self._check_time(params)

    def _check_time(self, params: Params) -> None:
        sent_ms = params.integer("timestamp")
        window_ms = params.integer("recvWindow", DEFAULT_WINDOW_MS)
        if not 0 < window_ms <= LONGEST_WINDOW_MS:
            raise Refusal(-1131, f"recvWindow must be less than {LONGEST_WINDOW_MS}.")
        # A client that knows nothing of market time signs with the wall's.
        ages = (self._age_ms(sent_ms), round(self._wall_s() * 1000.0) - sent_ms)
        if any(-EARLIEST_MS < age_ms <= window_ms for age_ms in ages):
            return
        if ages[0] <= -EARLIEST_MS:
            raise Refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        raise Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")
