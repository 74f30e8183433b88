"""Symbols that do not trade when a bot starts: it is refused, unless it has an open trade to look after."""

from __future__ import annotations

from dataclasses import replace

from ccxt_bt_bridge.market_rules import require_open
from trading.config.model import LoadedConfig
from trading.events import Alarm
from trading.journal.reads import JournalReads
from trading.kept_pairs import open_trades
from trading.live.assembly import LivePath
from trading.venues.venue import Venue


def without_closed(config: LoadedConfig, venue: Venue, journal: JournalReads) -> LoadedConfig:
    """The config with pairs of a closed market kept as they are, without new entries. Raises MarketClosed."""
    if not open_trades(journal):
        require_open(venue.rules.values())
    closed = {pair.pair_id: symbols for pair in config.pairs if (symbols := _closed(pair.symbols, venue))}
    kept = {name: f"{' and '.join(symbols)} did not trade when the bot started" for name, symbols in closed.items()}
    return replace(config, kept={**kept, **config.kept})


async def tell_closed(path: LivePath) -> None:
    """An alarm for every pair that can be neither closed nor entered at the moment."""
    is_open = open_trades(path.floor.journal)
    for pair in path.config.pairs:
        closed = _closed(pair.symbols, path.venue)
        if closed:
            held = pair.pair_id in is_open
            fate = "its open trade cannot be closed there: see to it by hand" if held else "it is not entered"
            message = f"{' and '.join(closed)} does not trade, {pair.pair_id} is close-only until a later start: {fate}"
            path.floor.bus.publish(Alarm(path.market_now(), message, pair.pair_id, critical=held))


def _closed(symbols: tuple[str, ...], venue: Venue) -> list[str]:
    return [symbol for symbol in symbols if not venue.rules[symbol].is_open]
