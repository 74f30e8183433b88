"""Every command there is: what it does, and what it is to the bot."""

from __future__ import annotations

from dataclasses import dataclass

from notifications.bot_desk import Answer, Deed, Topic


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """``argument``: how it is shown, empty for none."""

    name: str
    does: str
    meaning: Topic | Deed | None = None
    argument: str = ""

    @property
    def shown(self) -> str:
        return f"/{self.name} {self.argument}".rstrip()


MENU = (
    MenuEntry("status", "equity, breaker, limits, feeds", Topic.STATUS),
    MenuEntry("pairs", "every pair: state and z", Topic.PAIRS),
    MenuEntry("pair", "one pair: legs, entry, last decision", Topic.PAIR, "ID"),
    MenuEntry("profit", "closed trades: profit and its parts", Topic.PROFIT),
    MenuEntry("balance", "equity, cash, unrealised", Topic.BALANCE),
    MenuEntry("daily", "profit of the last days", Topic.DAILY, "[DAYS]"),
    MenuEntry("trades", "the last trades", Topic.TRADES, "[N]"),
    MenuEntry("why", "each step of a trade and its reason", Topic.WHY, "[ID]"),
    MenuEntry("halt", "open nothing more, at once", Deed.HALT, "[REASON]"),
    MenuEntry("resume", "trade again; asks back", Deed.RESUME, "[REASON]"),
    MenuEntry("close", "close one pair; asks back", Deed.CLOSE, "ID"),
    MenuEntry("flatten", "emergency stop: close everything; asks back", Deed.FLATTEN, "[REASON]"),
    MenuEntry("logs", "the last lines of the log", Topic.LOGS, "[N]"),
    MenuEntry("config", "the config", Topic.CONFIG),
    MenuEntry("version", "versions of bot and config", Topic.VERSION),
    MenuEntry("help", "this list"),
)
BY_NAME = {entry.name: entry for entry in MENU} | {"start": MENU[-1]}

QUESTIONS = {
    Deed.RESUME: "Let the bot trade again?",
    Deed.CLOSE: "Close {pair} at the market, every leg of it?",
    Deed.FLATTEN: "Emergency stop: cancel every order and close every pair at the market?",
}


def help_answer() -> Answer:
    return Answer("Commands", tuple(f"{entry.shown}: {entry.does}" for entry in MENU))
