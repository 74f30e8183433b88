"""A page as PDF, by a real browser where there is one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from management.report.pdf import BROWSERS, NoBrowser, pdf_of

HTML = "<!doctype html><html><body><h1>Report</h1></body></html>"


@pytest.mark.skipif(
    os.environ.get("CI") != "true" and not any(map(shutil.which, BROWSERS)), reason="no Chromium on this machine"
)
def test_a_browser_prints_the_page() -> None:
    content = pdf_of(HTML)
    assert content.startswith(b"%PDF-") and len(content) > 1_000


def test_without_a_browser_it_is_said_what_to_do() -> None:
    with pytest.raises(NoBrowser, match="needs Chromium.*write --html"):
        pdf_of(HTML, find=lambda name: None)


def test_a_browser_that_prints_nothing_is_told_with_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho first >&2\necho no display >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(NoBrowser, match="printed nothing .no display"):
        pdf_of(HTML, find=lambda name: str(broken))


def test_a_browser_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoBrowser, match="No such file"):
        pdf_of(HTML, find=lambda name: str(tmp_path / "gone"))
