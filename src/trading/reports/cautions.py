"""What a reader of a result should be told before believing it: plain words, each with its figure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from trading.records import RunResult
from trading.reports.equity_figures import longest_fall
from trading.reports.trade_figures import ProfitParts, profit_parts

FEW_TRADES = 30
SHORT_DAYS = 60.0
LARGE_SHARE = Decimal("0.5")
ALL_SHARE = Decimal(1)
HALF = 0.5
MOST_NAMES = 5
SECONDS_PER_DAY = 86_400.0
# As ``trading.market_input`` notes it.
_FUNDING_NOTE = re.compile(r"funding: (\d+) settlements from recorded series, (\d+) from the constant (.+)")


@dataclass(frozen=True, slots=True)
class Caution:
    """``text`` is a whole sentence, the figure included."""

    name: str
    text: str


def cautions(result: RunResult) -> tuple[Caution, ...]:
    """In the order of how much they take away from the result."""
    return tuple(caution for ask in _QUESTIONS.values() for caution in ask(result))


def questions() -> tuple[str, ...]:
    """What ``cautions`` asks of a result, in its order: nothing else was asked."""
    return tuple(_QUESTIONS)


def _made_up(result: RunResult) -> Iterator[Caution]:
    made_of = result.provenance
    if made_of is None or "dir" in made_of.data:
        return
    known: Mapping[str, Any] = made_of.terms.get("data", {})
    if made_of.data.get("source", known.get("data_source")) == "mock":
        yield Caution(
            "made_up",
            "The market is made up: its pairs were built to come back to each other, and nothing here says anything "
            "about a real one.",
        )


def _unknown_formation(result: RunResult) -> Iterator[Caution]:
    pairs = [] if result.provenance is None else result.provenance.terms.get("pairs", [])
    unknown = [pair["pair_id"] for pair in pairs if pair.get("formation_end") is None]
    if unknown:
        names = ", ".join(unknown[:MOST_NAMES]) + (", …" if len(unknown) > MOST_NAMES else "")
        yield Caution(
            "unknown_formation",
            f"{len(unknown)} of {_count(len(pairs), 'pair')} do not say on which data they were chosen ({names}): "
            "their parameters may have been chosen on the same data.",
        )


def _no_trade(result: RunResult) -> Iterator[Caution]:
    if not result.trades:
        yield Caution("no_trades", "There is no closed trade: nothing here says how the rules trade.")


def _in_formation(result: RunResult) -> Iterator[Caution]:
    inside = sum(trade.in_formation for trade in result.trades)
    if inside:
        yield Caution(
            "same_data",
            f"{inside} of {len(result.trades)} trades lie inside the window on which their pair was chosen: there the "
            "choice knew the outcome, and they say nothing about the future.",
        )


def _few_trades(result: RunResult) -> Iterator[Caution]:
    count = len(result.trades)
    if 0 < count < FEW_TRADES:
        yield Caution(
            "few_trades",
            f"{_count(count, 'trade')}, fewer than {FEW_TRADES}: win rate, average and Sharpe ratio are mostly chance.",
        )


def _short(result: RunResult) -> Iterator[Caution]:
    days = len(result.equity) * result.bar_hours / 24.0
    if 0 < days < SHORT_DAYS:
        yield Caution(
            "short_period",
            f"The run covers {days:.0f} days: figures for a year are this short time stretched.",
        )


def _costs(result: RunResult) -> Iterator[Caution]:
    parts = profit_parts(result.trades)
    costs = _costs_of(parts)
    if not result.trades or costs <= 0 or parts.before_costs <= 0:
        return
    share = costs / parts.before_costs
    if share >= LARGE_SHARE:
        what = "more than all" if share > ALL_SHARE else f"{share:.0%}"
        yield Caution(
            "costs",
            f"Fees, slippage and funding cost {costs:,.2f}, {what} of the {parts.before_costs:,.2f} that prices gave: "
            "a little more of either turns it.",
        )


def _one_trade(result: RunResult) -> Iterator[Caution]:
    profits = [trade.pnl for trade in result.trades]
    total, best = sum(profits, Decimal(0)), max(profits, default=Decimal(0))
    if len(profits) < 2 or total <= 0 or best < LARGE_SHARE * total:
        return
    rest = f"without it {total - best:+,.2f} is left of {total:+,.2f}"
    yield Caution("one_trade", f"One trade made {best:+,.2f}, {best / total:.0%} of the closed profit; {rest}.")


def _open_profit(result: RunResult) -> Iterator[Caution]:
    unrealised = sum((position.unrealised for position in result.open), Decimal(0))
    closed = sum((trade.pnl for trade in result.trades), Decimal(0))
    if unrealised and abs(unrealised) >= LARGE_SHARE * abs(closed):
        pairs = _count(len(result.open), "open pair")
        yield Caution(
            "open_trades",
            f"{unrealised:+,.2f} is in {pairs} and not yet made, beside {closed:+,.2f} of closed trades.",
        )


def _long_fall(result: RunResult) -> Iterator[Caution]:
    fall, length = longest_fall(result), _length(result)
    if fall is None or length <= 0.0 or fall.length.total_seconds() <= HALF * length:
        return
    days, share = fall.length.total_seconds() / SECONDS_PER_DAY, fall.length.total_seconds() / length
    end = "and has not come back" if fall.until is None else f"until {_day(fall.until)}"
    yield Caution(
        "long_drawdown",
        f"Equity was below its peak of {_day(fall.peak)} for {days:.0f} days, {share:.0%} of the run, {end}.",
    )


def _assumed_funding(result: RunResult) -> Iterator[Caution]:
    for found in filter(None, map(_FUNDING_NOTE.match, result.notes)):
        recorded, assumed = int(found[1]), int(found[2])
        if assumed:
            yield Caution(
                "assumed_funding",
                f"{assumed} of {recorded + assumed} funding payments are assumed at the constant {found[3]}, not "
                "recorded: what was really paid may differ in size and sign.",
            )


def _tripped(result: RunResult) -> Iterator[Caution]:
    if result.risk_trips:
        time, reason = result.risk_trips[0]
        yield Caution(
            "risk_limit",
            f"A risk limit stopped it {_count(len(result.risk_trips), 'time')}, first {reason} on {_day(time)}: what "
            "follows such a stop was not traded.",
        )


def _legging(result: RunResult) -> Iterator[Caution]:
    parts = profit_parts(result.trades)
    if result.trades and parts.legging < 0 and parts.price > 0 and -parts.legging >= LARGE_SHARE * parts.price:
        yield Caution(
            "legging",
            f"Between the fills of the two legs the market took {-parts.legging:,.2f}, beside {parts.price:,.2f} that "
            "prices gave.",
        )


_QUESTIONS: dict[str, Callable[[RunResult], Iterator[Caution]]] = {
    "is the market a real one": _made_up,
    "is there a closed trade": _no_trade,
    "were pairs chosen on the same data": _in_formation,
    "is it known on which data they were chosen": _unknown_formation,
    "are there few trades": _few_trades,
    "is the run short": _short,
    "do costs eat what prices gave": _costs,
    "does one trade make the profit": _one_trade,
    "is the profit still open": _open_profit,
    "was it long below its peak": _long_fall,
    "did legging take much": _legging,
    "is funding assumed": _assumed_funding,
    "did a risk limit stop it": _tripped,
}


def _costs_of(parts: ProfitParts) -> Decimal:
    """Positive when they cost; funding that was received lowers them."""
    return -(parts.fees + parts.funding + parts.slippage)


def _length(result: RunResult) -> float:
    if len(result.equity) < 2:
        return 0.0
    return (result.equity[-1][0] - result.equity[0][0]).total_seconds()


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _day(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d}"
