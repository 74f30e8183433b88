"""What Prometheus is told, parsed as Prometheus does, and the dashboard and the page that name it."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from management.bots.watching import BotWatch
from management.masking import Masking
from management.metrics.exposition import Metrics
from management.metrics.families import COUNTERS, GAUGES, HISTOGRAMS
from management.metrics.order_figures import Histogram
from tests.conftest import PROJECT
from tests.management.sample_bots import START, journal_of, write_bot
from tests.trading.journal.journal_samples import an_intent
from trading.control.command_queue import CommandQueue, Verb
from trading.journal.words import IntentState

BOT = {"bot": "0001", "mode": "mock"}
ALL = {*GAUGES, *(f"{name}_total" for name in COUNTERS), *HISTOGRAMS}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    write_bot(tmp_path)
    return tmp_path


@pytest.fixture
def metrics(state: Path) -> Metrics:
    return Metrics(BotWatch(state, Masking(())))


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, frozenset((BOT | labels).items())))


def test_a_bots_gauges_are_what_its_journal_says(metrics: Metrics) -> None:
    wanted = {
        "execution_success_rate": 97.5,
        "position_pnl": 12.5,
        "tandem_up": 0.0,
        "tandem_equity_quote": 10_000.0,
        "tandem_realized_pnl_quote": 57.4,
        "tandem_drawdown_ratio": 0.015,
        "tandem_daily_loss_ratio": 0.002,
        "tandem_open_pairs": 1.0,
        "tandem_longest_unhedged_seconds": 0.7,
        "tandem_commands_waiting": 0.0,
        "tandem_bars_total": 50.0,
        "tandem_signals_total": 2.0,
        "tandem_refusals_total": 1.0,
        "tandem_trades_total": 1.0,
    }
    known = samples(metrics)
    told = {name: known[name, frozenset(BOT.items())] for name in wanted}
    assert told == pytest.approx(wanted)


def test_pairs_limits_feeds_and_breaker_have_labels(metrics: Metrics) -> None:
    assert value(metrics, "tandem_pair_state", pair="ETH_BTC", state="open") == 1.0
    assert value(metrics, "tandem_pair_state", pair="ETH_BTC", state="flat") == 0.0
    assert value(metrics, "tandem_pair_zscore", pair="ETH_BTC") == pytest.approx(-2.4)
    assert value(metrics, "tandem_limit_used_ratio", limit="max_exposure") == 0.5
    assert value(metrics, "tandem_limit_used_ratio", limit="min_liquidation_distance_pct") == 0.5
    assert value(metrics, "tandem_limit_used", limit="max_daily_loss") is None, "what is unknown is not told as 0"
    assert value(metrics, "tandem_breaker_state", state="closed") == 1.0
    assert value(metrics, "tandem_build_info", version="0.1.0") == 1.0


def test_feeds_are_live_while_their_bot_runs_and_not_after(state: Path, metrics: Metrics) -> None:
    assert value(metrics, "tandem_feed_live", symbol="ETHUSDT") == 0.0
    assert value(metrics, "tandem_feed_age_seconds", symbol="ETHUSDT") is None
    assert value(metrics, "tandem_last_bar_age_seconds") is None
    with journal_of(state):
        assert value(metrics, "tandem_feed_live", symbol="ETHUSDT") == 1.0
        assert value(metrics, "tandem_feed_age_seconds", symbol="ETHUSDT") == 0.0
        assert value(metrics, "tandem_last_bar_age_seconds") == 0.0


def test_latency_and_slippage_are_histograms_of_the_orders_that_ended(metrics: Metrics) -> None:
    """Filled after 0.3 s and 0.9 s, both bought 0.1 % above the price they were decided on."""
    assert value(metrics, "tandem_orders_total", result="filled") == 2.0
    assert value(metrics, "tandem_orders_total", result="unfilled") == 1.0
    latency = {
        bound: value(metrics, "tandem_order_latency_seconds_bucket", le=bound) for bound in ("0.25", "0.5", "1.0")
    }
    assert latency == {"0.25": 0.0, "0.5": 1.0, "1.0": 2.0}
    assert value(metrics, "tandem_order_latency_seconds_sum") == pytest.approx(1.2)
    assert value(metrics, "tandem_slippage_ratio_count") == 2.0
    assert value(metrics, "tandem_slippage_ratio_sum") == pytest.approx(0.002, rel=1e-2)
    assert value(metrics, "tandem_slippage_ratio_bucket", le="0.001") == 2.0
    assert value(metrics, "tandem_slippage_ratio_bucket", le="0.0005") == 0.0


def test_a_histogram_counts_a_bound_below_it_and_what_is_above_the_last() -> None:
    histogram = Histogram((1.0, 2.0))
    for number in (1.0, 1.5, 2.0, 99.0):
        histogram.add(number)
    assert histogram.cumulative() == [("1.0", 1.0), ("2.0", 3.0), ("+Inf", 4.0)]


def test_an_order_is_counted_once_and_when_it_has_ended(state: Path, metrics: Metrics) -> None:
    assert value(metrics, "tandem_orders_total", result="filled") == 2.0
    with journal_of(state) as journal:
        journal.resume_run()
        journal.write_intent(an_intent(4, ref="r2"))
    assert value(metrics, "tandem_orders_total", result="filled") == 2.0
    with journal_of(state) as journal:
        done = {"state": IntentState.DONE, "filled": Decimal(1), "average": Decimal(2281)}
        journal.update_intent("0001-abcdef-4-0e", **done)
    assert [value(metrics, "tandem_orders_total", result="filled") for _ in range(2)] == [3.0, 3.0]


def test_a_new_run_counts_anew(state: Path, metrics: Metrics) -> None:
    assert value(metrics, "tandem_trades_total") == 1.0
    with journal_of(state) as journal:
        journal.start_run(started=START, config_sha256="1" * 64, code_version="0.2.0")
    assert value(metrics, "tandem_trades_total") == 0.0
    assert value(metrics, "tandem_orders_total", result="filled") == 0.0
    assert value(metrics, "tandem_order_latency_seconds_count") == 0.0


def test_what_waits_in_a_bots_queues_is_told(state: Path, metrics: Metrics) -> None:
    with CommandQueue(state / "0001_mock.commands.sqlite") as queue:
        queue.give(Verb.HALT, reason="test", by="test")
    with closing(sqlite3.connect(state / "0001_mock.outbox.sqlite")) as outbox:
        outbox.execute("CREATE TABLE waiting (channel TEXT, key TEXT)")
        outbox.executemany("INSERT INTO waiting VALUES (?, ?)", [("email", "a"), ("email", "b"), ("telegram", "a")])
        outbox.commit()
    assert value(metrics, "tandem_commands_waiting") == 1.0
    assert value(metrics, "tandem_notices_unsent", channel="email") == 2.0
    assert value(metrics, "tandem_notices_unsent", channel="telegram") == 1.0


def test_a_journal_that_cannot_be_read_is_told_and_the_others_are_too(state: Path, metrics: Metrics) -> None:
    (state / "0002_mock.journal.sqlite").write_bytes(b"no database" * 100)
    known = samples(metrics)
    assert known["tandem_journal_readable", frozenset({("bot_key", "0002_mock")})] == 0.0
    assert known["tandem_journal_readable", frozenset({("bot_key", "0001_mock")})] == 1.0


def test_odd_letters_in_a_pairs_name_do_not_break_the_text(tmp_path: Path) -> None:
    write_bot(tmp_path, pair_id='a"b\\c\nd{}')
    assert value(Metrics(BotWatch(tmp_path, Masking(()))), "tandem_pair_zscore", pair='a"b\\c\nd{}') is not None


# who names them


def test_every_metric_of_the_dashboard_exists_and_every_metric_is_on_it() -> None:
    dashboard = json.loads((PROJECT / "docs" / "grafana" / "tandem.json").read_text(encoding="utf-8"))
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    named = set(re.findall(r"\b(?:tandem_\w+|execution_\w+|position_\w+)", asked))
    assert {name.removesuffix("_bucket") for name in named} == ALL


def test_the_page_lists_every_metric_with_what_it_means() -> None:
    page = (PROJECT / "docs" / "panel.md").read_text(encoding="utf-8")
    families = {**GAUGES, **{f"{name}_total": known for name, known in COUNTERS.items()}, **HISTOGRAMS}
    missing = [
        row
        for name, (text, labels) in families.items()
        if (row := f"| `{name}` | {', '.join(labels)} | {text} |") not in page
    ]
    assert missing == []


def test_names_keep_to_prometheus_conventions() -> None:
    units = ("_seconds", "_ratio", "_quote", "_total", "_info", "_pairs", "_waiting", "_unsent", "_state", "_zscore")
    odd = {name for name in ALL if not name.endswith(units)} - {"execution_success_rate", "position_pnl"}
    assert odd == {
        "tandem_up",
        "tandem_journal_readable",
        "tandem_limit_used",
        "tandem_limit_bound",
        "tandem_feed_live",
    }
