"""The test network of a real exchange at an exchange on this machine: its own host names, over TLS, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from brokers.desk.tls import CA_FILE
from ccxt_bt_bridge import session
from ccxt_bt_bridge.resolver import GuardedSession, open_session

HOSTS = {
    "binanceusdm": frozenset({"demo-fapi.binance.com", "fstream.binancefuture.com"}),
    "binance": frozenset({"demo-api.binance.com", "demo-stream.binance.com", "demo-ws-api.binance.com"}),
}


def lead_to_desk(monkeypatch: pytest.MonkeyPatch, exchange_id: str, *, port: int, ca_folder: Path) -> None:
    """From here on sessions with the test network reach this port, by the network's names alone."""

    def pinned(url: str | None, ca_file: str | None, hosts: frozenset[str]) -> GuardedSession:
        assert (url, ca_file) == (None, None)
        return open_session(f"https://127.0.0.1:{port}", str(ca_folder / CA_FILE), HOSTS[exchange_id])

    monkeypatch.setattr(session, "open_session", pinned)
