"""What a bot's two files say once it has gone: its journal, and the simulated exchange's own."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from tests.reliability.places import Violation

D = Decimal


def rows(path: Path, query: str) -> list[tuple]:
    """Read by a connection of its own, which changes nothing."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def net(journal: Path) -> dict[str, Decimal]:
    """Signed quantity by symbol, as the journal's fills add up."""
    held: Counter[str] = Counter()
    for symbol, side, amount in rows(journal, "SELECT symbol, side, amount FROM fills"):
        held[symbol] += D(amount) * (1 if side == "buy" else -1)
    return {symbol: amount for symbol, amount in held.items() if amount}


def differences(journal: Path, exchange: Path) -> list[Violation]:
    """Everything in which the two disagree; nothing after a bot that is at rest."""
    return [*_duplicates(journal, exchange), *_fills(journal, exchange), *_positions(journal, exchange)]


def _duplicates(journal: Path, exchange: Path) -> list[Violation]:
    placed = Counter(one for (one,) in rows(exchange, "SELECT client_order_id FROM orders"))
    intents = dict(rows(journal, "SELECT client_order_id, state FROM intents"))
    twice = [Violation("I1", f"{one} was placed {times} times") for one, times in placed.items() if times > 1]
    unknown = [Violation("I1", f"{one} is an order without an intent") for one in placed.keys() - intents.keys()]
    ends = [(one, state) for one, state in intents.items() if state not in ("DONE", "NOT_PLACED")]
    return [*twice, *unknown, *(Violation("I11", f"{one} is still {state}") for one, state in ends)]


def _fills(journal: Path, exchange: Path) -> list[Violation]:
    query = "SELECT trade_id, symbol, amount, price, fee FROM fills"
    booked, traded = (
        Counter((int(number), symbol, *map(D, money)) for number, symbol, *money in rows(path, query))
        for path in (journal, exchange)
    )
    return [Violation("I2", f"booked {booked - traded}, traded {traded - booked}")] if booked != traded else []


def _positions(journal: Path, exchange: Path) -> list[Violation]:
    held = {symbol: D(amount) for symbol, amount in rows(exchange, "SELECT symbol, amount FROM positions")}
    ours = net(journal)
    return [Violation("I3", f"the journal holds {ours}, the exchange {held}")] if ours != held else []
