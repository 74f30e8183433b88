from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from statistics import median
from time import perf_counter

import pytest

from notifications import dispatcher as dispatcher_module
from notifications import lane
from notifications.dispatcher import MANY_FAILURES, Bounds, Dispatcher, Route
from notifications.lane import TOO_OLD_S, Sound
from notifications.outbox import Outbox
from notifications.words import Kind, Refused, SpreadChart, TryLater, Undeliverable
from tests.notifications.channels import NOON, FakeChannel, Told, dispatcher_of, notice, wait_until

MOST_US = 50.0


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nobody waits between two notices, or for another attempt."""
    for name, seconds in (("GAP_S", 0.0), ("FIRST_PAUSE_S", 0.01), ("LONGEST_PAUSE_S", 0.05)):
        monkeypatch.setattr(lane, name, seconds)


@pytest.fixture
def running():
    """Starts dispatchers, and stops those that a test leaves running."""
    known: list[Dispatcher] = []

    def start(dispatcher: Dispatcher) -> Dispatcher:
        known.append(dispatcher)
        dispatcher.start()
        return dispatcher

    yield start
    for one in known:
        one.stop(0.0)


def test_a_notice_reaches_every_channel_on_a_thread_of_its_own(running):
    channels = FakeChannel("one"), FakeChannel("two")
    dispatcher = running(dispatcher_of(*channels))
    dispatcher.offer(notice("a"))
    dispatcher.stop()
    assert [one.told for one in channels] == [[Told("notice a", 1, False)]] * 2
    assert [one.threads for one in channels] == [{"notify-one"}, {"notify-two"}]
    assert not any(one.is_open for one in channels)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("notify")]


def test_facts_are_made_notices_by_whoever_knows_them_and_one_that_fails_costs_only_itself(running, caplog):
    channel = FakeChannel()

    def translate(fact):
        if fact == "bad":
            raise RuntimeError("no words")
        yield notice(fact)

    dispatcher = running(dispatcher_of(channel, translate=translate))
    for fact in ("a", "bad", "b"):
        dispatcher.offer(fact)
    dispatcher.stop()
    assert channel.titles == ["notice a", "notice b"]
    assert "notice_failed fact=str" in caplog.text


def test_each_channel_tells_what_it_wants_and_how(running):
    loud, quiet = FakeChannel("loud"), FakeChannel("quiet")
    routes = [Route(loud, {Kind.ERROR: Sound.ON}), Route(quiet, {Kind.ERROR: Sound.OFF, Kind.STATUS: Sound.SILENT})]
    dispatcher = running(Dispatcher(routes, Outbox(None)))
    dispatcher.offer(notice("a", kind=Kind.ERROR))
    dispatcher.offer(notice("b", kind=Kind.STATUS))
    dispatcher.stop()
    assert (loud.told, quiet.told) == ([Told("notice a", 1, False)], [Told("notice b", 1, True)])


def test_the_same_fact_is_told_once(running):
    channel = FakeChannel()
    dispatcher = running(dispatcher_of(channel))
    for _ in range(3):
        dispatcher.offer(notice("a"))
    dispatcher.stop()
    assert channel.titles == ["notice a"]


def test_a_burst_loses_nothing_critical_keeps_its_bound_and_tells_what_it_dropped(running):
    channel = FakeChannel()
    channel.gate.clear()
    outbox = Outbox(None)
    dispatcher = running(dispatcher_of(channel, outbox=outbox, bounds=Bounds(facts=1_000, waiting=100)))
    for number in range(10_000):
        is_critical = number % 100 == 0
        dispatcher.offer(notice(str(number), is_critical=is_critical), is_critical=is_critical)
        assert len(dispatcher._facts) <= 1_000
    wait_until(lambda: not dispatcher._facts and not dispatcher._critical)
    assert len(dispatcher._lanes["fake"]) <= 100 + 100
    channel.gate.set()
    dispatcher.stop(30.0)
    assert len([one for one in channel.notices if one.is_critical]) == 100
    (lost,) = [one for one in channel.notices if "dropped" in one.title]
    dropped = int(lost.title.split("get: ")[1].split()[0])
    assert dropped + len(channel.notices) - 1 == 10_000


def test_ten_thousand_critical_ones_of_one_kind_are_all_counted(running):
    channel = FakeChannel()
    channel.gate.clear()
    dispatcher = running(dispatcher_of(channel))
    for number in range(10_000):
        dispatcher.offer(notice(str(number), is_critical=True, fold="same"), is_critical=True)
    wait_until(lambda: not dispatcher._critical)
    assert len(dispatcher._lanes["fake"]) <= 1
    channel.gate.set()
    dispatcher.stop(30.0)
    assert sum(told.repeats for told in channel.told) == 10_000 and len(channel.told) <= 2


def test_a_channel_that_hangs_does_not_keep_another_waiting_nor_the_end(running):
    hanging, well = FakeChannel("hanging"), FakeChannel("well")
    hanging.gate.clear()
    dispatcher = running(dispatcher_of(hanging, well))
    for number in range(5):
        dispatcher.offer(notice(str(number)))
    wait_until(lambda: len(well.told) == 5)
    begun = perf_counter()
    dispatcher.stop(0.1)
    assert perf_counter() - begun < 20.0 and hanging.told == []


def test_what_hangs_is_given_up_after_a_while_and_tried_again(running):
    channel = FakeChannel()
    channel.gate.clear()
    dispatcher = running(dispatcher_of(channel, bounds=Bounds(send_timeout_s=0.05)))
    dispatcher.offer(notice("a"))
    wait_until(lambda: dispatcher._lanes["fake"]._failures >= 2)
    channel.gate.set()
    dispatcher.stop()
    assert channel.titles == ["notice a"]


def test_a_channel_that_raises_or_cannot_be_opened_is_tried_again(running):
    channel = FakeChannel(answers=(RuntimeError("https://token@host"), TryLater("busy")))
    channel.opening = RuntimeError("https://token@host")
    dispatcher = running(dispatcher_of(channel))
    dispatcher.offer(notice("a"))
    wait_until(lambda: len(channel.told) == 3)
    dispatcher.stop()
    assert channel.titles == ["notice a"] * 3


def test_no_text_of_an_exception_reaches_the_log(running, caplog):
    caplog.set_level(logging.DEBUG)
    channel = FakeChannel(answers=(RuntimeError("canary-token"),))
    channel.opening = OSError("canary-token")
    dispatcher = running(dispatcher_of(channel))
    dispatcher.offer(notice("a"))
    wait_until(lambda: len(channel.told) == 2)
    assert "channel_raised" in caplog.text and "canary-token" not in caplog.text


def test_a_channel_that_refuses_for_good_rests_and_the_others_say_so(running, caplog):
    gone, well = FakeChannel("gone", (Undeliverable("token revoked: canary"),)), FakeChannel("well")
    dispatcher = running(dispatcher_of(gone, well, redact=lambda text: text.replace("canary", "***")))
    dispatcher.offer(notice("a"))
    wait_until(lambda: len(well.told) == 2)
    dispatcher.offer(notice("b"))
    dispatcher.stop()
    assert "Nothing can be told by gone: token revoked: ***" in well.titles
    assert gone.titles == ["notice a"] and "notice b" in well.titles
    assert "channel_rests channel=gone" in caplog.text and "canary" not in caplog.text


def test_one_notice_that_is_refused_silences_nothing_and_is_told_of_by_the_others(running, caplog):
    strict, well = FakeChannel("strict", (Refused("554 spam canary"),)), FakeChannel("well")
    dispatcher = running(dispatcher_of(strict, well, redact=lambda text: text.replace("canary", "***")))
    dispatcher.offer(notice("a"))
    dispatcher.offer(notice("b", is_critical=True), is_critical=True)
    dispatcher.offer(notice("c"))
    wait_until(lambda: len(well.told) == 4 and len(strict.told) >= 3)
    dispatcher.stop()
    assert {"notice a", "notice b", "notice c"} <= set(strict.titles)
    (told,) = [one for one in well.notices if one.title.startswith("strict refused one notice: notice")]
    assert "554 spam ***" in told.body
    assert "notice_refused channel=strict" in caplog.text and "canary" not in caplog.text


def test_something_critical_that_is_refused_again_and_again_is_told_of_once(running, monkeypatch):
    monkeypatch.setattr(lane, "LONGEST_KNOCK_S", 0.01)
    strict, well = FakeChannel("strict", (Refused("spam"),) * 5), FakeChannel("well")
    dispatcher = running(dispatcher_of(strict, well))
    dispatcher.offer(notice("a", is_critical=True), is_critical=True)
    wait_until(lambda: len(strict.told) == 6)
    dispatcher.stop()
    assert sorted(well.titles) == ["notice a", "strict refused one notice: notice a"]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(1), KeyboardInterrupt()])
def test_a_channel_outlives_whatever_it_raises(running, error):
    channel = FakeChannel(answers=(error,))
    dispatcher = running(dispatcher_of(channel))
    dispatcher.offer(notice("a"))
    wait_until(lambda: len(channel.told) == 2)
    dispatcher.stop()
    assert channel.titles == ["notice a"] * 2 and not channel.is_open


class Blocking(FakeChannel):
    """Blocks its whole loop at its first notice, until ``gate`` opens."""

    async def send(self, notice, *, repeats, is_silent):
        if not self.threads:
            self.threads.add(threading.current_thread().name)
            self.gate.wait(30.0)
        return await super().send(notice, repeats=repeats, is_silent=is_silent)


class Ending(FakeChannel):
    """A task of its own ends its loop at the first notice."""

    async def send(self, notice, *, repeats, is_silent):
        if not self.threads:
            self.threads.add(threading.current_thread().name)
            self.task = asyncio.create_task(self._end())
            await asyncio.sleep(30.0)
        return await super().send(notice, repeats=repeats, is_silent=is_silent)

    async def _end(self):
        raise SystemExit


@pytest.mark.parametrize("kind", [Blocking, Ending])
def test_a_channel_that_blocks_or_ends_its_thread_is_told_of_and_begun_anew(running, caplog, kind):
    bad, well = kind("bad"), FakeChannel("well")
    bad.gate.clear()
    dispatcher = running(dispatcher_of(bad, well, bounds=Bounds(send_timeout_s=0.2)))
    dispatcher.offer(notice("a"))
    wait_until(lambda: "Nothing arrives by bad: it hangs" in well.titles)
    former = [thread for thread in threading.enumerate() if thread.name == "notify-bad"]
    bad.gate.set()
    wait_until(lambda: bad.told != [] and len([one for one in former if one.is_alive()]) < 2)
    dispatcher.offer(notice("b"))
    dispatcher.stop()
    assert bad.titles[-1] == "notice b" and "notice a" in bad.titles
    assert "channel_hangs channel=bad" in caplog.text


def test_a_step_that_fails_is_told_once_and_ends_nothing(running, monkeypatch, caplog):
    monkeypatch.setattr(dispatcher_module, "STUMBLE_S", 0.01)
    channel, outbox = FakeChannel(), Outbox(None)
    dispatcher = dispatcher_of(channel, outbox=outbox)
    flush, errors = outbox.flush, [MemoryError("canary"), ValueError("canary")]

    def failing() -> None:
        if errors:
            raise errors.pop()
        flush()

    monkeypatch.setattr(outbox, "flush", failing)
    running(dispatcher)
    dispatcher.offer(notice("a"))
    wait_until(lambda: "notice a" in channel.titles)
    dispatcher.offer(notice("b"))
    dispatcher.stop()
    assert sorted(channel.titles) == ["A part of the telling has failed (ValueError)", "notice a", "notice b"]
    assert "notices_stumbled" in caplog.text


def test_half_a_letter_in_any_text_costs_nothing_but_itself(running, tmp_path):
    channel = FakeChannel()
    chart = SpreadChart("A\ud800", (NOON,), (1.0,), (("\ud800", 2.0),), ((NOON, 1.0, "\ud800"),))
    bad = "a\ud800b"
    dispatcher = running(dispatcher_of(channel, outbox=Outbox(tmp_path / "outbox.sqlite")))
    dispatcher.offer(notice(bad, title=bad, body=bad, rows=((bad, bad),), fold=bad, pair_id=bad, chart=chart))
    dispatcher.offer(notice("next"))
    dispatcher.stop()
    told, after = channel.notices
    assert after.key == "next" and repr(told).count("a?b") == 7 and "ud800" not in repr(told)


def test_a_channel_that_is_away_for_long_is_told_of_once_by_the_others(running):
    away, well = FakeChannel("away", (TryLater("no route"),) * (MANY_FAILURES + 3)), FakeChannel("well")
    dispatcher = running(dispatcher_of(away, well))
    dispatcher.offer(notice("a"))
    wait_until(lambda: len(away.told) == MANY_FAILURES + 4)
    dispatcher.stop()
    assert well.titles == ["notice a", "Nothing arrives by away: no route"]


def test_after_its_end_nothing_is_kept(running):
    dispatcher = running(dispatcher_of(FakeChannel()))
    dispatcher.stop()
    for number in range(100):
        dispatcher.offer(notice(str(number), is_critical=True), is_critical=True)
    assert not dispatcher._critical and not dispatcher._facts


def test_every_text_of_a_notice_is_cleaned(running, tmp_path):
    channel = FakeChannel()
    path = tmp_path / "outbox.sqlite"
    dispatcher = dispatcher_of(channel, outbox=Outbox(path), redact=lambda text: text.replace("canary", "***"))
    channel.gate.clear()
    running(dispatcher)
    dispatcher.offer(notice("a", title="canary", body="canary", rows=(("canary", "canary"),)))
    wait_until(lambda: len(dispatcher._lanes["fake"]) == 0 and dispatcher._lanes["fake"].is_busy)
    assert [key for _, key, _ in rows(path)] == ["a"]
    assert b"canary" not in b"".join(one.read_bytes() for one in tmp_path.iterdir())
    channel.gate.set()
    dispatcher.stop()
    (told,) = channel.notices
    assert (told.title, told.body, told.rows) == ("***", "***", (("***", "***"),))


# over restarts


def rows(path) -> list[tuple]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT channel, key, repeats FROM waiting").fetchall()


def test_what_could_not_be_sent_is_sent_by_the_next_process_and_nothing_twice(running, tmp_path):
    path = tmp_path / "outbox.sqlite"
    away, well = FakeChannel("away", (TryLater("away", after_s=3600.0),)), FakeChannel("well")
    first = running(dispatcher_of(away, well, outbox=Outbox(path)))
    first.offer(notice("a"))
    first.offer(notice("b", fold="same"))
    first.offer(notice("c", fold="same"))
    wait_until(lambda: len(well.told) == 3 or (len(well.told) == 2 and well.told[-1].repeats == 2))
    first.stop(0.1)
    assert {key for _, key, _ in rows(path)} == {"a", "c"}
    away, well = FakeChannel("away"), FakeChannel("well")
    second = running(dispatcher_of(away, well, outbox=Outbox(path)))
    second.offer(notice("a"))
    second.offer(notice("d"))
    second.stop()
    assert away.told == [Told("notice a", 1, False), Told("notice c", 2, False), Told("notice d", 1, False)]
    assert well.titles == ["notice d"]
    assert rows(path) == []


def test_what_waited_for_more_than_a_day_is_one_line(running, tmp_path):
    path = tmp_path / "outbox.sqlite"
    away = FakeChannel(answers=(TryLater("away", after_s=3600.0),))
    first = running(dispatcher_of(away, outbox=Outbox(path), wall=lambda: 0.0))
    for number in range(4):
        first.offer(notice(str(number)))
    first.offer(notice("bad", is_critical=True), is_critical=True)
    wait_until(lambda: len(dict(first._lanes)["fake"]) == 5)
    first.stop(0.1)
    back = FakeChannel()
    second = running(dispatcher_of(back, outbox=Outbox(path), wall=lambda: TOO_OLD_S + 1.0))
    wait_until(lambda: len(back.told) == 2)
    second.stop()
    assert back.titles[0] == "notice bad" and "4 not sent" in back.titles[1]
    assert rows(path) == []


def test_what_waited_for_a_channel_that_is_gone_is_thrown_away(running, tmp_path):
    path = tmp_path / "outbox.sqlite"
    away = FakeChannel("former", (TryLater("away", after_s=3600.0),))
    first = running(dispatcher_of(away, outbox=Outbox(path)))
    first.offer(notice("a"))
    wait_until(lambda: bool(away.told))
    first.stop(0.1)
    second = running(dispatcher_of(FakeChannel("new"), outbox=Outbox(path)))
    second.stop()
    assert rows(path) == []


def test_a_damaged_file_is_told_once_and_begun_anew(running, tmp_path, caplog):
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"no database" * 500)
    channel = FakeChannel()
    dispatcher = running(dispatcher_of(channel, outbox=Outbox(path)))
    dispatcher.offer(notice("a"))
    dispatcher.offer(notice("b"))
    dispatcher.stop()
    assert {"notice a", "notice b"} <= set(channel.titles)
    assert len([title for title in channel.titles if "file of notices was damaged" in title]) == 1
    assert caplog.text.count("outbox_begun_anew") == 1 and rows(path) == []


def test_without_its_file_telling_goes_on_and_says_so_once(running, tmp_path, caplog):
    path = tmp_path / "outbox.sqlite"
    channel = FakeChannel()
    Outbox(path).open()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        running(dispatcher := dispatcher_of(channel, outbox=Outbox(path)))
        wait_until(lambda: dispatcher._outbox._connection is not None)
        other.execute("BEGIN IMMEDIATE")
        dispatcher.offer(notice("a"))
        dispatcher.offer(notice("b"))
        wait_until(lambda: len(channel.told) >= 2)
        dispatcher.offer(notice("c"))
        wait_until(lambda: "notice c" in channel.titles)
        dispatcher.stop()
    assert {"notice a", "notice b"} <= set(channel.titles)
    assert len([title for title in channel.titles if "file of notices cannot be used" in title]) == 1
    assert caplog.text.count("outbox_unusable") == 1


# the trading path's share


@pytest.mark.parametrize("state", ["well", "hanging", "refusing", "flooded"])
def test_an_alert_costs_the_trading_path_next_to_nothing_whatever_the_channel_does(running, state):
    channel = FakeChannel(answers=(Undeliverable("no"),) if state == "refusing" else ())
    if state in ("hanging", "flooded"):
        channel.gate.clear()
    dispatcher = running(dispatcher_of(channel, bounds=Bounds(facts=1_000)))
    facts = [replace(notice(), key=str(number)) for number in range(2_000 if state == "flooded" else 300)]
    spans = []
    for fact in facts:
        begun = perf_counter()
        dispatcher.offer(fact)
        spans.append(perf_counter() - begun)
    channel.gate.set()
    assert median(spans) * 1e6 <= MOST_US
