"""Endpoints about the API key itself: what it may do, and its listen key."""

from __future__ import annotations

from typing import Any

from brokers.desk.core import Core
from brokers.desk.params import Params
from brokers.desk.routes import Route, Routes
from brokers.desk.user_streams import ListenKeys


class KeyEndpoints:
    def __init__(self, core: Core, listen_keys: ListenKeys) -> None:
        self._core, self._listen_keys = core, listen_keys

    def routes(self, listen_key_path: str, permission: str) -> Routes:
        answers = {"POST": self._open, "PUT": self._renew, "DELETE": self._drop}
        routes = {
            (method, listen_key_path): Route(answer, "listen_key", "key", permission, 1)
            for method, answer in answers.items()
        }
        return routes | {
            ("GET", "/sapi/v1/account/apiRestrictions"): Route(self._restrictions, "permissions", "signed")
        }

    async def _open(self, params: Params) -> dict[str, str]:
        return {"listenKey": self._listen_keys.open(params.key.api_key)}

    async def _renew(self, params: Params) -> dict[str, str]:
        return {"listenKey": self._listen_keys.renew(params.key.api_key)}

    async def _drop(self, params: Params) -> dict[str, str]:
        self._listen_keys.drop_of(params.key.api_key)
        return {}

    async def _restrictions(self, params: Params) -> dict[str, Any]:
        await self._core.exchange.key_permissions()  # for its latency and faults: what a key may do is told here
        key = params.key
        may = {name: name in key.permissions for name in ("read", "futures", "spot", "withdraw", "transfer")}
        return {
            "ipRestrict": bool(key.ips), "createTime": key.created_ms, "enableReading": may["read"],
            "enableWithdrawals": may["withdraw"], "enableInternalTransfer": may["transfer"],
            "permitsUniversalTransfer": may["transfer"], "enableFutures": may["futures"],
            "enableSpotAndMarginTrading": may["spot"], "enableMargin": False, "enableVanillaOptions": False,
            "enablePortfolioMarginTrading": False, "enableFixApiTrade": False, "enableFixReadOnly": False,
        }  # fmt: skip
