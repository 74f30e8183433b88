"""TLS under the exchange's own host names, by an authority that is thrown away."""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Where clients of Binance connect: REST, streams and WebSocket API; production, demo and test network.
HOSTS = (
    "fapi.binance.com", "fstream.binance.com", "ws-fapi.binance.com", "api.binance.com", "stream.binance.com",
    "ws-api.binance.com", "demo-fapi.binance.com", "demo-api.binance.com", "demo-stream.binance.com",
    "demo-ws-api.binance.com", "testnet.binancefuture.com", "fstream.binancefuture.com", "testnet.binance.vision",
    "stream.testnet.binance.vision", "ws-api.testnet.binance.vision", "localhost",
)  # fmt: skip
CA_FILE = "ca.pem"
# No clock decides what a certificate made for one run is worth.
FROM, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, tzinfo=UTC)


def throwaway_tls(folder: Path) -> ssl.SSLContext:
    """A server's context for ``HOSTS`` and the loopback address; ``folder/ca.pem`` is what a client must trust.

    The keys are made anew each time and kept nowhere. Raises ``OSError`` when the folder cannot be written.
    """
    from cryptography.hazmat.primitives import serialization

    ca_key, ca = _authority()
    key, certificate = _server(ca_key, ca)
    folder.mkdir(parents=True, exist_ok=True)
    pem = serialization.Encoding.PEM
    (folder / CA_FILE).write_bytes(ca.public_bytes(pem))
    plain = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return _context(certificate.public_bytes(pem) + key.private_bytes(*plain))


def _authority() -> tuple[Any, Any]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = _builder("Exchange on the desk", key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return key, _signed(builder, key, key, "Exchange on the desk")


def _server(ca_key: Any, ca: Any) -> tuple[Any, Any]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in HOSTS]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    builder = _builder("exchange.desk", key.public_key())
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return key, _signed(builder, key, ca_key, "Exchange on the desk")


def _builder(name: str, public_key: Any) -> Any:
    from cryptography import x509

    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).public_key(public_key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(FROM).not_valid_after(UNTIL)


def _signed(builder: Any, key: Any, ca_key: Any, issuer: str) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)])
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.issuer_name(name).add_extension(by, critical=False).add_extension(own, critical=False)
    return builder.sign(ca_key, hashes.SHA256())


def _context(chain_and_key: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The ssl module takes a key from a file only; this one is readable by us alone and gone at once.
    descriptor, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(chain_and_key)
        context.load_cert_chain(name)
    finally:
        os.unlink(name)
    return context
