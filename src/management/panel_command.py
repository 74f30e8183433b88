"""``tandem panel``: the panel as a process of its own, never inside the one that trades."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from management.webgui.options import panel_parser
from trading.command_line import BAD_INPUT, ended

PR_SET_PDEATHSIG = 1  # linux/prctl.h
NEEDED = ("fastapi", "uvicorn", "jinja2", "prometheus_client")


def main(arguments: Sequence[str] | None = None) -> int:
    """The panel's own exit code; 2 where what it needs is not installed."""
    panel_parser().parse_args(arguments)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return ended(f"the panel needs {', '.join(missing)}: pip install 'tandem-pairs[web]'", BAD_INPUT)
    command = [sys.executable, "-m", "management.webgui.app", *(arguments or ())]
    with subprocess.Popen(command, preexec_fn=_end_with_parent) as panel, _ending_with_us(panel):
        while True:
            try:
                return panel.wait()
            except KeyboardInterrupt:  # the panel has heard it too, and ends by itself
                continue


def _end_with_parent() -> None:
    """Also when the command is killed and can stop nothing: Linux tells its child. Runs in the child."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def _ending_with_us(panel: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whoever stops the command stops the panel."""
    before = signal.signal(signal.SIGTERM, lambda *_: panel.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
