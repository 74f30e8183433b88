"""The example beside every formula is true."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ("half_life", "hedge", "metrics", "sizing", "spread", "windows")


@pytest.mark.parametrize("name", MODULES)
def test_every_example_in_the_docstrings_is_true(name):
    outcome = doctest.testmod(importlib.import_module(f"pairs.{name}"))

    assert outcome.attempted > 0 and outcome.failed == 0
