"""From a config to the venue it trades on: what can be known before anything is opened, and how it is opened."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brokers.broker_factory import check_broker
from brokers.simulated.store import StoreError
from ccxt_bt_bridge.loop import LoopThread
from ccxt_bt_bridge.words import BINANCE_IDS
from trading.config.credentials import ApiKey, api_key
from trading.config.model import Config, LoadedConfig
from trading.journal.errors import JournalElsewhere, JournalRefused
from trading.journal.file import Meta, Owner, require_owner
from trading.journal.reads import JournalReader
from trading.journal.words import account_fingerprint
from trading.journal.writer import Journal
from trading.market_input import DataChoice, MarketInput, market_input, require_pairs
from trading.venues.venue import NETWORKS, Venue, network_of


@dataclass(frozen=True, slots=True)
class VenuePlan:
    """``speed`` of the loop, ``account``: whose journal it is, ``open(loop)``: to be awaited on the loop.

    ``exchange_file``: where a simulated exchange keeps its state, None for a real one. ``login``: what a real one knows
    the account by, in which no secret is.
    """

    speed: str | float
    account: str
    open: Callable[[LoopThread], Coroutine[Any, Any, Venue]]
    exchange_file: Path | None = None
    login: str = field(default="", repr=False)


def venue_plan(config: LoadedConfig, choice: DataChoice, environ: Mapping[str, str]) -> VenuePlan:
    """Raises BrokerUnavailable, InputError or CredentialsError; nothing has been opened then."""
    broker = config.model.broker
    check_broker(broker.type)
    if broker.type == "mock":
        return _mock_plan(config, market_input(config, choice))
    require_pairs(config)
    if broker.type == "binance_paper":
        return _paper_plan(config)
    return _wire_plan(config, api_key(config.model, environ))


def state_paths(config: LoadedConfig) -> tuple[Path, Path]:
    """Journal and exchange file: one of each per bot and mode."""
    folder = Path(config.model.state.dir)
    stem = f"{config.bot_id}_{config.model.broker.type}"
    return folder / f"{stem}.journal.sqlite", folder / f"{stem}.exchange.sqlite"


def open_journal(config: LoadedConfig, plan: VenuePlan) -> Journal:
    """Raises JournalBusy, JournalRefused or StoreError; nothing is left open then."""
    path, _ = state_paths(config)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise JournalRefused(f"state.dir: {path.parent} is, or lies in, a file; a folder was wanted") from None
    mode = config.model.broker.type
    with _own_words(path, plan.account):
        journal = Journal.open(path, bot_id=config.bot_id, mode=mode, account=plan.account, login=plan.login)
    # A new exchange would give the ids of the old one again, and the journal would take new fills for known ones.
    if plan.exchange_file is not None and journal.runs() and not plan.exchange_file.exists():
        journal.close()
        raise StoreError(
            f"{plan.exchange_file} is gone, but the journal knows trades on it: bring it back, or move the journal "
            "away too"
        )
    return journal


def read_journal(config: LoadedConfig) -> JournalReader | None:
    """The bot's journal for an onlooker; None where there is none. Raises JournalRefused for one that it would not
    start with."""
    path, _ = state_paths(config)
    if not path.exists():
        return None
    reader = JournalReader.open(path)
    try:
        require_own(config, path, reader.meta)
    except JournalRefused:
        reader.close()
        raise
    return reader


def never_ran(config: LoadedConfig) -> str:
    """The sentence for a bot that has neither journal nor lock."""
    path, _ = state_paths(config)
    return (
        f"{config.bot_id} has never run here: there is no {path}. Is this its folder and its config? "
        "A bot that still runs after its files were deleted is stopped by its signal: kill -USR1 PID"
    )


def require_own(config: LoadedConfig, path: Path, journal: Meta) -> None:
    """Raises JournalRefused for a journal that ``open_journal`` would refuse as another's."""
    account = account_of(config.model)
    with _own_words(path, account):
        require_owner(path, journal, Owner(config.bot_id, config.model.broker.type, account_fingerprint(account)))


def account_of(model: Config) -> str:
    """Whose journal it is. Not the key: keys are renewed. Another account's positions are found when both ledgers are
    compared."""
    names = {"mock": "simulated", "binance_paper": "paper"}
    return names.get(model.broker.type) or f"{model.broker.type} {model.market} {network_of(model)}"


@contextmanager
def _own_words(path: Path, account: str) -> Iterator[None]:
    """An account of Binance's is told by its name."""
    try:
        yield
    except JournalElsewhere as error:
        places = [f"binance {market} {network}" for market in BINANCE_IDS for network in NETWORKS]
        found = next((place for place in places if account_fingerprint(place) == error.account), None)
        if found is None:
            raise
        raise JournalRefused(
            f"{path} was written at {found}, this run is at {account}: set the config's market, testnet and "
            "exchange_url back, or move the journal away to begin anew"
        ) from None


def _mock_plan(config: LoadedConfig, bars: MarketInput) -> VenuePlan:
    from trading.venues.mock_venue import MockVenue

    model, (_, file) = config.model, state_paths(config)

    async def opened(loop: LoopThread) -> Venue:
        return MockVenue(model, bars, file, loop, config.pairs)

    speed = "max" if math.isinf(model.mock.speed) else model.mock.speed
    return VenuePlan(speed, account_of(model), opened, file)


def _paper_plan(config: LoadedConfig) -> VenuePlan:
    from trading.venues.paper_venue import PaperVenue

    _, file = state_paths(config)

    async def opened(loop: LoopThread) -> Venue:
        return await PaperVenue.open(config, file)

    return VenuePlan(1.0, account_of(config.model), opened, file)


def _wire_plan(config: LoadedConfig, key: ApiKey) -> VenuePlan:
    from trading.venues.wire_venue import WireVenue

    async def opened(loop: LoopThread) -> Venue:
        return await WireVenue.open(config, key)

    account = account_of(config.model)
    return VenuePlan(1.0, account, opened, login=f"{account} {config.model.broker.exchange_url or ''} {key.key}")
