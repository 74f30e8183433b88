"""The token's file, tries, sessions, and where the panel will listen."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from management.webgui.access import MOST_SESSIONS, MOST_TRIES, SESSION_S, Access, Answer, TokenUnusable, kept_token
from management.webgui.app import main
from management.webgui.binding import Binding, BindingRefused
from tests.conftest import PROJECT
from tests.management.webgui.panels import TOKEN as PANEL_TOKEN
from tests.management.webgui.panels import serving, wait_until

TOKEN = "t" * 43


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


# the token


def test_a_new_token_is_long_and_its_file_is_its_owners_alone(tmp_path: Path) -> None:
    token = kept_token(tmp_path / "state")
    file = tmp_path / "state" / "panel.token"
    assert len(token) >= 43 and file.read_text() == f"{token}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_next_start_has_the_same_token_and_another_folder_another(tmp_path: Path) -> None:
    assert kept_token(tmp_path / "a") == kept_token(tmp_path / "a") != kept_token(tmp_path / "b")


@pytest.mark.parametrize(("mode", "said"), [(0o644, "chmod 600"), (0o660, "chmod 600")])
def test_a_token_that_others_can_read_is_not_used(tmp_path: Path, mode: int, said: str) -> None:
    kept_token(tmp_path)
    (tmp_path / "panel.token").chmod(mode)
    with pytest.raises(TokenUnusable, match=said):
        kept_token(tmp_path)


@pytest.mark.parametrize("content", ["", "short", "é" * 50])
def test_a_file_that_holds_no_token_is_not_used(tmp_path: Path, content: str) -> None:
    (tmp_path / "panel.token").touch(0o600)
    (tmp_path / "panel.token").write_text(content, encoding="utf-8")
    with pytest.raises(TokenUnusable):
        kept_token(tmp_path)


# tries and sessions


def test_a_wrong_token_is_heard_ten_times_then_once_in_six_seconds() -> None:
    clock = Clock()
    access = Access(TOKEN, clock)
    assert [access.check_token("wrong", "here", "form") for _ in range(MOST_TRIES + 1)][-2:] == [
        Answer.CLOSED,
        Answer.TOO_MANY_TRIES,
    ]
    assert access.check_token(TOKEN, "here", "form") is Answer.TOO_MANY_TRIES
    assert access.check_token(TOKEN, "elsewhere", "form") is Answer.OPEN
    clock.now += 6.0
    assert access.check_token(TOKEN, "here", "form") is Answer.OPEN


def test_addresses_without_end_are_not_all_remembered() -> None:
    access = Access(TOKEN, Clock())
    for number in range(3_000):
        access.check_token("wrong", str(number), "form")
    assert len(access._tries._tries) == 1_000


def test_a_session_ends_with_its_time_and_the_oldest_where_there_are_too_many() -> None:
    clock = Clock()
    access = Access(TOKEN, clock)
    first, *others = [access.open_session() for _ in range(MOST_SESSIONS + 1)]
    assert not access.has_session(first) and all(map(access.has_session, others))
    clock.now = SESSION_S
    assert not any(map(access.has_session, others))
    assert not access.has_session("")


# where it listens


@pytest.mark.parametrize(
    "binding",
    [
        Binding(),
        Binding("localhost"),
        Binding("::1"),
        Binding("127.8.9.1"),
        Binding("192.0.2.1", certfile="cert.pem", keyfile="key.pem", is_understood=True),
        Binding("0.0.0.0", names=("panel.example",), certfile="cert.pem", keyfile="key.pem", is_understood=True),
    ],
)
def test_it_listens_here_or_elsewhere_with_tls_and_understanding(
    binding: Binding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate(tmp_path)
    monkeypatch.chdir(tmp_path)
    binding.check()
    assert binding.url.startswith("https" if binding.certfile else "http")


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        (Binding("0.0.0.0"), "SSH"),
        (Binding("192.0.2.1"), "SSH"),
        (Binding("panel.example"), "SSH"),
        (Binding(""), "SSH"),
        (Binding("192.0.2.1", is_understood=True), "SSH"),
        (Binding("192.0.2.1", certfile="cert.pem", keyfile="key.pem"), "SSH"),
        (Binding("::", certfile="cert.pem", keyfile="key.pem", is_understood=True), "--name"),
        (Binding(certfile="none.pem", keyfile="key.pem"), "none.pem .*cannot be used .*No such file"),
        (Binding(certfile="key.pem", keyfile="key.pem"), "cannot be used"),
        (Binding(certfile="a"), "give both"),
        (Binding(keyfile="b"), "give both"),
    ],
)
def test_it_refuses_to_listen_elsewhere_without(
    binding: Binding, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BindingRefused, match=said):
        binding.check()


def test_the_command_refuses_with_a_sentence_and_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--host", "0.0.0.0", "--port", "0"]) == 2
    assert "--i-understand" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_port_that_is_none_is_a_sentence(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([f"--port={port}"])
    assert left.value.code == 2 and "wanted a port from 0" in capsys.readouterr().err


def test_a_certificate_that_is_not_there_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--certfile", "none.pem", "--keyfile", "none.pem"]) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate for this machine, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begins = datetime.now(UTC) - timedelta(days=1)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(folder / "cert.pem"), str(folder / "key.pem")


def test_with_a_certificate_the_panel_speaks_tls_and_its_cookie_is_for_tls_alone(tmp_path: Path) -> None:
    certfile, keyfile = certificate(tmp_path)
    with serving(tmp_path, binding=Binding(certfile=certfile, keyfile=keyfile)) as panel:
        url = panel.url.replace("http:", "https:")
        trusted = ssl.create_default_context(cafile=certfile)
        with httpx.Client(base_url=url, verify=trusted, trust_env=False) as client:
            answer = client.post("/login", data={"token": PANEL_TOKEN}, headers={"Origin": url})
            downgraded = client.post("/login", data={"token": PANEL_TOKEN}, headers={"Origin": panel.url})
    assert answer.status_code == 303 and "; Secure" in answer.headers["set-cookie"]
    assert downgraded.status_code == 403


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_command_shows_no_token_and_whoever_stops_it_stops_the_panel(tmp_path: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-m", "management.cli", "panel", "--port", "0"]
    environ = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        line = started.stdout.readline().decode()
        (url,) = re.findall(r"http://[\d.:]+", line)
        wait_until(lambda: httpx.get(f"{url}/login", trust_env=False).status_code == 200)
        arguments = Path(f"/proc/{started.pid}/cmdline").read_text()
        started.send_signal(end)
        said, _ = started.communicate(timeout=60)  # to the end of what the panel says: it has ended, too
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/login", trust_env=False)
    token = (tmp_path / "state" / "panel.token").read_text().strip()
    assert "panel.token" in line and token not in line + said.decode() + arguments
