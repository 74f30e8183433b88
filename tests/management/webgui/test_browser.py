"""The panel as a person uses it: Debian's Chromium, a bot that trades on the mock market, clicks and keys."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.management.sample_bots import PAIR, write_bot
from tests.management.webgui.panels import TOKEN, Panel, serving
from tests.trading.runs import write_config
from trading.control.command_queue import CommandQueue, Verb
from trading.events import Event, PairOpened
from trading.live_trading_bot import LiveTradingBot

PATIENCE_S = 60.0
PATIENCE_MS = PATIENCE_S * 1000.0
LEAST_CONTRAST = 4.5
VIEWS = ("", "/trades", "/orders", "/decisions", "/log", "/config", "/commands?verb=flatten", "/commands/1")
BOT = "/bots/0001_mock"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None and os.environ.get("CI") == "true":
        pytest.fail("no Chromium: .ci/run installs it")
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def panel(state: Path) -> Iterator[Panel]:
    with serving(state) as served:
        yield served


@pytest.fixture
def sample(state: Path) -> Path:
    write_bot(state)
    log = "2024-01-01T00:00:00.000Z ERROR trading.live.run alarm the ledger differs\nTraceback of many letters\n"
    (state / "sample.log").write_text(log)
    with CommandQueue(state / "0001_mock.commands.sqlite") as queue:
        queue.give(Verb.CLOSE, reason="a reason of some length", by="somebody", pair_id=PAIR)
    return state


@pytest.fixture
def opened(chromium: Browser, panel: Panel) -> Iterator[Callable[..., Page]]:
    """A page that is logged in; whatever it complains of, or asks of another server, fails the test."""
    contexts, wrong = [], []

    def open_page(width: int = 1280, scheme: Any = "light") -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(panel.url) else wrong.append(asked.url))
        page.goto(panel.url)
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{panel.url}/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


# a bot that trades


@pytest.fixture
def bot(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Event]]:
    """A bar a second, once its first pair is open; stopped at the end of the test."""
    monkeypatch.chdir(tmp_path)
    config = write_config(
        tmp_path,
        mock={"bars": 900, "seed": 7, "speed": 3_600},
        data={"lookback_bars": 200},
        strategy={
            "entry_logic": {"params": {"e_entry_z": 1.2, "e_min_edge": 0.0}},
            "exit_logic": {"params": {"x_exit_z": 0.0, "x_max_half_lives": 50.0}},
        },
        risk_management={"stop_loss_pct": 90.0, "take_profit_pct": 90.0},
        pairs=[pair | {"z_score_threshold": 1.2, "stop_loss_z": 20.0} for pair in PAIRS],
    )
    running, events = LiveTradingBot(config, environ={}), []
    running.add_listener(events.append)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        begun = time.monotonic()
        while not any(isinstance(event, PairOpened) for event in events):
            assert time.monotonic() - begun < PATIENCE_S and thread.is_alive()
            time.sleep(0.05)
        yield events
    finally:
        running.stop()
        thread.join(PATIENCE_S)


PAIRS = [{"pair_id": "ETH_BTC", "leg_a": "ETH/USDT", "leg_b": "BTC/USDT", "hedge_ratio": 0.85, "half_life_candles": 24}]


def state_in_the_journal(state: Path, pair_id: str) -> str:
    with closing(sqlite3.connect(f"file:{state}/0001_mock.journal.sqlite?mode=ro", uri=True)) as journal:
        return journal.execute("SELECT state FROM pair_positions WHERE pair_id = ?", (pair_id,)).fetchone()[0]


def test_a_page_updates_itself_and_a_click_closes_a_pair_of_a_running_bot(
    bot: list[Event], state: Path, opened: Callable[..., Page]
) -> None:
    page = opened()
    page.get_by_role("link", name="0001 mock").click()
    page.evaluate("window.isTheSame = true")
    expect(page.locator(".tiles")).not_to_have_text(page.locator(".tiles").inner_text(), timeout=PATIENCE_MS)
    expect(page.locator("#updated")).to_contain_text("Updated", timeout=PATIENCE_MS)
    assert page.evaluate("window.isTheSame")  # a reload would have lost it
    assert page.get_by_text("● running").is_visible()
    assert state_in_the_journal(state, PAIR) == "open"

    page.get_by_role("link", name=f"Close {PAIR}").click()
    page.get_by_label("Why?").fill("seen enough")
    page.get_by_role("button", name="Close").click()
    page.wait_for_selector("#outcome")
    assert page.locator("#outcome").inner_text() == "closed"
    assert state_in_the_journal(state, PAIR) == "flat"
    with closing(sqlite3.connect(f"file:{state}/0001_mock.journal.sqlite?mode=ro", uri=True)) as journal:
        (reason,) = journal.execute("SELECT exit_reason FROM trades ORDER BY id DESC LIMIT 1").fetchone()
    assert reason == "closed_by_hand"
    page.get_by_role("link", name="Back to 0001").click()
    assert "seen enough" in page.get_by_role("region", name="Table: Commands").inner_text()


def test_a_bot_is_halted_and_resumed_by_keys_alone(
    bot: list[Event], chromium: Browser, panel: Panel, state: Path
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(panel.url)
    _tab_to(page, "token")
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{panel.url}/")
    _tab_to(page, "0001 mock")
    page.keyboard.press("Enter")
    for verb, outcome in (("Halt", "halted"), ("Resume", "resumed")):
        page.wait_for_selector("h2#h-figures")
        _tab_to(page, verb)
        page.keyboard.press("Enter")
        page.wait_for_selector("#reason")
        _tab_to(page, "reason")
        page.keyboard.type(" by keys")
        page.keyboard.press("Enter")
        page.wait_for_selector("#outcome")
        assert page.locator("#outcome").inner_text().startswith(outcome)
        _tab_to(page, "Back to 0001")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{panel.url}{BOT}")
    page.wait_for_selector("h2#h-figures")
    context.close()


def _tab_to(page: Page, wanted: str) -> None:
    """Press Tab until what has the focus is called so; on the way, the focus is always to be seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(FOCUSED)
        assert outline != "none", name
        if name == wanted:
            return
    raise AssertionError(f"no Tab leads to {wanted}")


