"""Whatever comes back over the wire, through the real ccxt client under the production host names: what it proves."""

from __future__ import annotations

from pathlib import Path

import pytest

from brokers.desk.tls import CA_FILE, throwaway_tls
from ccxt_bt_bridge.ccxt_trading import CcxtTrading
from ccxt_bt_bridge.session import SessionSettings
from ccxt_bt_bridge.words import CancelOutcome, CreateOutcome, LookupOutcome
from tests.ccxt_bt_bridge.sessions import DESK_KEY, EXCHANGE_OF, buy, open_session, run
from tests.ccxt_bt_bridge.wire_server import WireServer
from tests.ccxt_bt_bridge.wire_table import NOT_CANCELLED, NOT_PLACED, TABLE

IMPATIENT_MS = 1_000  # a busy machine may take long over a handshake


async def conclude(trading: CcxtTrading, operation: str, cid: str) -> CreateOutcome | CancelOutcome | LookupOutcome:
    if operation == "create":
        return await trading.create_order(buy(cid))
    if operation == "cancel":
        return await trading.cancel_order("BTCUSDT", cid)
    return await trading.fetch_order("BTCUSDT", cid)


async def walk(server: WireServer, trading: CcxtTrading, operation: str) -> dict[str, str]:
    """Every row once; outcome by name. Asserts that no row made the client send a creation twice."""
    server.operation, outcomes = operation, {}
    for number, row in enumerate(TABLE):
        server.row, cid = row, f"{operation}-{number}"
        outcome = await conclude(trading, operation, cid)
        outcomes[row.name] = type(outcome).__name__
        assert operation != "create" or server.seen["POST", cid] == 1, f"{row.name}: sent {server.seen['POST', cid]}"
        assert "signature" not in repr(outcome) and "desk-secret" not in repr(outcome)
    return outcomes


@pytest.mark.parametrize("operation", ["create", "cancel", "fetch"])
@pytest.mark.parametrize("kind", ["usdm", "spot"])
def test_every_answer_is_read_as_the_table_says(kind: str, operation: str, tmp_path: Path) -> None:
    async def play() -> dict[str, str]:
        server = WireServer(kind, throwaway_tls(tmp_path))
        port = await server.start()
        settings = SessionSettings(
            EXCHANGE_OF[kind],
            DESK_KEY,
            url=f"https://127.0.0.1:{port}",
            ca_file=str(tmp_path / CA_FILE),
            timeout_ms=IMPATIENT_MS,
        )
        async with open_session(settings) as session:
            try:
                return await walk(server, CcxtTrading(session, ["BTCUSDT"]), operation)
            finally:
                await server.close()

    outcomes = run(play())
    expected = {row.name: row.expected(kind, operation) for row in TABLE}
    differing = {name: (outcomes[name], wanted) for name, wanted in expected.items() if outcomes[name] != wanted}
    assert differing == {}
    denied = {row.name for row in TABLE if row.executed and outcomes[row.name] in (NOT_PLACED, NOT_CANCELLED)}
    assert denied == set()


def test_the_table_is_long_enough_and_every_row_has_a_name_of_its_own() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE) >= 55


def test_no_row_that_executed_is_expected_to_be_denied() -> None:
    assert not [row.name for row in TABLE if row.executed and NOT_PLACED in (row.create, row.spot_create)]
