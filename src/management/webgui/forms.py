"""Forms as browsers send them: read here, and described for the list of addresses."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from fastapi import HTTPException

MOST_FIELDS = 10


def form_fields(body: bytes) -> dict[str, str]:
    """The fields of a form, each once. Raises 400 for a body that is none."""
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HTTPException(400, "a form was wanted") from None
    return {name: values[-1] for name, values in fields.items()}


def form_of(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of a form with these fields."""
    schema = {"type": "object", "required": required, "properties": properties}
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}
