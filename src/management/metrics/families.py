"""The metrics by name: what each means, and where in a bot's view it stands.

Names are Prometheus' (base units, ``_total`` for what only grows, ratios from 0 to 1); ``execution_success_rate`` (per
cent) and ``position_pnl`` have the names that older dashboards ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from management.bots.reading import BotReader
from management.bots.views import BotView
from management.metrics.order_figures import OrderFigures
from pairs.words import PairState
from trading.risk_guard import Breaker

BOT = ("bot", "mode")
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "execution_success_rate": ("Pair orders that were not refused, per cent", BOT),
    "position_pnl": ("Unrealised profit of all open pairs, quote currency", BOT),
    "tandem_build_info": ("1; the program that the newest run was started with", (*BOT, "version")),
    "tandem_up": ("1 while the bot's process runs", BOT),
    "tandem_journal_readable": ("1 when the bot's journal can be read", ("bot_key",)),
    "tandem_equity_quote": ("Equity at the last bar, quote currency", BOT),
    "tandem_realized_pnl_quote": ("Profit of the run's closed trades, quote currency", BOT),
    "tandem_drawdown_ratio": ("Below the highest equity ever marked", BOT),
    "tandem_daily_loss_ratio": ("Lost since the start of the UTC day", BOT),
    "tandem_open_pairs": ("Pairs that are not flat", BOT),
    "tandem_pair_state": ("1 for the state a pair is in", (*BOT, "pair", "state")),
    "tandem_pair_zscore": ("z of the pair's spread at the last bar", (*BOT, "pair")),
    "tandem_pair_pnl_quote": ("Unrealised profit of an open pair, quote currency", (*BOT, "pair")),
    "tandem_breaker_state": ("1 for the state the breaker is in", (*BOT, "state")),
    "tandem_limit_used": ("What is used of a risk limit, in its own unit", (*BOT, "limit")),
    "tandem_limit_bound": ("A risk limit, in its own unit", (*BOT, "limit")),
    "tandem_limit_used_ratio": ("What is used of a risk limit; 1 is reached", (*BOT, "limit")),
    "tandem_feed_age_seconds": ("Since the close of the symbol's last bar", (*BOT, "symbol")),
    "tandem_feed_live": ("1 when the symbol's bars come in time", (*BOT, "symbol")),
    "tandem_last_bar_age_seconds": ("Since the close of the last bar", BOT),
    "tandem_longest_unhedged_seconds": ("The longest time that a leg was without its hedge", BOT),
    "tandem_commands_waiting": ("Commands that the bot has not taken yet", BOT),
    "tandem_notices_unsent": ("Notices that a channel has still to send", (*BOT, "channel")),
}
COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "tandem_bars": ("Time steps of the newest run", BOT),
    "tandem_signals": ("Pair orders that the strategy gave", BOT),
    "tandem_refusals": ("Entries that were refused", BOT),
    "tandem_trades": ("Closed trades", BOT),
    "tandem_orders": ("Orders that came to their end", (*BOT, "result")),
}
HISTOGRAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "tandem_order_latency_seconds": ("From an order's intent to its last fill", BOT),
    "tandem_slippage_ratio": ("What an average cost against the price decided on, 0 when it was better", BOT),
}


class Families:
    """One scrape: every family once, filled bot by bot. What is unknown is left out, never told as 0."""

    def __init__(self) -> None:
        self._gauges = {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in GAUGES.items()}
        self._counters = {
            name: CounterMetricFamily(name, text, labels=labels) for name, (text, labels) in COUNTERS.items()
        }
        self._histograms = {
            name: HistogramMetricFamily(name, text, labels=labels) for name, (text, labels) in HISTOGRAMS.items()
        }

    def all(self) -> Iterator[Metric]:
        yield from (*self._gauges.values(), *self._counters.values(), *self._histograms.values())

    def add_unreadable(self, key: str) -> None:
        self._gauges["tandem_journal_readable"].add_metric([key], 0.0)

    def add_bot(self, view: BotView, reader: BotReader, figures: OrderFigures) -> None:
        bot = (view.bot_id, view.mode)
        self._set("tandem_build_info", (*bot, str(view.run.get("code_version", "unknown"))), 1.0)
        for name, known in PLAIN.items():
            self._set(name, bot, known(view))
        self._add_pairs(view, bot)
        self._add_limits(view, bot)
        for breaker in Breaker:
            self._set("tandem_breaker_state", (*bot, breaker.value), view.breaker["state"] == breaker.value)
        for feed in view.feeds:
            self._set("tandem_feed_age_seconds", (*bot, feed["symbol"]), feed["age_s"])
            self._set("tandem_feed_live", (*bot, feed["symbol"]), feed["state"] == "live")
        for channel, number in reader.notices_waiting().items():
            self._set("tandem_notices_unsent", (*bot, channel), number)
        self._add_counts(view, reader, figures, bot)
        self._gauges["tandem_journal_readable"].add_metric([view.key], 1.0)

    def _add_pairs(self, view: BotView, bot: tuple[str, str]) -> None:
        for pair in view.pairs:
            self._set("tandem_pair_zscore", (*bot, pair.pair_id), pair.zscore)
            self._set("tandem_pair_pnl_quote", (*bot, pair.pair_id), pair.unrealised)
            for state in PairState:
                self._set("tandem_pair_state", (*bot, pair.pair_id, state.value), pair.state == state.value)

    def _add_limits(self, view: BotView, bot: tuple[str, str]) -> None:
        for limit in view.limits:
            self._set("tandem_limit_used", (*bot, limit.name), limit.used)
            self._set("tandem_limit_bound", (*bot, limit.name), limit.limit)
            self._set("tandem_limit_used_ratio", (*bot, limit.name), limit.used_share)

    def _add_counts(self, view: BotView, reader: BotReader, figures: OrderFigures, bot: tuple[str, str]) -> None:
        for name in ("bars", "signals"):
            self._counters[f"tandem_{name}"].add_metric(bot, view.run.get(name, 0))
        for name in ("refusals", "trades"):
            self._counters[f"tandem_{name}"].add_metric(bot, reader.count(name))
        self._counters["tandem_orders"].add_metric((*bot, "filled"), figures.filled)
        self._counters["tandem_orders"].add_metric((*bot, "unfilled"), figures.unfilled)
        for name, histogram in (
            ("tandem_order_latency_seconds", figures.latency),
            ("tandem_slippage_ratio", figures.slippage),
        ):
            self._histograms[name].add_metric(bot, histogram.cumulative(), histogram.total)

    def _set(self, name: str, labels: tuple[str, ...], value: float | None) -> None:
        if value is not None:
            self._gauges[name].add_metric(labels, float(value))


def _of(section: str, name: str, scale: float = 1.0) -> Callable[[BotView], float | None]:
    def known(view: BotView) -> float | None:
        part: Mapping[str, Any] = view.status.get(section, {})
        value = part.get(name)
        return None if value is None else scale * value

    return known


PLAIN: dict[str, Callable[[BotView], float | None]] = {
    "execution_success_rate": _of("engine", "success_rate"),
    "position_pnl": _of("positions", "total_unrealized_pnl"),
    "tandem_up": lambda view: view.is_running,
    "tandem_equity_quote": lambda view: view.equity,
    "tandem_realized_pnl_quote": _of("trades", "pnl"),
    "tandem_drawdown_ratio": _of("risk", "current_drawdown_pct", 0.01),
    "tandem_daily_loss_ratio": _of("risk", "daily_loss_pct", 0.01),
    "tandem_open_pairs": lambda view: len(view.open_pairs),
    "tandem_last_bar_age_seconds": lambda view: view.last_bar_age_s,
    "tandem_longest_unhedged_seconds": lambda view: view.status.get("longest_unhedged_s"),
    "tandem_commands_waiting": lambda view: view.commands_waiting,
}
