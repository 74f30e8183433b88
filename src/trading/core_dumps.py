"""No picture of this process' memory on disk when it crashes: keys would be in it."""

from __future__ import annotations

import resource


def forbid_core_dumps() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
