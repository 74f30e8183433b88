"""Text without secrets: the one list of what looks like a secret, and of the forms that a known one stands in."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"
_PERCENT = re.compile(r"%[0-9A-F]{2}")
_TO_THE_END = r"[^\s\"'<>\\]+"
# What stands before the secret is kept.
PATTERNS = (
    re.compile(r"(signature=)[^&\s\"']+", re.IGNORECASE),
    re.compile(r"(X-MBX-APIKEY[\"']?\s*[:=]\s*[\"']?)[^\s\"',}]+", re.IGNORECASE),
    re.compile(r"(Authorization(?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?(?:\w+\s+)?)[^\s\"',}\\]+", re.IGNORECASE),
    re.compile(r"(\bBearer\s+)[\w.~+/=-]{16,}", re.IGNORECASE),
    re.compile(r"(bot)\d+:[\w-]{30,}"),
    re.compile(
        r"((?:api_?key|secret|password|passphrase|token)(?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?)[^\s\"'&,}\\]+",
        re.IGNORECASE,
    ),
    # Addresses that are themselves the key: whoever knows them may post, or say that all is well.
    re.compile(rf"(hooks\.slack\.com/){_TO_THE_END}", re.IGNORECASE),
    re.compile(r"(/services/)T\w+/B\w+/\w+"),
    re.compile(rf"(discord(?:app)?\.com/api/webhooks/|/api/webhooks/(?=\d)){_TO_THE_END}", re.IGNORECASE),
    re.compile(rf"(webhook\.office\.com/){_TO_THE_END}", re.IGNORECASE),
    re.compile(rf"(hc-ping\.com/|healthchecks\.io/ping/|/api/v1/heartbeat/){_TO_THE_END}", re.IGNORECASE),
    re.compile(
        rf"(\b(?:slack|discord|tgram|msteams|pover|pbul|(?:mmost|gotify|matrix|ntfy|rocket)s?)://){_TO_THE_END}"
    ),
)


def forms_of(secret: str) -> frozenset[str]:
    """The secret as it is and as it stands in addresses, HTML, JSON and Python's own notation."""
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    quoted |= {_PERCENT.sub(lambda found: found[0].lower(), form) for form in quoted}
    escaped = html.escape(secret)
    marked = {escaped, escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"), html.escape(secret, quote=False)}
    written = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return frozenset({secret, *quoted, *marked, *written, repr(secret)[1:-1], repr(secret.encode())[2:-1]})


class Redactor:
    """Replaces known secret values in every form they may stand in, and what looks like a secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets if secret for form in forms_of(secret)}
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern in PATTERNS:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return text
