"""What an account says of its margin."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ccxt_bt_bridge.account_rows import usdm_account
from ccxt_bt_bridge.words import Margin

D = Decimal
ASSET = {"asset": "USDT", "walletBalance": "1000", "availableBalance": "900"}
OWN = {"marginBalance": "980.5", "maintMargin": "4"}
TOTALS = {"totalMarginBalance": "5980.5", "totalMaintMargin": "12"}


@pytest.mark.parametrize(
    ("account", "quote", "margin"),
    [
        ({"assets": [ASSET | OWN], **TOTALS}, "USDT", Margin(D("5980.5"), D(12))),
        ({"assets": [ASSET | OWN | {"asset": "USDC"}], **TOTALS}, "USDC", Margin(D("980.5"), D(4))),
        ({"assets": [ASSET]}, "USDT", None),
        ({"assets": [ASSET], **TOTALS, "totalMaintMargin": "NaN"}, "USDT", None),
    ],
    ids=["all assets stand for USDT", "another quote for itself", "not said", "no number"],
)
def test_margin_is_read_where_it_is_said(account: dict[str, Any], quote: str, margin: Margin | None) -> None:
    read = usdm_account(account, [], quote=quote, names={}, time_ms=1)
    assert (read.wallet, read.free, read.margin) == (D(1000), D(900), margin)
