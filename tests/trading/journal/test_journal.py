"""What is written to the journal comes back, exactly and in order."""

from __future__ import annotations

import math
import re
import threading
from dataclasses import replace
from datetime import timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccxt_bt_bridge.words import FundingPayment, OrderReport, OrderStatus, Side
from pairs.words import PairState
from tests.trading.journal.journal_samples import (
    START,
    a_decision,
    a_fill,
    a_leg,
    a_position,
    a_trade,
    an_intent,
    open_journal,
)
from trading.journal.errors import IntentConflict
from trading.journal.words import (
    IntentState,
    client_order_id,
    fresh_epoch,
    position_payload,
    restored_position,
    restored_targets,
)
from trading.journal.writer import Journal
from trading.records import RefusalRecord


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "0001.mock.db"


@pytest.fixture
def journal(path: Path) -> Any:
    with open_journal(path) as opened:
        yield opened


def test_an_intent_comes_back_as_it_was_written(journal: Journal) -> None:
    journal.write_intent(an_intent(1))
    journal.write_intent(an_intent(2, reduce_only=True, action="exit", side=Side.SELL, ref="r2"))
    assert journal.intents_of("ETH_BTC", "r1") == (an_intent(1),)
    assert journal.intents_of("ETH_BTC", "r2")[0].reduce_only is True
    assert str(journal.intents_of("ETH_BTC", "r1")[0].amount) == "1.230"


def test_an_intent_id_is_accepted_once(journal: Journal) -> None:
    journal.write_intent(an_intent())
    with pytest.raises(IntentConflict, match="already in the journal"):
        journal.write_intent(an_intent(amount=Decimal(5)))
    assert journal.intents_of("ETH_BTC", "r1") == (an_intent(),)


def test_an_unknown_intent_cannot_be_updated(journal: Journal) -> None:
    with pytest.raises(IntentConflict, match="not in the journal"):
        journal.update_intent("nobody", state=IntentState.DONE)


def test_updating_an_intent_keeps_what_is_not_named(journal: Journal) -> None:
    journal.write_intent(an_intent())
    journal.update_intent(an_intent().client_order_id, state=IntentState.PLACED, filled=Decimal("0.4"))
    journal.update_intent(an_intent().client_order_id, state=IntentState.DONE, average=Decimal("2281.5"))
    (found,) = journal.intents_of("ETH_BTC", "r1")
    assert (found.state, found.filled, found.average) == (IntentState.DONE, Decimal("0.4"), Decimal("2281.5"))


def test_unresolved_intents_are_those_that_are_not_terminal(journal: Journal) -> None:
    for number, state in enumerate(IntentState):
        journal.write_intent(an_intent(number, state=state))
    assert {intent.state for intent in journal.unresolved_intents()} == {"INTENT", "PLACED", "UNKNOWN"}


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "0", "-1"])
def test_an_intent_of_a_senseless_amount_does_not_exist(amount: str) -> None:
    with pytest.raises(ValueError, match="positive finite"):
        an_intent(amount=Decimal(amount))


def test_an_intent_of_another_action_does_not_exist() -> None:
    with pytest.raises(ValueError, match="enter, exit, unwind"):
        an_intent(action="gamble")


def test_a_fill_counts_once(journal: Journal) -> None:
    assert journal.record_fill(a_fill(1), "ETH_BTC", "r1") is True
    assert journal.record_fill(a_fill(1), "ETH_BTC", "r1") is False
    assert journal.fills_of("ETH_BTC", "r1") == (a_fill(1),)


def test_two_symbols_may_use_the_same_trade_id(journal: Journal) -> None:
    assert journal.record_fill(a_fill(1), "ETH_BTC", "r1")
    assert journal.record_fill(a_fill(1, symbol="BTCUSDT", side=Side.SELL), "ETH_BTC", "r1")
    assert journal.ledger() == {"ETHUSDT": Decimal("0.1"), "BTCUSDT": Decimal("-0.1")}


def test_the_last_fill_of_a_symbol_is_the_newest_in_time(journal: Journal) -> None:
    assert journal.last_fills_ms() == {}
    for number in (3, 1):
        journal.record_fill(a_fill(number), "ETH_BTC", "r1")
    journal.record_fill(a_fill(2, symbol="BTCUSDT"), "ETH_BTC", "r1")
    assert journal.last_fills_ms() == {"ETHUSDT": 1_704_067_200_003, "BTCUSDT": 1_704_067_200_002}


def test_an_order_is_known_as_it_was_last_reported(journal: Journal) -> None:
    report = OrderReport("c1", "9", "ETHUSDT", Side.BUY, OrderStatus.OPEN, Decimal(2), Decimal(0), None, 1)
    filled = OrderReport("c1", "9", "ETHUSDT", Side.BUY, OrderStatus.CLOSED, Decimal(2), Decimal(2), Decimal("1.1"), 2)
    journal.record_order(report, pair_id="P", ref="r")
    journal.record_order(filled, pair_id="P", ref="r")
    assert journal.orders_of("P", "r") == (filled,)


