"""An API key of the exchange on the desk."""

from __future__ import annotations

from dataclasses import dataclass, field

PERMISSIONS = ("read", "futures", "spot", "withdraw", "transfer")


@dataclass(frozen=True, slots=True)
class DeskKey:
    """``ips`` empty: from anywhere. ``created_ms`` as the exchange reports it."""

    api_key: str
    secret: str = field(repr=False)
    permissions: frozenset[str] = frozenset(("read", "futures", "spot"))
    ips: tuple[str, ...] = ()
    created_ms: int = 0

    def __post_init__(self) -> None:
        unknown = self.permissions - set(PERMISSIONS)
        if unknown:
            raise ValueError(f"unknown permission {', '.join(sorted(unknown))}; known: {', '.join(PERMISSIONS)}")


# Public and fixed: it guards nothing, and every example can use it.
DEMO_KEY = DeskKey("desk-key", "desk-secret", ips=("127.0.0.1",))
