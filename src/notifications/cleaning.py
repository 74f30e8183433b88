"""A notice as it may be told and kept: no secret, and nothing that cannot be written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from notifications.words import Notice, SpreadChart


def sound_text(text: str) -> str:
    """Half a letter (a lone surrogate, as a broken answer of an exchange may hold) becomes "?": no file takes it."""
    return text.encode("utf-8", "replace").decode()


def cleaned(notice: Notice, redact: Callable[[str], str]) -> Notice:
    """``redact``: every text goes through it."""

    def clean(text: str) -> str:
        return sound_text(redact(text))

    return replace(
        notice,
        key=clean(notice.key),
        title=clean(notice.title),
        rows=tuple((clean(label), clean(value)) for label, value in notice.rows),
        body=clean(notice.body),
        fold=clean(notice.fold),
        pair_id=None if notice.pair_id is None else clean(notice.pair_id),
        chart=None if notice.chart is None else _sound_chart(notice.chart),
    )


def _sound_chart(chart: SpreadChart) -> SpreadChart:
    levels = tuple((sound_text(label), z) for label, z in chart.levels)
    marks = tuple((when, z, sound_text(label)) for when, z, label in chart.marks)
    return replace(chart, pair_id=sound_text(chart.pair_id), levels=levels, marks=marks)
