"""Why a trade went as it did: broken entries included, from a journal that a bot with faults has written."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.management.lived_bot import lived_bot
from trading.journal.reads import JournalReader
from trading.records import TradeRecord
from trading.reports.attempts import NoSuchTrade, attempts, find_attempt
from trading.reports.why import Explanation, explain
from trading.reports.why_text import why_json, why_text


def why(wanted: str) -> Explanation:
    with lived_bot().journal() as journal:
        return explain(journal, 1, wanted)


def kinds(explanation: Explanation, kind: str) -> list[str]:
    return [step.text for step in explanation.steps if step.kind == kind]


def unwound() -> tuple[int, TradeRecord]:
    return next((n, t) for n, t in enumerate(lived_bot().result.trades, 1) if "hedge_failed" in t.exit_reason)


def uncertain() -> list[Explanation]:
    with lived_bot().journal() as journal:
        every = [explain(journal, 1, f"{one.pair_id}@{one.time:%Y-%m-%dT%H:%M}") for one in attempts(journal, 1)]
    return [one for one in every if any("uncertain" in text for text in kinds(one, "wire"))]


def test_a_trade_is_told_from_the_bar_to_the_profit() -> None:
    told = why("2")
    trade = lived_bot().result.trades[1]
    assert told.trade == trade and told.number == 2
    assert f"enter_{trade.direction}" in " ".join(kinds(told, "rule"))
    assert kinds(told, "risk") == ["passed: every limit had room for it"]
    assert [text.split()[0] for text in kinds(told, "intent")] == ["enter", "enter", "exit", "exit"]
    assert len(kinds(told, "fill")) >= 4 and len(kinds(told, "wire")) >= 4
    assert "z " in kinds(told, "bar")[0] and "spread " in kinds(told, "bar")[0] and "hedge " in kinds(told, "bar")[0]
    assert f"{trade.pnl:+.2f} = price {trade.pnl_price:+.2f}, fees {trade.pnl_fees:+.2f}" in kinds(told, "result")[0]
    assert "legging" in kinds(told, "result")[0]
    assert [step.time for step in told.steps] == sorted(step.time for step in told.steps)


def test_an_unwound_leg_is_told_with_every_refusal_and_what_it_means() -> None:
    number, trade = unwound()
    told = why(str(number))
    assert "the second leg could not be had in time" in told.verdict
    refused = [text for text in kinds(told, "wire") if "nothing was placed" in text]
    assert len(refused) == 3 and all("-2010" in text and "BTCUSDT" in text for text in refused)
    assert [text.split()[0] for text in kinds(told, "intent")] == ["enter", "enter", "enter", "enter", "unwind"]
    assert told.trade == trade


def test_an_order_without_an_answer_is_told_as_uncertain_and_how_it_was_resolved() -> None:
    found = uncertain()
    done = [one for one in found if one.trade is not None]
    lost = [one for one in found if one.trade is None]
    assert done and lost
    texts = kinds(done[0], "wire")
    at = next(n for n, text in enumerate(texts) if "uncertain" in text)
    assert "asked by its id, not sent again" in texts[at] and "done: closed" in texts[at + 1]
    assert lost[0].verdict == "came to nothing: no order was filled"
    assert "the order never reached the exchange" in kinds(lost[0], "wire")[-1]


def test_a_refused_entry_is_told_with_its_reason() -> None:
    refusal = lived_bot().result.refused[0]
    told = why(f"{refusal.pair_id}@{refusal.time:%Y-%m-%dT%H:%MZ}")
    assert told.verdict == "not entered: max_daily_trades"
    assert kinds(told, "risk") == ["refused: max_daily_trades"]
    assert kinds(told, "intent") == [] and told.number is None


def test_an_open_pair_is_not_over() -> None:
    open_pair = lived_bot().result.open[0]
    told = why(f"{open_pair.pair_id}@{open_pair.entry_time:%Y-%m-%dT%H:%MZ}")
    assert told.verdict == "not over: the pair is open"
    assert told.steps[-1].time >= lived_bot().result.equity[-1][0]
    assert kinds(told, "funding") and not kinds(told, "result")


def test_a_trade_has_many_names() -> None:
    trades = lived_bot().result.trades
    with lived_bot().journal() as journal:
        found = attempts(journal, 1)
    last_of_eth = [trade for trade in trades if trade.pair_id == "ETH_BTC"][-1]
    assert find_attempt(found, "ETH_BTC").trade == last_of_eth
    assert find_attempt(found, "1").trade == trades[0]
    assert find_attempt(found, "last").trade == max(trades, key=lambda trade: (trade.entry_time, trade.pair_id))
    entry = f"{trades[0].pair_id}@{trades[0].entry_time:%Y-%m-%d %H:%M}"
    assert find_attempt(found, entry).trade == trades[0]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("99", "there is no trade 99: this run has trades 1 to 19 of ADA_XRP, ETH_BTC, LTC_BCH; the newest: "),
        ("NO_PAIR", "there is no trade NO_PAIR"),
        ("ETH_BTC@2031-01-01", "there is no trade ETH_BTC@2031"),
        ("ETH_BTC@noon", "'noon' is no time"),
    ],
)
def test_a_trade_that_is_not_there_is_told_with_those_that_are(wanted: str, words: str) -> None:
    with pytest.raises(NoSuchTrade, match=words):
        why(wanted)


def test_a_run_that_decided_nothing_has_nothing_to_explain() -> None:
    with pytest.raises(NoSuchTrade, match="no entry yet"):
        find_attempt((), "last")


def test_the_text_folds_what_changed_nothing_and_keeps_what_did() -> None:
    told = why("1")
    text = why_text(told)
    assert "bars more like these" in text
    assert len(text.splitlines()) < len(told.steps)
    for step in told.steps:
        if step.kind in ("risk", "result", "fill"):
            assert step.text.split(",")[0] in text
    assert all(len(line) <= 110 for line in text.splitlines())


def test_the_json_has_every_step() -> None:
    told = why("1")
    row = json.loads(json.dumps(why_json(told), allow_nan=False))
    assert len(row["steps"]) == len(told.steps)
    assert row["trade"]["pnl"] == float(told.trade.pnl) if told.trade else False
    assert datetime.fromisoformat(row["steps"][0]["time"]).tzinfo == UTC


def test_the_journal_keeps_each_step_of_an_order() -> None:
    with lived_bot().journal() as journal:
        assert isinstance(journal, JournalReader)
        _, trade = unwound()
        ref = f"ETH_BTC:enter:{trade.entry_time:%Y%m%dT%H%M%SZ}"
        intents = journal.intents_of("ETH_BTC", ref, 1)
        outcomes = journal.outcomes_of([intent.client_order_id for intent in intents])
    assert len(intents) == 5
    assert [outcome.client_order_id for outcome in outcomes] == [intent.client_order_id for intent in intents]
