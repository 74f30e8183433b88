"""The example beside every formula is true."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    *("all_pairs", "cointegration", "false_discovery", "half_life", "hedge", "johansen", "mackinnon"),
    *("mean_reversion", "metrics", "null_model", "sizing", "spread", "unit_root", "windows"),
)


@pytest.mark.parametrize("name", MODULES)
def test_every_example_in_the_docstrings_is_true(name):
    outcome = doctest.testmod(importlib.import_module(f"pairs.{name}"))

    assert outcome.attempted > 0 and outcome.failed == 0