FOCUSED = """() => {
  const one = document.activeElement;
  const name = one.tagName === "INPUT" ? one.id : one.innerText.replace(/\\s+/g, " ").trim();
  return [name, getComputedStyle(one).outlineStyle];
}"""


# how it looks and reads


def test_no_page_scrolls_sideways_on_a_narrow_screen(sample: Path, panel: Panel, opened: Callable[..., Page]) -> None:
    page = opened(width=320)
    for path in ("/", "/docs", *(f"{BOT}{view}" for view in VIEWS)):
        page.goto(panel.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    sample: Path, panel: Panel, opened: Callable[..., Page], scheme: str
) -> None:
    page = opened(scheme=scheme)
    grounds = set()
    for path in ("/", *(f"{BOT}{view}" for view in VIEWS)):
        page.goto(panel.url + path)
        found = page.evaluate(CONTRASTS)
        grounds.add(found["ground"])
        assert len(found["texts"]) > 10
        assert [one for one in found["texts"] if one[0] < LEAST_CONTRAST] == [], path
    assert grounds == {{"light": "rgb(244, 246, 247)", "dark": "rgb(16, 22, 27)"}[scheme]}


CONTRASTS = """() => {
  const numbers = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const color = numbers(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || one.closest(".unseen, .skip, noscript, title")) continue;
    const style = getComputedStyle(one);
    const ink = numbers(one.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(one))].sort((x, y) => y - x);
    texts.push([Math.round(((a + 0.05) / (b + 0.05)) * 100) / 100, text.slice(0, 40), one.tagName]);
  }
  return { texts, ground: getComputedStyle(document.body).backgroundColor };
}"""


def test_every_page_can_be_read_by_a_screen_reader(sample: Path, panel: Panel, opened: Callable[..., Page]) -> None:
    page = opened()
    for path in ("/", "/docs", *(f"{BOT}{view}" for view in VIEWS)):
        page.goto(panel.url + path)
        assert page.evaluate(PROBLEMS) == [], path
        assert page.title().endswith("· Tandem") and not page.title().startswith(" ")


PROBLEMS = """() => {
  const wrong = [], all = (what) => [...document.querySelectorAll(what)];
  const say = (what, one) => wrong.push(what + ": " + (one ? one.outerHTML.slice(0, 80) : ""));
  if (document.documentElement.lang !== "en") say("no language");
  for (const what of ["main", "header", "footer", "h1"]) if (all(what).length !== 1) say("not one " + what);
  let level = 0;
  for (const one of all("h1, h2, h3, h4")) {
    const now = Number(one.tagName[1]);
    if (now > level + 1) say("a heading is skipped before", one);
    level = now;
  }
  const ids = all("[id]").map((one) => one.id);
  if (new Set(ids).size !== ids.length) say("an id stands twice " + ids.filter((id, at) => ids.indexOf(id) !== at));
  for (const one of all("[aria-labelledby], [aria-describedby]"))
    for (const id of (one.getAttribute("aria-labelledby") || one.getAttribute("aria-describedby")).split(" "))
      if (!document.getElementById(id)) say("names what is not there", one);
  for (const one of all("input:not([type=hidden]):not([hidden])")) if (!one.labels.length) say("no label", one);
  for (const one of all("a, button")) if (!one.textContent.trim()) say("no name", one);
  for (const one of all("nav, [role=region], meter")) if (!one.getAttribute("aria-label")) say("no name", one);
  for (const one of all("svg")) if (!one.matches("[role=img][aria-label]")) say("no words", one);
  for (const one of all("th")) if (!one.scope) say("no scope", one);
  for (const one of all("table")) if (!one.querySelector("thead th")) say("no heads", one);
  for (const one of all(".pill")) if (!/^\\S+ \\S/.test(one.textContent)) say("colour alone", one);
  if (!document.querySelector("[aria-live=polite]")) say("no live region");
  return wrong;
}"""


def test_a_panel_that_falls_silent_says_that_the_page_is_old(chromium: Browser, sample: Path, state: Path) -> None:
    context = chromium.new_context()
    page = context.new_page()
    with serving(state) as panel:
        page.goto(panel.url)
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{panel.url}/")
        expect(page.locator("#updated")).to_contain_text("Updated", timeout=PATIENCE_MS)
    expect(page.locator("#updated")).to_contain_text("does not answer", timeout=PATIENCE_MS)
    assert "does not answer" in page.locator("[aria-live=polite]").inner_text()
    context.close()
