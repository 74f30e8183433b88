"""Where the panel may listen: on this machine alone, unless the person says otherwise and brings a certificate."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
PORT = 5000


class BindingRefused(Exception):
    """The panel will not listen there: stop and tell the person."""


@dataclass(frozen=True, slots=True)
class Binding:
    """``names``: further host names by which it is called. ``certfile`` and ``keyfile`` as PEM, both or none."""

    host: str = LOOPBACK
    port: int = PORT
    names: tuple[str, ...] = ()
    certfile: str | None = None
    keyfile: str | None = None
    is_understood: bool = False

    @property
    def has_tls(self) -> bool:
        return self.certfile is not None and self.keyfile is not None

    @property
    def hosts(self) -> frozenset[str]:
        """What a request's Host may say, beside this machine's own names."""
        own = () if _is_wildcard(self.host) else (_bracketed(self.host),)
        return frozenset(name.lower() for name in (*own, *self.names))

    @property
    def url(self) -> str:
        shown = self.names[0] if self.names else _bracketed(self.host)
        return f"{'https' if self.has_tls else 'http'}://{shown}:{self.port}"

    def opened(self) -> socket.socket:
        """Listening. Raises ``OSError``, for a port that is taken above all."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        return socket.create_server((self.host, self.port), family=family)

    def check(self) -> None:
        """Raises ``BindingRefused``."""
        if (self.certfile is None) != (self.keyfile is None):
            raise BindingRefused("--certfile and --keyfile belong together: give both")
        self._check_certificate()
        if is_loopback(self.host):
            return
        if not (self.is_understood and self.has_tls):
            raise BindingRefused(
                f"{self.host} can be reached from other machines, and whoever has the token can close every position: "
                "better leave it on 127.0.0.1 and come through SSH (ssh -L 5000:127.0.0.1:5000 HOST). If it must be, "
                "give --i-understand, --certfile and --keyfile"
            )
        if _is_wildcard(self.host) and not self.names:
            raise BindingRefused(f"{self.host} is every address: say with --name by which host name it is called")

    def _check_certificate(self) -> None:
        if self.certfile is None or self.keyfile is None:
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certfile, self.keyfile)
        except (OSError, ValueError) as error:
            raise BindingRefused(
                f"--certfile {self.certfile} and --keyfile {self.keyfile} cannot be used ({error}): both are wanted as "
                "PEM, the key without a password, and belonging together"
            ) from None


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_wildcard(host: str) -> bool:
    return host in ("0.0.0.0", "::", "")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
