"""What a live run has counted so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Progress:
    """What a run counts. ``run`` is its number in the journal; ``bars`` are time steps, warm-up included;
    ``last_bars`` holds the close of each symbol's newest bar.
    """

    run: int = 0
    bars: int = 0
    bars_in_position: int = 0
    signals: int = 0
    time: datetime | None = None
    prices: dict[str, float] = field(default_factory=dict)
    last_bars: dict[str, datetime] = field(default_factory=dict)
    is_market_up: bool = True
    equity: list[tuple[datetime, float]] = field(default_factory=list)
