"""The journal's words: intents, stored positions, runs, client order ids. Frozen values, no I/O."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ccxt_bt_bridge.words import Side
from pairs.words import Direction, LegPosition, PairPosition, PairState, SpreadStatistics
from trading.utc_text import parse_utc, utc_text

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
EPOCH_LENGTH = 6
BOT_LENGTH = 10
ROLES = {"enter": "e", "exit": "x", "unwind": "u"}


class IntentState(StrEnum):
    """INTENT: on disk, perhaps sent. PLACED: the venue has it. UNKNOWN: ask. NOT_PLACED and DONE are terminal."""

    INTENT = "INTENT"
    PLACED = "PLACED"
    UNKNOWN = "UNKNOWN"
    NOT_PLACED = "NOT_PLACED"
    DONE = "DONE"

    @property
    def is_terminal(self) -> bool:
        return self in (IntentState.NOT_PLACED, IntentState.DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One order that is about to be sent, at most once. ``amount`` and ``filled`` are positive base units.

    ``action``: enter, exit or unwind; ``leg``: index in the pair's legs; ``reference_price``: the price it was
    decided on. Raises ``ValueError`` for an amount that is not positive and finite or an action of another name.
    """

    client_order_id: str
    pair_id: str
    ref: str
    action: str
    leg: int
    symbol: str
    side: Side
    amount: Decimal
    reduce_only: bool = False
    state: IntentState = IntentState.INTENT
    filled: Decimal = Decimal(0)
    average: Decimal | None = None
    created_ms: int
    reference_price: float

    def __post_init__(self) -> None:
        if self.action not in ROLES:
            raise ValueError(f"intent {self.client_order_id}: action {self.action!r}, wanted one of {', '.join(ROLES)}")
        if not (self.amount.is_finite() and self.amount > 0):
            raise ValueError(f"intent {self.client_order_id}: amount {self.amount}, wanted a positive finite number")


@dataclass(frozen=True, slots=True)
class StoredPosition:
    pair_id: str
    state: PairState
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the bot; ``ended`` is None while it goes on, or after it was killed.

    ``opening_equity`` and ``terms`` (the config's sections that decide how it trades) are None in runs of before they
    were kept.
    """

    number: int
    started: datetime
    ended: datetime | None
    config_sha256: str
    code_version: str
    bars: int
    signals: int
    opening_equity: Decimal | None = None
    terms: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class WireOutcome:
    """One step of an order on the wire: the intent's new state, and what the exchange or the lack of it said."""

    client_order_id: str
    state: IntentState
    text: str
    time_ms: int


def fresh_epoch() -> str:
    """A random nonce for a process's writing, so that a deleted or restored file never uses a client id again."""
    return "".join(secrets.choice(DIGITS) for _ in range(EPOCH_LENGTH))


def client_order_id(bot_id: str, epoch: str, sequence: int, leg: int, role: str) -> str:
    """The id of the order of ``sequence``: ``[A-Za-z0-9_-]{1,36}``, unique as long as (epoch, sequence) is.

    >>> client_order_id("0001", "k3x9ab", 37, 1, "enter")
    '0001-k3x9ab-11-1e'
    """
    if not re.fullmatch(f"[0-9a-z]{{{EPOCH_LENGTH}}}", epoch):
        raise ValueError(f"epoch {epoch!r}: wanted {EPOCH_LENGTH} characters of 0-9a-z")
    return f"{client_id_prefix(bot_id)}{epoch}-{_base36(sequence)}-{_base36(leg)}{ROLES[role]}"


def client_id_prefix(bot_id: str) -> str:
    """What every client order id of a bot begins with."""
    return f"{_short_bot(bot_id)}-"


def position_payload(position: PairPosition, targets: Mapping[str, Decimal]) -> dict[str, Any]:
    """Everything that restores a position, as JSON values; ``targets``: wanted signed quantity by symbol."""
    return {
        "direction": position.direction.word,
        "entry_time": utc_text(position.entry_time),
        "entry_z": position.entry_z,
        "half_life_bars": position.half_life_bars,
        "gross_notional": position.gross_notional,
        "statistics": None if position.statistics is None else asdict(position.statistics),
        "legs": [
            {"symbol": leg.symbol, "quantity": str(leg.quantity), "entry_price": str(leg.entry_price)}
            for leg in position.legs
        ],
        "targets": {symbol: str(quantity) for symbol, quantity in targets.items()},
    }


def restored_position(stored: StoredPosition) -> PairPosition:
    """The position that ``position_payload`` described, in the state it was stored with."""
    payload = stored.payload
    statistics = payload["statistics"]
    return PairPosition(
        pair_id=stored.pair_id,
        state=stored.state,
        direction=Direction[payload["direction"].upper()],
        legs=tuple(
            LegPosition(leg["symbol"], Decimal(leg["quantity"]), Decimal(leg["entry_price"])) for leg in payload["legs"]
        ),
        entry_time=parse_utc(payload["entry_time"]),
        entry_z=payload["entry_z"],
        statistics=None if statistics is None else SpreadStatistics(**statistics),
        half_life_bars=payload["half_life_bars"],
        gross_notional=payload["gross_notional"],
    )


def restored_targets(stored: StoredPosition) -> dict[str, Decimal]:
    """The wanted signed quantity by symbol."""
    return {symbol: Decimal(quantity) for symbol, quantity in stored.payload["targets"].items()}


def account_fingerprint(account: str) -> str:
    """What the journal keeps of an account's identity: enough to tell two apart, nothing to log in with."""
    return hashlib.sha256(account.encode()).hexdigest()[:16]


def _short_bot(bot_id: str) -> str:
    clean = re.sub(r"[^A-Za-z0-9_]", "", bot_id)
    return clean[:BOT_LENGTH] or "bot"


def _base36(number: int) -> str:
    if number < 0:
        raise ValueError(f"a number from 0 on was wanted, found {number}")
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
        if not number:
            return text
