"""Checks of the exchange: its clock, the key, the account's settings, symbols, sizes and history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from typing import Protocol

from ccxt_bt_bridge import account_checks
from ccxt_bt_bridge.errors import ExchangeUnreachable, MarketUnknown
from ccxt_bt_bridge.series import interval_ms
from ccxt_bt_bridge.words import Account, AccountSettings, Bar, KeyPermissions, Market, Quote
from pairs.sizing import SizingInputs, SizingSpec, gross_notional, split_gross
from pairs.words import Pair
from trading.config.model import LoadedConfig
from trading.live.warm_up import WarmUp, shared_closes
from trading.plan_builder import sizing_spec
from trading.preflight.finding import Finding, fails, ok, warning
from trading.remedies import remedy_for

LARGE_OFFSET_MS = 1_000
BUSY_SHARE = 0.5


class PublicSide(Protocol):
    """What anyone may ask an exchange."""

    def market_of(self, symbol: str) -> Market:
        """Raises MarketUnknown, with near misses."""

    async def quote(self, symbol: str) -> Quote: ...

    async def history(self, symbol: str, limit: int) -> list[Bar]:
        """The last ``limit`` closed bars of the config's interval. Raises NotSupported for an interval it lacks."""

    async def clock_offset_ms(self) -> int | None:
        """The exchange's clock less this machine's; None where its time is not the world's."""

    def request_weight(self) -> tuple[int, int] | None:
        """Weight used in this minute, and how much there is; None where it does not say."""

    def lacks(self) -> Iterable[str]:
        """What the bot will have to do without, in words."""


class PrivateSide(Protocol):
    """What the key's owner may ask."""

    async def key_permissions(self) -> KeyPermissions: ...

    async def settings(self, symbols: tuple[str, ...]) -> AccountSettings: ...

    async def account(self) -> Account: ...


async def check_clock(config: LoadedConfig, venue: PublicSide) -> AsyncIterator[Finding]:
    offset_ms = await venue.clock_offset_ms()
    if offset_ms is None:
        yield ok("clock", "the exchange has a time of its own; orders carry that")
    elif abs(offset_ms) > LARGE_OFFSET_MS:
        message = f"this machine is {abs(offset_ms) / 1000:.1f} s {'behind' if offset_ms > 0 else 'ahead'}"
        yield warning("clock", message, "set its clock (NTP): orders carry the exchange's time, logs carry this one's")
    else:
        yield ok("clock", f"this machine's clock is within {abs(offset_ms)} ms of the exchange's")


async def check_symbols(config: LoadedConfig, venue: PublicSide) -> AsyncIterator[Finding]:
    trading = []
    for symbol in config.symbols:
        try:
            market = venue.market_of(symbol)
        except MarketUnknown as error:
            yield fails("symbols", str(error), remedy_for(error))
            continue
        if market.is_open:
            trading.append(symbol)
        else:
            yield fails(
                "symbols", f"{symbol} is listed but does not trade", f"wait, or take the pairs with {symbol} out"
            )
    if trading:
        yield ok("symbols", f"{', '.join(trading)} trade")


async def check_history(config: LoadedConfig, venue: PublicSide) -> AsyncIterator[Finding]:
    """Every pair has as many closed bars as its strategy wants to see first."""
    known: dict[str, list[Bar]] = {}
    for symbol in config.symbols:
        try:
            venue.market_of(symbol)
            known[symbol] = await venue.history(symbol, config.model.data.lookback_bars + 1)
        except MarketUnknown as error:
            yield fails("history", f"{symbol}: {error}", "mend that first; its history could not be checked")
    for pair in config.pairs:
        if all(symbol in known for symbol in pair.symbols):
            yield _enough(config, pair, [known[symbol] for symbol in pair.symbols])


async def check_sizes(config: LoadedConfig, venue: PublicSide, equity: Decimal) -> AsyncIterator[Finding]:
    """Every leg of a position is as large as the exchange wants at least."""
    for pair in config.pairs:
        try:
            markets = [venue.market_of(symbol) for symbol in pair.symbols]
            prices = [(await venue.quote(symbol)).price for symbol in pair.symbols]
        except (MarketUnknown, ExchangeUnreachable) as error:
            yield fails("sizes", f"{pair.pair_id}: {error}", "mend that first; its sizes could not be checked")
            continue
        yield _size_of(config, pair, markets, prices, float(equity))


async def check_capabilities(config: LoadedConfig, venue: PublicSide) -> AsyncIterator[Finding]:
    lacking = list(venue.lacks())
    for sentence in lacking:
        yield warning("abilities", sentence, "know it, or choose another exchange")
    if not lacking:
        yield ok("abilities", "the exchange has everything that a bot needs")


