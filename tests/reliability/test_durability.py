"""What is sent was on disk before; a disk that fails at any commit costs time and never money."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.reliability.cells import FIRST, HEDGE
from tests.reliability.conftest import Desk
from tests.reliability.places import SETTLE_S, Place, judge, open_place, recover_life, start_life
from tests.trading.execution.engine_rig import CrashPlan, MortalJournal
from tests.virtual_time import run_virtual
from trading.journal.errors import JournalUnwritable

WATCHED = """
import socket
from datetime import UTC, datetime
from pathlib import Path
from tests.trading.journal.journal_samples import an_intent
from trading.journal.writer import Journal

ours, theirs = socket.socketpair()
with Journal.open(Path("strace.sqlite"), bot_id="b", mode="mock", account="a") as journal:
    journal.start_run(started=datetime(2024, 1, 1, tzinfo=UTC), config_sha256="0", code_version="0")
    for number in range(5):
        journal.write_intent(an_intent(number + 1))
        ours.send(b"POST %d" % number)
"""


class FailingDisk:
    """Refuses the ``at``-th commit from now on, and ``lasts`` of those that follow."""

    def __init__(self, at: int, lasts: int) -> None:
        self._refused = range(at, at + lasts)
        self.commits = 0

    def watch(self, journal: MortalJournal) -> None:
        transaction = journal.transaction

        @contextmanager
        def watched():
            if not journal._depth:
                self.commits += 1
                if self.commits in self._refused:
                    raise JournalUnwritable("the journal could not be written (disk I/O error): nothing was stored")
            with transaction():
                yield

        journal.transaction = watched


def round_trip(desk: Desk, disk: FailingDisk) -> Place:
    async def main() -> Place:
        for file in desk.folder.glob("rig.*"):
            file.unlink()
        place = open_place(desk.folder)
        try:
            rig = start_life(place)
            place.may_trade = True
            rig.engine.note_liquidity(HEDGE, 2e6)
            rig.engine.note_liquidity(FIRST, 1e6)
            disk.watch(rig.journal)
            await rig.engine.execute(place.expect(rig.enter()))
            if rig.ledger.position("A_B") is not None:
                await rig.engine.execute(rig.leave())
            await rig.stop()
            rig.journal.die()  # what it could not write is found by the next life
            await recover_life(place, CrashPlan(), dead_s=1.0)
            await asyncio.sleep(SETTLE_S)
            judge(place)
            return place
        finally:
            await place.close()

    return run_virtual(main())


@pytest.mark.parametrize("lasts", [1, 4])
def test_every_commit_that_fails_refuses_its_order(lasts: int, desk: Desk) -> None:
    healthy = FailingDisk(0, 0)
    assert not round_trip(desk, healthy).violations
    assert healthy.commits > 15
    for at in range(1, healthy.commits + 1):
        place = round_trip(desk, FailingDisk(at, lasts))
        assert not place.violations, f"commit {at}: {'; '.join(map(str, place.violations))}"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_an_intent_is_synced_before_its_order_is_sent(tmp_path: Path) -> None:
    command = ["strace", "-f", "-e", "trace=fsync,fdatasync,sendto", "-o", "calls", sys.executable, "-c", WATCHED]
    environment = {"PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}", "PATH": "/usr/bin:/bin"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=120)
    calls = re.findall(r"(fsync|fdatasync|sendto)\((?:\d+(?:, \"(POST \d))?)", (tmp_path / "calls").read_text())
    synced = False
    sent = []
    for name, post in calls:
        if post:
            assert synced, f"{post} was sent before its intent was on disk"
            sent.append(post)
        synced = name != "sendto"
    assert sent == [f"POST {number}" for number in range(5)]
