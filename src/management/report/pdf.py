"""A page as PDF, printed by a Chromium that is on this machine.

NoBrowser    there is none, or it did not print: stop and tell the person
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
PATIENCE_S = 120.0


class NoBrowser(Exception):
    """No PDF can be printed here."""


def pdf_of(html: str, *, find: Callable[[str], str | None] = shutil.which) -> bytes:
    """``find``: where a program lies. Raises NoBrowser."""
    browser = next(filter(None, map(find, BROWSERS)), None)
    if browser is None:
        raise NoBrowser(
            f"a PDF needs Chromium, and none of {', '.join(BROWSERS)} is installed: install one, or write --html and "
            "print that"
        )
    with TemporaryDirectory(prefix="tandem-report-") as folder:
        page, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        page.write_text(html, "utf-8")
        said = _print(browser, page, target)
        if not target.exists():
            raise NoBrowser(f"{browser} printed nothing ({said}): write --html and print that")
        return target.read_bytes()


def _print(browser: str, page: Path, target: Path) -> str:
    """The last line that the browser said."""
    command = [
        browser,
        "--headless",
        "--disable-gpu",
        "--no-pdf-header-footer",
        f"--user-data-dir={page.parent / 'profile'}",
        f"--print-to-pdf={target}",
        # A sandbox cannot be made by root; the page holds no script and loads nothing.
        *(("--no-sandbox",) if os.geteuid() == 0 else ()),
        page.as_uri(),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, errors="replace")
    except subprocess.TimeoutExpired:
        return f"no answer within {PATIENCE_S:.0f} s"
    except OSError as error:
        return error.strerror or type(error).__name__
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
