"""The panel as it is served: a real server on a port of this machine, and clients that say what they like."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from management.bots.watching import BotWatch
from management.masking import Masking
from management.webgui.app import guarded, server
from management.webgui.binding import Binding
from tests.conftest import PROJECT

TOKEN = "a-panel-token-of-the-tests-and-of-nothing-else"
PATIENCE_S = 60.0
HERE = Binding()


@dataclass(frozen=True)
class Panel:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, *, token: str | None = TOKEN, **headers: str) -> httpx.Client:
        known = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return httpx.Client(base_url=self.url, headers=known | headers, timeout=PATIENCE_S, trust_env=False)

    @contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        """Logged in by the form, as a browser: a cookie, and an origin with every form."""
        with self.client(token=None, Origin=self.url, Accept="text/html") as client:
            assert client.post("/login", data={"token": TOKEN}).status_code == 303
            yield client


@contextmanager
def serving(
    state: Path,
    *,
    secrets: tuple[str, ...] = (),
    clock: Callable[[], float] = time.monotonic,
    binding: Binding = HERE,
) -> Iterator[Panel]:
    app = guarded(BotWatch(state, Masking((TOKEN, *secrets))), TOKEN, clock=clock)
    with socket.create_server(("127.0.0.1", 0)) as door:
        panel = server(app, binding)
        thread = threading.Thread(target=panel.run, kwargs={"sockets": [door]})
        thread.start()
        try:
            yield Panel(door.getsockname()[1])
        finally:
            panel.should_exit = True
            thread.join(PATIENCE_S)


def wait_until(condition: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < PATIENCE_S
        time.sleep(0.02)


@contextmanager
def panel_process(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """The panel by its script: the process, where it is, and its token."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = PROJECT / "src" / "management" / "webgui" / "app.py"
    command = [sys.executable, str(script), "--port", str(port)]
    environ = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    with open(folder / "panel.txt", "wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=said, stderr=said)
    try:
        wait_until(lambda: _answers(port))
        yield process, f"http://127.0.0.1:{port}", (folder / "state" / "panel.token").read_text().strip()
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/login", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
