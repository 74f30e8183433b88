"""A bridge between ccxt exchanges and Backtrader that stands alone: it knows nothing of pairs or config files.

``CcxtStore`` is all that a plain Backtrader script needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccxt_bt_bridge.store import CcxtStore

__all__ = ["CcxtStore"]


def __getattr__(name: str) -> Any:
    """``CcxtStore`` loads ccxt, which takes a second: only who asks for it pays."""
    if name == "CcxtStore":
        from ccxt_bt_bridge.store import CcxtStore

        return CcxtStore
    raise AttributeError(f"module 'ccxt_bt_bridge' has no attribute {name!r}")