async def check_room(config: LoadedConfig, venue: PublicSide) -> AsyncIterator[Finding]:
    weight = venue.request_weight()
    if weight is None:
        yield ok("rate limit", "the exchange does not say how much it allows; requests are spaced")
        return
    used, limit = weight
    message = f"{used} of {limit} request weight used in this minute, these checks included"
    if used > BUSY_SHARE * limit:
        yield warning(
            "rate limit", message, "something else uses this address; stop it, or start the bot a minute later"
        )
    else:
        yield ok("rate limit", message)


async def check_permissions(config: LoadedConfig, venue: PrivateSide) -> AsyncIterator[Finding]:
    """A key may trade, and nothing that could take money away."""
    may = await venue.key_permissions()
    judged = account_checks.check_key(may)
    for one in judged:
        yield _graded("permissions", one)
    if may.may_trade is None or may.may_withdraw is None:
        yield warning(
            "permissions", "the exchange does not say all that the key may do", "check it in its API settings"
        )
    elif not any(one.refuses for one in judged):
        yield ok("permissions", "the key may trade, and may not take money away")


async def check_account(config: LoadedConfig, venue: PrivateSide) -> AsyncIterator[Finding]:
    """The account is set as the config says; nothing is changed here."""
    if config.model.market == "spot":
        yield ok("account", "a spot account has no margin settings")
        return
    wanted, found = config.model.broker.account, await venue.settings(config.symbols)
    judged = account_checks.check_account(
        found,
        margin_mode=wanted.margin_mode,
        position_mode=wanted.position_mode,
        leverage=dict.fromkeys(config.symbols, Decimal(repr(wanted.leverage))),
    )
    for one in judged:
        yield _graded("account", one)
    if not judged:
        words = f"{wanted.position_mode}, {wanted.margin_mode}, leverage {wanted.leverage:g}"
        yield ok("account", f"position mode, margin mode and leverage are as the config says: {words}")


async def check_funds(config: LoadedConfig, account: Account) -> AsyncIterator[Finding]:
    """There is money, and the config's cap on it is no more than there is."""
    capital = config.model.broker.capital
    if account.wallet <= 0:
        yield fails("funds", "the account holds no money", "transfer some to it, by hand")
    elif capital is not None and Decimal(repr(capital)) > account.wallet:
        message = f"broker.capital is {capital:g}, the account holds {account.wallet:.2f}"
        yield warning("funds", message, "transfer more or lower broker.capital: sizes follow what there is")
    else:
        yield ok("funds", f"the account holds {account.wallet:.2f}")


def _enough(config: LoadedConfig, pair: Pair, legs: list[list[Bar]]) -> Finding:
    data = config.model.data
    closes = shared_closes(legs, carries=data.missing_leg == "carry")[-data.lookback_bars :]
    last_ms = closes[-1] if closes else None
    past = WarmUp(pair.pair_id, data.lookback_bars, len(closes), interval_ms(data.interval), last_ms)
    if past.is_enough:
        return ok("history", f"{pair.pair_id} has {past.found} of the last {past.wanted} bars of {data.interval}")
    return warning("history", past.problem, past.remedy)


def _graded(check: str, judged: account_checks.Finding) -> Finding:
    return (fails if judged.refuses else warning)(check, judged.problem, judged.remedy)


def _size_of(config: LoadedConfig, pair: Pair, markets: list[Market], prices: list[Decimal], equity: float) -> Finding:
    spec = sizing_spec(config.model)
    gross = _largest_gross(spec, equity)
    amounts = _amounts(pair, gross, [float(price) for price in prices], spec.neutrality)
    short = [
        reason
        for market, price, amount in zip(markets, prices, amounts, strict=True)
        if (reason := market.shortfall(market.round_amount(Decimal(repr(amount))), price))
    ]
    known = pair.leg_b is None or pair.hedge.ratio is not None or spec.neutrality == "dollar"
    words = f"{pair.pair_id} at {gross:.2f}" + ("" if known else ", with a hedge ratio of about 1")
    if not short:
        return ok("sizes", f"{words}: every leg is above the exchange's minimums")
    remedy = "raise trading.position_size or the capital, or take the pair out"
    return (fails if known else warning)("sizes", f"{words}: {'; '.join(short)}", remedy)


def _largest_gross(spec: SizingSpec, equity: float) -> float:
    """What a position is at most: by the fixed size, or by the limit of the other methods."""
    if spec.method == "fixed":
        return gross_notional(spec, SizingInputs(equity))
    return min(spec.max_pair_fraction, spec.max_leverage) * equity


def _amounts(pair: Pair, gross: float, prices: list[float], neutrality: str) -> tuple[float, ...]:
    if pair.leg_b is None:
        return (gross / prices[0],)
    if pair.hedge.ratio is not None:
        return split_gross(gross, pair.hedge.ratio, *prices, prices=pair.hedge.prices, neutrality=neutrality)
    return split_gross(gross, 1.0, *prices, prices="log", neutrality=neutrality)
