"""The address of an exchange on this machine, and what its certificates are trusted by."""

from __future__ import annotations

import ipaddress
import ssl
from urllib.parse import urlsplit


def loopback_address(url: str, ca_file: str | None) -> str:
    """``url``, without a slash at its end. Raises ``ValueError`` unless it is on this machine; https wants a CA."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a port or a host that is none
        parts, host, port = None, "", None
    base = f"{parts.scheme}://{parts.netloc}" if parts else ""
    is_plain = parts and parts.scheme in ("http", "https") and port and "@" not in parts.netloc
    if not is_plain or url not in (base, f"{base}/"):
        raise ValueError("an exchange url is http://127.0.0.1:PORT or https://127.0.0.1:PORT, and nothing more")
    if not _is_loopback(host):
        raise ValueError(f"an exchange url must be on this machine (127.0.0.1, ::1, localhost), not {host}")
    if base.startswith("https:") != (ca_file is not None):
        raise ValueError("ca_file and an https url belong together: the file says which certificates are trusted")
    return base


def trust(ca_file: str) -> ssl.SSLContext:
    """Raises ``ValueError`` for a file that cannot be read, or holds no certificate."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"the CA file {ca_file} cannot be read: {type(error).__name__}") from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
