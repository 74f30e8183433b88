"""A notice as JSON text, and back."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from notifications.words import Kind, Notice, Picture, SpreadChart


def notice_text(notice: Notice) -> str:
    chart = notice.chart
    return json.dumps(
        {
            "key": notice.key,
            "kind": notice.kind.value,
            "time": notice.time.isoformat(),
            "title": notice.title,
            "rows": notice.rows,
            "body": notice.body,
            "pair_id": notice.pair_id,
            "is_critical": notice.is_critical,
            "fold": notice.fold,
            "chart": None if chart is None else _chart_row(chart),
            "pictures": [[picture.name, base64.b64encode(picture.data).decode()] for picture in notice.pictures],
        }
    )


def notice_of(text: str) -> Notice:
    """Raises ValueError, KeyError, TypeError or AttributeError for a text that ``notice_text`` has not written."""
    row = json.loads(text)
    return Notice(
        key=_text(row["key"]),
        kind=Kind(row["kind"]),
        time=datetime.fromisoformat(row["time"]),
        title=_text(row["title"]),
        rows=tuple((_text(label), _text(value)) for label, value in row["rows"]),
        body=_text(row["body"]),
        pair_id=None if row["pair_id"] is None else _text(row["pair_id"]),
        is_critical=bool(row["is_critical"]),
        fold=_text(row["fold"]),
        chart=None if row["chart"] is None else _chart(row["chart"]),
        pictures=tuple(Picture(name, base64.b64decode(data)) for name, data in row["pictures"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text but {type(value).__name__}")
    return value


def _chart_row(chart: SpreadChart) -> dict[str, Any]:
    return {
        "pair_id": chart.pair_id,
        "times": [time.isoformat() for time in chart.times],
        "zscores": chart.zscores,
        "levels": chart.levels,
        "marks": [[time.isoformat(), z, label] for time, z, label in chart.marks],
    }


def _chart(row: dict[str, Any]) -> SpreadChart:
    return SpreadChart(
        pair_id=row["pair_id"],
        times=tuple(map(datetime.fromisoformat, row["times"])),
        zscores=tuple(row["zscores"]),
        levels=tuple((label, z) for label, z in row["levels"]),
        marks=tuple((datetime.fromisoformat(time), z, label) for time, z, label in row["marks"]),
    )
