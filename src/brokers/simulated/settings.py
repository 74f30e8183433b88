"""The account's own settings: position mode, and leverage and margin mode by symbol. With Binance's refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ccxt_bt_bridge.words import AccountSettings, SymbolSettings

POSITION_MODES = ("one_way", "hedge")
MARGIN_MODES = ("cross", "isolated")
MOST_LEVERAGE = 125


@dataclass(frozen=True, slots=True)
class Refused:
    """The exchange changed nothing."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ties:
    """What stands in the way of a change."""

    has_position: bool
    has_orders: bool


class SettingsBook:
    """What was never changed is as at the account's opening. ``save`` keeps a change, by name."""

    def __init__(
        self,
        symbols: Iterable[str],
        opening: AccountSettings,
        *,
        leverage: Decimal,
        remembered: Mapping[str, str],
        save: Callable[[str, str], None],
    ) -> None:
        self._symbols, self._leverage, self._save = tuple(symbols), leverage, save
        given = {"position_mode": opening.position_mode}
        for one in opening.symbols:
            given |= {f"margin_mode {one.symbol}": one.margin_mode, f"leverage {one.symbol}": str(one.leverage)}
        self._values = given | dict(remembered)

    @property
    def position_mode(self) -> str:
        return self._values["position_mode"]

    def margin_mode(self, symbol: str) -> str:
        return self._values.get(f"margin_mode {symbol}", "cross")

    def leverage(self, symbol: str) -> Decimal:
        return Decimal(self._values.get(f"leverage {symbol}", self._leverage))

    def report(self, symbols: Sequence[str]) -> AccountSettings:
        each = (SymbolSettings(symbol, self.margin_mode(symbol), self.leverage(symbol)) for symbol in symbols)
        return AccountSettings(self.position_mode, tuple(each))

    def set_position_mode(self, mode: str, ties: Ties) -> Refused | None:
        if mode not in POSITION_MODES:
            return Refused("-1102", f"position mode {mode!r} is unknown; known: {', '.join(POSITION_MODES)}")
        if mode == self.position_mode:
            return Refused("-4059", "No need to change position side.")
        if ties.has_orders:
            return Refused("-4067", "Position side cannot be changed if there exists open orders.")
        if ties.has_position:
            return Refused("-4068", "Position side cannot be changed if there exists position.")
        return self._set("position_mode", mode)

    def set_margin_mode(self, symbol: str, mode: str, ties: Ties) -> Refused | None:
        if symbol not in self._symbols:
            return Refused("-1121", f"Invalid symbol {symbol}.")
        if mode not in MARGIN_MODES:
            return Refused("-4047", f"margin mode {mode!r} is unknown; known: {', '.join(MARGIN_MODES)}")
        if mode == self.margin_mode(symbol):
            return Refused("-4046", "No need to change margin type.")
        if ties.has_orders:
            return Refused("-4047", "Margin type cannot be changed if there exists open orders.")
        if ties.has_position:
            return Refused("-4048", "Margin type cannot be changed if there exists position.")
        return self._set(f"margin_mode {symbol}", mode)

    def set_leverage(self, symbol: str, leverage: Decimal | int | str, ties: Ties) -> Refused | None:
        if symbol not in self._symbols:
            return Refused("-1121", f"Invalid symbol {symbol}.")
        wanted = _whole(leverage)
        if wanted is None or not 1 <= wanted <= MOST_LEVERAGE:
            return Refused("-4028", f"Leverage {leverage} is not valid; expected a whole number from 1 to 125.")
        if ties.has_position and self.margin_mode(symbol) == "isolated" and wanted < self.leverage(symbol):
            return Refused("-4161", "Leverage reduction is not supported in Isolated Margin Mode with open positions.")
        return self._set(f"leverage {symbol}", str(wanted))

    def _set(self, name: str, value: str) -> Refused | None:
        self._values[name] = value
        self._save(name, value)
        return None


def _whole(value: Decimal | int | str) -> int | None:
    try:
        number = Decimal(value)
        return int(number) if number == number.to_integral_value() else None
    except (InvalidOperation, ValueError, OverflowError):
        return None