def test_a_funding_payment_is_shared_out_once(journal: Journal) -> None:
    payment = FundingPayment("f1", "ETHUSDT", Decimal("-0.3"), Decimal("0.0001"), Decimal("2281.87"), 5)
    assert journal.record_funding(payment, {"P": Decimal("-0.1"), "Q": Decimal("-0.2")})
    assert not journal.record_funding(payment, {"P": Decimal("-0.2"), "R": Decimal("-0.1")})
    assert [paid.amount for pair in "PQR" for paid in journal.funding_of(pair)] == [Decimal("-0.1"), Decimal("-0.2")]
    assert journal.record_funding(replace(payment, symbol="BTCUSDT"), {"R": Decimal("-0.3")})


def test_a_position_is_restored_to_the_last_digit(path: Path) -> None:
    targets = {"ETHUSDT": Decimal("-1.230"), "BTCUSDT": Decimal("0.055")}
    with open_journal(path) as journal:
        journal.save_position("ETH_BTC", PairState.HEDGING, position_payload(a_position(), targets))
        journal.save_position("ETH_BTC", PairState.OPEN, position_payload(a_position(), targets))
    with open_journal(path) as journal:
        stored = journal.positions()["ETH_BTC"]
    assert restored_position(stored) == a_position()
    assert restored_targets(stored) == targets


def test_a_position_of_one_symbol_is_restored_without_statistics(journal: Journal) -> None:
    single = a_position(legs=a_position().legs[:1], statistics=None, entry_z=None, half_life_bars=None)
    journal.save_position("ETH_BTC", PairState.OPEN, position_payload(single, {}))
    assert restored_position(journal.positions()["ETH_BTC"]) == single


def test_a_trade_comes_back_exactly(journal: Journal) -> None:
    open_leg = a_leg(exit_price=None)
    trades = (a_trade(0), a_trade(1, legs=(open_leg,), entry_z=None, exit_z=None))
    for trade in trades:
        journal.save_trade(trade)
    assert journal.trades() == trades


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12),
)
def test_any_finite_money_survives_the_disk(money: Decimal) -> None:
    from trading.journal.schema import DecimalText

    column = DecimalText()
    assert column.process_result_value(column.process_bind_param(money, None), None) == money


def test_money_that_is_not_a_number_is_refused(journal: Journal) -> None:
    with pytest.raises(Exception, match="an amount of money was wanted"):
        journal.record_fill(a_fill(price=Decimal("NaN")), "P", "r")
    assert journal.fills_of("P", "r") == ()


def test_risk_state_is_replaced_by_key(journal: Journal) -> None:
    assert journal.risk_state("breaker") is None
    journal.save_risk_state("breaker", {"state": "CLOSED"})
    journal.save_risk_state("breaker", {"state": "HALTED", "loss": Decimal("50.10"), "since": START})
    assert journal.risk_state("breaker") == {"state": "HALTED", "loss": "50.10", "since": "2024-01-01T00:00:00Z"}


def test_rows_of_a_bar_wait_for_the_next_commit(journal: Journal) -> None:
    journal.record_decision(a_decision(0, zscore=math.nan))
    journal.record_equity(START, 10_000.5)
    journal.record_refusal(RefusalRecord(START, "ETH_BTC", ("max_exposure", "stale")))
    assert journal.decisions() == ()
    journal.write_intent(an_intent())
    assert journal.decisions() == (a_decision(0, zscore=None),)
    assert journal.equity() == ((START, 10_000.5),)
    assert journal.refusals() == (RefusalRecord(START, "ETH_BTC", ("max_exposure", "stale")),)


def test_five_hundred_waiting_rows_are_written_at_once(journal: Journal) -> None:
    for number in range(499):
        journal.record_decision(a_decision(number))
    assert journal.decisions() == ()
    journal.record_decision(a_decision(499))
    assert journal.decisions() == tuple(a_decision(number) for number in range(500))


def test_closing_writes_what_waits(path: Path) -> None:
    with open_journal(path) as journal:
        journal.record_decision(a_decision())
    with open_journal(path) as journal:
        assert journal.decisions() == (a_decision(),)
        journal.close()
        journal.close()


def test_the_last_decision_of_each_pair_is_told(journal: Journal) -> None:
    for number, pair_id in enumerate("PQP"):
        journal.record_decision(a_decision(number, pair_id=pair_id))
    journal.flush()
    assert {pair: decision.time.hour for pair, decision in journal.last_decisions().items()} == {"P": 2, "Q": 1}


