"""The page of limits names all of them, and its example runs."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.conftest import PROJECT
from trading.config.sections import RiskManagement

PAGE = (PROJECT / "docs" / "risk.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(RiskManagement.model_fields))
def test_the_page_names_every_key_of_risk_management(name: str) -> None:
    assert re.search(rf"`(risk_management\.)?{name}`", PAGE)


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    body = "".join(f"    {line}\n" for line in example.splitlines())
    names: dict = {}
    exec(f"async def example():\n{body}", names)
    asyncio.run(names["example"]())
    assert capsys.readouterr().out == "True []\n0.0\n"
