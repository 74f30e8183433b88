"""Whether a key and an account are as the config says. Pure; nothing is ever changed at the exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from ccxt_bt_bridge.words import AccountSettings, KeyPermissions

NAMED = 6  # symbols told by name


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and the remedy. ``refuses``: not to be started with; else a warning."""

    problem: str
    remedy: str
    refuses: bool = True

    def __str__(self) -> str:
        return f"{self.problem}. {self.remedy}."


class Difference(NamedTuple):
    """Symbols that differ in the same way are told together."""

    what: str
    found: str
    wanted: str


def check_key(key: KeyPermissions) -> list[Finding]:
    """A bot's key may trade, and nothing else."""
    checks = (
        (key.may_trade is False, "the API key may not trade", "Switch trading on for it at the exchange", True),
        (key.may_withdraw is True, "the API key may withdraw", "Switch withdrawals off for it at the exchange", True),
        (key.may_transfer is True, "the API key may transfer", "Switch transfers off for it at the exchange", True),
        (
            key.ip_restricted is False,
            "the API key works from any address",
            "Restrict it to this machine's address at the exchange",
            False,
        ),
    )
    return [Finding(problem, remedy, refuses) for found, problem, remedy, refuses in checks if found]


def check_account(
    settings: AccountSettings,
    *,
    margin_mode: str | None = None,
    position_mode: str | None = None,
    leverage: Mapping[str, Decimal] | None = None,
) -> list[Finding]:
    """What differs from what was wanted; None means that any will do. ``leverage`` by symbol."""
    differing: dict[Difference, list[str]] = {}
    if position_mode is not None and settings.position_mode != position_mode:
        differing[Difference("position mode", settings.position_mode, position_mode)] = ["the account"]
    for symbol in settings.symbols:
        if margin_mode is not None and symbol.margin_mode != margin_mode:
            difference = Difference("margin mode", symbol.margin_mode, margin_mode)
            differing.setdefault(difference, []).append(symbol.symbol)
        wanted = (leverage or {}).get(symbol.symbol)
        if wanted is not None and symbol.leverage != wanted:
            difference = Difference("leverage", f"{symbol.leverage}", f"{wanted}")
            differing.setdefault(difference, []).append(symbol.symbol)
    return [_finding(difference, of) for difference, of in differing.items()]


def _finding(difference: Difference, of: Sequence[str]) -> Finding:
    what, found, wanted = difference
    remedy = f"Set it at the exchange, or write {found} into the config; it is never changed for you"
    more = f" and {len(of) - NAMED} more" if len(of) > NAMED else ""
    return Finding(f"{', '.join(of[:NAMED])}{more}: {what} is {found}, the config wants {wanted}", remedy)
