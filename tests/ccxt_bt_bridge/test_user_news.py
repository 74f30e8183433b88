"""What is new in a stream that may repeat, reorder and lose."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ccxt_bt_bridge.user_news import REMEMBERED, UserNews
from ccxt_bt_bridge.words import Account, Fill, OrderReport, OrderStatus, PositionReport, Side

REPORT = OrderReport("c", "1", "BTCUSDT", Side.BUY, OrderStatus.OPEN, Decimal(4), Decimal(0), None, 0)
FILL = Fill("1", "1", "c", "BTCUSDT", Side.BUY, Decimal(1), Decimal(100), Decimal(0), 0)


def filled(amount: int) -> OrderReport:
    return replace(REPORT, filled=Decimal(amount), status=OrderStatus.CLOSED if amount == 4 else OrderStatus.OPEN)


def test_a_fill_is_new_once_a_symbol():
    news = UserNews()
    assert [news.is_new_fill(fill) for fill in (FILL, FILL, replace(FILL, symbol="ETHUSDT"))] == [True, False, True]


@given(st.permutations([0, 1, 2, 3, 4, 4, 2]))
def test_an_orders_state_never_goes_back(order):
    news = UserNews()
    told = [amount for amount in order if news.is_new_order(filled(amount))]
    assert told == sorted(set(told))
    assert told[-1] == 4
    assert news.open_orders == []


def test_an_id_that_is_used_again_is_another_order():
    news = UserNews()
    assert news.is_new_order(filled(4))
    assert news.is_new_order(replace(REPORT, order_id="2"))
    assert [report.order_id for report in news.open_orders] == ["2"]


def test_a_fill_that_comes_after_the_cancellation_is_news():
    news = UserNews()
    assert news.is_new_order(replace(REPORT, status=OrderStatus.CANCELED))
    late = replace(REPORT, status=OrderStatus.CANCELED, filled=Decimal(1))
    assert (news.is_new_order(late), news.is_new_order(late)) == (True, False)


def test_an_account_is_news_when_wallet_or_positions_differ():
    news = UserNews()
    account = Account(1, Decimal(10), (PositionReport("A", Decimal(1), Decimal(2)),), Decimal(5))
    assert news.is_new_account(account)
    assert not news.is_new_account(replace(account, time_ms=2, free=None))
    assert news.is_new_account(replace(account, wallet=Decimal(11)))


def test_memory_has_an_end():
    news = UserNews()
    for number in range(REMEMBERED + 500):
        news.is_new_fill(replace(FILL, trade_id=str(number)))
        news.is_new_order(replace(REPORT, client_order_id=str(number)))
    assert len(news.open_orders) == REMEMBERED
    assert not news.is_new_fill(replace(FILL, trade_id=str(random.Random(1).randrange(500, REMEMBERED + 500))))