def test_a_bad_row_is_dropped_and_never_stops_an_intent(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    journal.record_decision(a_decision(reason=None))
    journal.record_equity(START, 1.0)
    journal.write_intent(an_intent())
    assert journal.unresolved_intents() == (an_intent(),)
    assert (journal.decisions(), journal.equity()) == ((), ((START, 1.0),))
    assert "journal_rows_dropped table=decisions" in caplog.text


def test_a_transaction_is_one_commit(journal: Journal) -> None:
    with pytest.raises(RuntimeError), journal.transaction():
        journal.write_intent(an_intent())
        with journal.transaction():
            journal.save_position("ETH_BTC", PairState.ENTERING, {})
        raise RuntimeError("killed before the outer commit")
    assert (journal.unresolved_intents(), journal.positions()) == ((), {})
    with journal.transaction():
        journal.save_position("ETH_BTC", PairState.ENTERING, {})
        journal.write_intent(an_intent())
    assert journal.unresolved_intents() == (an_intent(),)
    assert journal.positions()["ETH_BTC"].state is PairState.ENTERING


def test_rows_that_waited_survive_a_transaction_that_was_undone(journal: Journal) -> None:
    journal.record_decision(a_decision(0))
    with pytest.raises(RuntimeError), journal.transaction():
        journal.record_decision(a_decision(1))
        raise RuntimeError
    journal.flush()
    assert journal.decisions() == (a_decision(0), a_decision(1))


def test_rows_belong_to_the_run_that_wrote_them(path: Path) -> None:
    with open_journal(path) as journal:
        assert journal.start_run(started=START, config_sha256="aa", code_version="1") == 1
        journal.save_trade(a_trade(0))
        journal.end_run(ended=START + timedelta(hours=1), bars=10, signals=2)
        assert journal.start_run(started=START, config_sha256="bb", code_version="1") == 2
        journal.save_trade(a_trade(1))
        assert (journal.trades(1), journal.trades(2)) == ((a_trade(0),), (a_trade(1),))
        assert journal.trades() == (a_trade(0), a_trade(1))
        assert [(run.bars, run.signals, run.ended is None) for run in journal.runs()] == [(10, 2, False), (0, 0, True)]


def test_a_killed_run_is_resumed_and_an_ended_one_is_not(path: Path) -> None:
    with open_journal(path) as journal:
        assert journal.resume_run() is None
        journal.start_run(started=START, config_sha256="aa", code_version="1")
        journal.note_progress(bars=7, signals=3)
    with open_journal(path) as journal:
        run = journal.resume_run()
        assert run is not None and (run.number, run.bars, run.signals) == (1, 7, 3)
        journal.save_trade(a_trade())
        assert journal.trades(1) == (a_trade(),)
        journal.end_run(ended=START, bars=9, signals=4)
    with open_journal(path) as journal:
        assert journal.resume_run() is None


def test_sequences_go_on_after_a_restart(path: Path) -> None:
    with open_journal(path) as journal:
        assert [journal.next_sequence() for _ in range(3)] == [1, 2, 3]
    with open_journal(path) as journal:
        assert journal.next_sequence() == 4


def test_a_sequence_of_an_undone_transaction_was_never_used(journal: Journal) -> None:
    with pytest.raises(RuntimeError), journal.transaction():
        journal.next_sequence()
        raise RuntimeError
    assert journal.next_sequence() == 1


def test_each_opening_has_an_epoch_of_its_own(tmp_path: Path) -> None:
    epochs = []
    for name in ("a.db", "b.db", "a.db"):
        with open_journal(tmp_path / name) as journal:
            epochs.append(journal.epoch)
    assert len(set(epochs)) == 3


def test_client_order_ids_are_deterministic() -> None:
    assert client_order_id("0001", "k3x9ab", 37, 1, "enter") == "0001-k3x9ab-11-1e"


@given(st.text(max_size=80), st.integers(0, 36**8), st.integers(0, 9), st.sampled_from(["enter", "exit", "unwind"]))
def test_client_order_ids_are_what_an_exchange_takes(bot: str, sequence: int, leg: int, role: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,36}", client_order_id(bot, fresh_epoch(), sequence, leg, role))


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 3)), unique=True, max_size=50))
def test_client_order_ids_differ_when_the_order_does(orders: list[tuple[int, int]]) -> None:
    ids = {client_order_id("bot-1", "k3x9ab", sequence, leg, "exit") for sequence, leg in orders}
    assert len(ids) == len(orders)


def test_client_order_ids_refuse_an_epoch_of_another_shape() -> None:
    with pytest.raises(ValueError, match="epoch"):
        client_order_id("0001", "A-b", 1, 0, "enter")


def test_times_of_any_zone_come_back_in_utc(journal: Journal) -> None:
    tokyo = START.astimezone(timezone(timedelta(hours=9)))
    journal.record_equity(tokyo, 1.0)
    journal.flush()
    ((time, _),) = journal.equity()
    assert time == START and time.utcoffset() == timedelta(0)


def test_two_threads_take_turns(journal: Journal) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 40):
            with journal.transaction():
                journal.next_sequence()
                journal.write_intent(an_intent(number))

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.unresolved_intents()) == 80
    assert journal.next_sequence() == 81
