"""Errors of the bridge, and what the caller does about each.

BridgeError
├── ExchangeUnreachable   a read failed: keep the last known state, try again, never take it for "nothing"
│   ├── MarketHalted      the symbol does not trade at the moment: wait until it does
│   ├── MarketClosed      the symbol trades no more (delisted, market over): nothing can be sent, tell the person
│   ├── RateBanned        the exchange wants silence until ``until_ms``: send nothing before
│   └── KeyRefused        the key is wrong, revoked or lacks a permission: open nothing more, tell the person
├── MarketUnknown         a symbol or interval the exchange does not have: stop and tell the person
├── AccountRefused        the key or the account is not as the config says, or may do too much: stop, tell the person
├── NotSupported          the exchange lacks something that was asked for: stop and tell the person
├── LoopDeadlock          virtual time has nothing left to wait for: a defect, stop
└── BridgeClosed          used after stop
"""

from __future__ import annotations


class BridgeError(Exception):
    """Root of the bridge's errors."""


class ExchangeUnreachable(BridgeError):
    """A read got no trustworthy answer."""


class MarketHalted(ExchangeUnreachable):
    """No trade can be had now; the symbol will trade again."""


class MarketClosed(ExchangeUnreachable):
    """No trade will follow: the market is over or the symbol is gone."""


class RateBanned(ExchangeUnreachable):
    """Too many requests: the exchange answers nobody from here until ``until_ms``."""

    def __init__(self, message: str, until_ms: int) -> None:
        super().__init__(message)
        self.until_ms = until_ms


class KeyRefused(ExchangeUnreachable):
    """The exchange does not accept the API key for this request."""


class AccountRefused(BridgeError):
    """The account is not what was asked for; nothing was changed at the exchange."""


class NotSupported(BridgeError):
    """The exchange cannot do this."""


class MarketUnknown(BridgeError):
    """The exchange does not list what was asked for."""


class LoopDeadlock(BridgeError):
    """Nothing is ready and no timer is left in virtual time."""


class BridgeClosed(BridgeError):
    """The bridge has been stopped."""
