"""Promises about requests that got no answer, or whose answer is no proof."""

from __future__ import annotations

import pytest

from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.words import Absent, Ambiguous, Fill, Found, Unknown
from tests.brokers.contract.rig import ETH, Contract, Rig, failing, order, played
from tests.brokers.markets import hours


class OutcomeContract(Contract):
    @played(faults=({"kind": "timeout_after_execution", "at": 1},))
    async def test_an_order_without_an_answer_that_was_executed_is_ambiguous_and_found(self, rig: Rig) -> None:
        outcome = await rig.send(order("lost", "1"))
        found = await rig.trading.fetch_order(ETH, "lost")
        assert isinstance(outcome, Ambiguous) and outcome.reason
        assert isinstance(found, Found) and found.report.filled == 1
        assert len(await rig.trading.fills(since_ms=hours(0))) == 1

    @played(faults=({"kind": "timeout_after_execution", "at": 1},))
    async def test_the_fill_of_an_order_without_an_answer_is_told(self, rig: Rig) -> None:
        await rig.send(order("lost", "1"))
        (fill,) = await rig.heard_fills(1)
        assert fill.client_order_id == "lost"

    @played(faults=({"kind": "timeout_before_execution", "at": 1},))
    async def test_an_order_without_an_answer_that_never_arrived_is_ambiguous_and_leaves_no_trace(
        self, rig: Rig
    ) -> None:
        before = await rig.traces()
        outcome = await rig.send(order("lost", "1"))
        assert isinstance(outcome, Ambiguous)
        after = await rig.traces()
        assert (after[0].positions, after[1:]) == (before[0].positions, before[1:])

    @played(faults=({"kind": "timeout_before_execution", "at": 1},))
    async def test_an_order_nobody_knows_is_unknown_until_the_horizon_and_absent_after_it(self, rig: Rig) -> None:
        await rig.send(order("lost", "1"))
        before = await rig.trading.fetch_order(ETH, "lost")
        await rig.pass_horizon()
        after = await rig.trading.fetch_order(ETH, "lost")
        assert isinstance(before, Unknown) and before.reason
        assert isinstance(after, Absent)

    @played()
    async def test_an_id_of_a_former_life_is_unknown_at_first_too(self, rig: Rig) -> None:
        assert isinstance(await rig.trading.fetch_order(ETH, "from-before"), Unknown)
        await rig.pass_horizon()
        assert isinstance(await rig.trading.fetch_order(ETH, "from-before"), Absent)

    @played(faults=({"kind": "timeout_before_execution", "at": 1},))
    async def test_nothing_is_sent_a_second_time_by_itself(self, rig: Rig) -> None:
        await rig.send(order("lost", "1"))
        await rig.placed(order("other", "1"))
        (fill,) = await rig.heard_fills(1)
        await rig.go_to(3)
        assert fill.client_order_id == "other" and len(rig.told(Fill)) == 1

    @played(faults=(failing("fetch_order"),))
    async def test_a_lookup_without_an_answer_is_unknown(self, rig: Rig) -> None:
        await rig.go_to(3)
        await rig.placed(order("mine", "1"))
        assert isinstance(await rig.trading.fetch_order(ETH, "mine"), Unknown)
        assert isinstance(await rig.trading.fetch_order(ETH, "mine"), Found)

    @played(faults=(failing("account"),))
    async def test_an_account_that_cannot_be_read_is_not_a_flat_one(self, rig: Rig) -> None:
        await rig.go_to(3)
        with pytest.raises(ExchangeUnreachable):
            await rig.trading.account()
        assert (await rig.trading.account()).wallet > 0

    @played(faults=(failing("open_orders"),))
    async def test_open_orders_that_cannot_be_read_are_not_none(self, rig: Rig) -> None:
        await rig.go_to(3)
        with pytest.raises(ExchangeUnreachable):
            await rig.trading.open_orders()
        assert list(await rig.trading.open_orders()) == []

    @played(faults=(failing("fills"),))
    async def test_fills_that_cannot_be_read_are_not_none(self, rig: Rig) -> None:
        await rig.go_to(3)
        with pytest.raises(ExchangeUnreachable):
            await rig.trading.fills(since_ms=hours(0))
        assert list(await rig.trading.fills(since_ms=hours(0))) == []

    @played(faults=(failing("quote"),))
    async def test_a_quote_that_cannot_be_had_is_not_an_old_one(self, rig: Rig) -> None:
        await rig.go_to(3)
        await rig.let_prices_age()
        with pytest.raises(ExchangeUnreachable):
            await rig.market.quote(ETH)
        assert (await rig.market.quote(ETH)).price == 103
