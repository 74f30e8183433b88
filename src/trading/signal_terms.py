"""What a signal generator needs to know of a config."""

from __future__ import annotations

from dataclasses import dataclass, field

from pairs.spread_tracker import SpreadWindow
from trading.config.model import Config

WINDOW_BARS = 100


@dataclass(frozen=True, slots=True)
class SignalTerms:
    """Levels of ``|z|``; the same signal within ``suppress_s`` is told once. ``interval``: of the bars that z is
    measured by. ``market``, ``url`` and ``ca_file``: the exchange whose public prices are taken.
    """

    entry_z: float = 2.0
    exit_z: float = 0.5
    stop_z: float = 4.0
    window: SpreadWindow = field(default_factory=lambda: SpreadWindow(WINDOW_BARS))
    suppress_s: float = 30.0
    position_size: float = 0.1
    max_jump_pct: float = 5.0
    uses_kalman: bool = False
    interval: str = "1h"
    market: str = "usdm"
    url: str | None = None
    ca_file: str | None = None

    @classmethod
    def of(cls, config: Config | SignalTerms | None) -> SignalTerms:
        """The section ``signal`` of a config, with the defaults above where it is silent."""
        if not isinstance(config, Config):
            return config or cls()
        signal, default = config.signal, cls()
        return cls(
            entry_z=signal.entry_threshold or default.entry_z,
            exit_z=default.exit_z if signal.exit_threshold is None else signal.exit_threshold,
            stop_z=signal.stop_loss_threshold or default.stop_z,
            window=SpreadWindow(signal.lookback_bars or WINDOW_BARS),
            suppress_s=signal.duplicate_suppression_seconds,
            position_size=config.position_size,
            max_jump_pct=config.trading.max_price_jump_pct,
            uses_kalman=bool(signal.use_kalman_filter),
            interval=config.data.interval,
            market=config.market,
            url=config.broker.exchange_url,
            ca_file=config.broker.ca_file,
        )
