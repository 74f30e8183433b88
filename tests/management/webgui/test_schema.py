"""Requests drawn from the panel's own OpenAPI: whatever is sent, no defect, and nothing that is not documented."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own dependencies, while it is loaded
    import schemathesis

from hypothesis import HealthCheck, Phase, given, settings

from management.bots.watching import BotWatch
from management.masking import Masking
from management.webgui.access import Access
from management.webgui.app import create_app
from tests.management.sample_bots import write_bot
from tests.management.webgui.panels import TOKEN, Panel, serving

EXAMPLES = 25


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    state = tmp_path_factory.mktemp("state")
    write_bot(state)
    seconds = count(0, 10)  # so slow a client is never wrong too often
    with serving(state, clock=lambda: float(next(seconds))) as served:
        yield served


def document() -> dict:
    app = create_app(BotWatch(Path("nowhere"), Masking(())), Access(TOKEN, lambda: 0.0))
    return app.openapi()


SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = [operation.ok() for operation in SCHEMA.get_all_operations()]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_whatever_is_sent_is_answered_as_documented(panel: Panel, operation) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case) -> None:
        answer = case.call(base_url=panel.url, headers={"Authorization": f"Bearer {TOKEN}"}, allow_redirects=False)
        assert answer.status_code < 500
        documented = {int(code) for code in operation.definition.raw["responses"]} | {400, 404}
        assert answer.status_code in documented, answer.status_code
        assert "content-security-policy" in answer.headers

    check()
