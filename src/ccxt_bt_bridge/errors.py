"""Errors of the bridge, and what the caller does about each.

BridgeError
├── ExchangeUnreachable   a read failed: keep the last known state, try again, never take it for "nothing"
│   └── MarketClosed      the symbol trades no more (delisted, market over): nothing can be sent, tell the person
├── MarketUnknown         a symbol or interval the exchange does not have: stop and tell the person
├── LoopDeadlock          virtual time has nothing left to wait for: a defect, stop
└── BridgeClosed          used after stop
"""

from __future__ import annotations


class BridgeError(Exception):
    """Root of the bridge's errors."""


class ExchangeUnreachable(BridgeError):
    """A read got no trustworthy answer."""


class MarketClosed(ExchangeUnreachable):
    """No trade will follow: the market is over or the symbol is gone."""


class MarketUnknown(BridgeError):
    """The exchange does not list what was asked for."""


class LoopDeadlock(BridgeError):
    """Nothing is ready and no timer is left in virtual time."""


class BridgeClosed(BridgeError):
    """The bridge has been stopped."""
