"""All bots as Prometheus metrics: read from their journals when asked, so that nothing is counted in the bots."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from management.bots.finding import find_bots
from management.bots.reading import DAMAGED, Unreadable
from management.bots.watching import BotWatch
from management.metrics.families import Families
from management.metrics.order_figures import OrderFigures

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics(Collector):
    """One text for every bot of a state folder. Any thread may ask; histograms are read on, not anew."""

    def __init__(self, watch: BotWatch) -> None:
        self._watch = watch
        self._figures: dict[str, OrderFigures] = {}
        self._turn = threading.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        with self._turn:
            families = Families()
            for key, files in find_bots(self._watch.state).items():
                try:
                    with self._watch.looking(files) as (reader, view):
                        figures = self._figures.setdefault(key, OrderFigures())
                        figures.read_on(reader)
                        families.add_bot(view, reader, figures)
                except (Unreadable, *DAMAGED):
                    families.add_unreadable(key)
        yield from families.all()

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the journals are read when metrics are asked for."""
        return []
