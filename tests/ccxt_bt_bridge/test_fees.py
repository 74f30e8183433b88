"""Fees in quote currency, whatever coin they were taken in."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from ccxt_bt_bridge.errors import ExchangeUnreachable
from ccxt_bt_bridge.fees import FeeBook
from ccxt_bt_bridge.words import Market

MARKET = Market(
    "BTCUSDT", "USDT", "spot", Decimal("0.1"), Decimal("0.001"), Decimal("0.001"), Decimal(5), Decimal("0.001"), "BTC"
)  # fmt: skip


class Prices:
    def __init__(self, *, silent: bool = False) -> None:
        self.asked: list[tuple[str, str]] = []
        self._silent = silent

    async def of(self, coin: str, quote: str) -> Decimal:
        self.asked.append((coin, quote))
        if self._silent:
            raise ExchangeUnreachable("no answer")
        return Decimal(600)


def fee(book: FeeBook, commission: str, asset: str) -> tuple[Decimal, Decimal]:
    return book.convert(Decimal(commission), asset, Decimal(50_000), Decimal("0.01"), MARKET)


def test_a_fee_in_quote_currency_stays_what_it_is():
    assert fee(FeeBook(Prices().of), "0.5", "USDT") == (Decimal("0.5"), 0)


def test_a_fee_in_the_coin_that_was_bought_is_missing_from_it():
    assert fee(FeeBook(Prices().of), "0.00001", "BTC") == (Decimal("0.5"), Decimal("0.00001"))


def test_a_fee_in_a_third_coin_has_that_coins_price_which_is_asked_for_once():
    async def learn() -> None:
        prices = Prices()
        book = FeeBook(prices.of)
        for _ in range(3):
            await book.learn("BNB", MARKET)
        assert fee(book, "0.001", "BNB") == (Decimal("0.6"), 0)
        assert prices.asked == [("BNB", "USDT")]

    asyncio.run(learn())


def test_without_a_price_the_fee_is_the_markets_own_and_the_log_says_so(caplog):
    async def learn() -> None:
        book = FeeBook(Prices(silent=True).of)
        await book.learn("BNB", MARKET)
        assert not book.is_known("BNB", MARKET)
        assert fee(book, "0.001", "BNB") == (Decimal("0.5"), 0)

    asyncio.run(learn())
    assert "fee_estimated symbol=BTCUSDT asset=BNB" in caplog.text
