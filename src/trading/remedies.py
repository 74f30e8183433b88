"""What a person does about an error: the same words from every command."""

from __future__ import annotations

from brokers.broker_factory import BrokerUnavailable
from ccxt_bt_bridge.errors import (
    AccountRefused,
    BridgeError,
    ExchangeUnreachable,
    KeyRefused,
    MarketClosed,
    MarketUnknown,
    NotSupported,
    RateBanned,
)
from feeds.history import HistoryError
from trading.config.credentials import CredentialsError
from trading.market_input import InputError

# The first that fits.
REMEDIES: tuple[tuple[type[Exception], str], ...] = (
    (KeyRefused, "check that the key is right, enabled, and of this exchange and network"),
    (RateBanned, "leave the exchange alone until then, and find out what asks so much"),
    (MarketClosed, "start it once they trade, or take the pairs with them out of the config"),
    (ExchangeUnreachable, "check the network and the exchange's status page, then run this again"),
    (MarketUnknown, "mend the symbol or the interval in the config"),
    (AccountRefused, "make the account as the config says, or the other way round"),
    (NotSupported, "choose another exchange, or do without that"),
    (BrokerUnavailable, "choose another broker.type for now"),
    (CredentialsError, "mend the keys first"),
    (InputError, "mend the data section of the config"),
    (HistoryError, "mend the files that the config names"),
    (BridgeError, "read the sentence; nothing was changed at the exchange"),
)


def remedy_for(error: Exception) -> str:
    """Empty for an error whose own words say what to do, and for a defect."""
    return next((text for kind, text in REMEDIES if isinstance(error, kind)), "")


def sentence_of(error: Exception) -> str:
    """The error with what to do about it, as a command prints it."""
    remedy = remedy_for(error)
    return f"{error}\nto do: {remedy}" if remedy else str(error)
