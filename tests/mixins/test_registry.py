"""Finding rules by name and by dotted path."""

from __future__ import annotations

import pickle
import sys
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from pathlib import Path

import pytest

from mixins.base import EntryMixin, ExitMixin
from mixins.params import KINDS, bounds, parameters
from mixins.registry import ENTRY_RULES, EXIT_RULES, MARKETS, RuleNotFound, resolve
from pairs.words import Direction
from tests.mixins.harness import bars_from_closes, run

RULES = [(name, rule, "entry") for name, rule in ENTRY_RULES.items()]
RULES += [(name, rule, "exit") for name, rule in EXIT_RULES.items()]
every_rule = pytest.mark.parametrize(("name", "rule", "kind"), RULES, ids=[name for name, *_ in RULES])


def test_exactly_the_eleven_rules_are_registered():
    assert set(ENTRY_RULES) == {
        "ZScoreEntryMixin",
        "RSIBBEntryMixin",
        "RSIBBVolumeEntryMixin",
        "RSIIchimokuEntryMixin",
        "RSIVolumeSupertrendEntryMixin",
    }
    assert set(EXIT_RULES) == {
        "ZScoreExitMixin",
        "RSIBBExitMixin",
        "ATRExitMixin",
        "TrailingStopExitMixin",
        "TimeBasedExitMixin",
        "FixedRatioExitMixin",
    }


@every_rule
def test_a_registered_rule_is_found_by_its_name(name, rule, kind):
    assert resolve(name, kind) is rule
    assert issubclass(rule, EntryMixin if kind == "entry" else ExitMixin)
    assert rule.market in MARKETS


@every_rule
def test_every_parameter_has_help_bounds_and_a_default_inside_them(name, rule, kind):
    for each in parameters(rule.Params):
        assert each.name.startswith("e_" if kind == "entry" else "x_")
        assert each.help
        assert each.kind in KINDS and type(each.default) is each.kind
        assert each.bounds.allow(each.default)
        limits = each.bounds
        assert limits.choices or (limits.maximum is not None and (limits.minimum, limits.above) != (None, None))


@every_rule
def test_params_are_frozen_values_that_survive_a_trip_to_another_process(name, rule, kind):
    params = rule.Params()
    assert is_dataclass(rule.Params)
    with pytest.raises(FrozenInstanceError):
        setattr(params, fields(params)[0].name, 1)
    assert pickle.loads(pickle.dumps((rule, params))) == (rule, params)


def test_the_markets_of_the_rules_are_as_documented():
    markets = {name: rule.market for name, rule, _ in RULES}
    assert {name for name, market in markets.items() if market == "pair"} == {"ZScoreEntryMixin", "ZScoreExitMixin"}
    assert {name for name, market in markets.items() if market == "any"} == {
        "TimeBasedExitMixin",
        "FixedRatioExitMixin",
    }


def test_an_unknown_name_lists_those_that_exist():
    with pytest.raises(RuleNotFound) as caught:
        resolve("RSIBBEntry", "entry")
    assert "no entry rule 'RSIBBEntry'" in str(caught.value)
    assert all(name in str(caught.value) for name in ENTRY_RULES)
    assert not any(name in str(caught.value) for name in EXIT_RULES)


def test_a_rule_of_the_other_kind_is_named_as_such():
    with pytest.raises(RuleNotFound, match="'ZScoreExitMixin' is no entry rule; those that exist: RSIBBEntryMixin"):
        resolve("ZScoreExitMixin", "entry")


def test_the_example_is_found_by_its_dotted_path_and_decides():
    rule = resolve("examples.my_rules:BreakoutEntryMixin", "entry")
    closes = [100.0] * 10 + [103.0, 103.2]
    asked = run(rule, rule.Params(e_channel=5), bars_from_closes(closes))
    assert asked.first_next == rule.warmup_bars(rule.Params(e_channel=5)) == 6
    assert [asked.answers[bar].reason for bar in (0, 9, 10, 11)] == [
        "not_ready",
        "inside_channel",
        "entry",
        "inside_channel",
    ]
    assert asked.answers[10].direction is Direction.LONG
    assert [str(bounds(each)) for each in fields(rule.Params)] == ["at least 2 and at most 10000"]


HEAD = """
from dataclasses import dataclass
from mixins.base import EntryAnswer, EntryMixin

class Good(EntryMixin):
    @dataclass(frozen=True)
    class Params:
        e_n: int = 1
    def decide(self):
        return EntryAnswer(None, 0.0, "never")
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``own_module("text")``: a module ``own_rules`` in the working directory, which nothing else is told of."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> None:
        (tmp_path / "own_rules.py").write_text(text)

    yield write
    sys.modules.pop("own_rules", None)


def test_a_rule_is_found_in_the_working_directory(own_module):
    own_module(HEAD)
    rule = resolve("own_rules:Good", "entry")
    assert rule.__module__ == "own_rules" and rule.warmup_bars(rule.Params()) == 1
    params = rule.Params(e_n=4)
    assert pickle.loads(pickle.dumps(rule)) is rule and replace(params, e_n=5).e_n == 5


@pytest.mark.parametrize(
    ("body", "name", "kind", "why"),
    [
        ("", "own_rules:Missing", "entry", "the module own_rules has no Missing"),
        ("", "own_rules:Good", "exit", "must be a class that inherits from mixins.base.ExitMixin"),
        ("Loose = 3", "own_rules:Loose", "entry", "must be a class that inherits from mixins.base.EntryMixin"),
        ("class Mute(EntryMixin): pass", "own_rules:Mute", "entry", "no decide"),
        ("class Bare(Good): Params = dict", "own_rules:Bare", "entry", "frozen dataclass"),
        ("class Bare(Good): Params = None", "own_rules:Bare", "entry", "frozen dataclass"),
        (
            "class Soft(Good):\n    @dataclass\n    class Params:\n        e_n: int = 1",
            "own_rules:Soft",
            "entry",
            "frozen dataclass",
        ),
        (
            "class Odd(Good):\n    @dataclass(frozen=True)\n    class Params:\n        n: int = 1",
            "own_rules:Odd",
            "entry",
            "the parameter n must begin with e_",
        ),
        (
            "class Odd(Good):\n    @dataclass(frozen=True)\n    class Params:\n        e_n: int",
            "own_rules:Odd",
            "entry",
            "the parameter e_n needs a default",
        ),
        (
            "class Odd(Good):\n    @dataclass(frozen=True)\n    class Params:\n        e_n: list = ()",
            "own_rules:Odd",
            "entry",
            "the parameters e_n must be int, float, bool or str",
        ),
        (
            "class Odd(Good):\n    @dataclass(frozen=True)\n    class Params:\n        e_n: 'Nowhere' = 1",
            "own_rules:Odd",
            "entry",
            "cannot be read: name 'Nowhere' is not defined",
        ),
        ("class Far(Good): market = 'moon'", "own_rules:Far", "entry", "one of single, pair, any, found 'moon'"),
        ("import nowhere_at_all", "own_rules:Good", "entry", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("raise SystemExit(3)", "own_rules:Good", "entry", "SystemExit: 3"),
        ("def broken(", "own_rules:Good", "entry", "SyntaxError"),
    ],
)
def test_what_cannot_serve_is_refused_with_the_reason(own_module, body, name, kind, why):
    own_module(HEAD + body + "\n")
    with pytest.raises(RuleNotFound) as caught:
        resolve(name, kind)
    assert why in str(caught.value) and name in str(caught.value)


@pytest.mark.parametrize("name", [":", "a:", ":B", "a b:C", "a..b:C", ".a:B", "a:B.C", "a:B:C", "../a:B", "a\x00:B"])
def test_a_malformed_path_is_refused_before_anything_is_imported(name):
    with pytest.raises(RuleNotFound, match="is named module:Class"):
        resolve(name, "entry")


def test_a_module_that_does_not_exist_is_said_so():
    with pytest.raises(RuleNotFound, match="importing nowhere_at_all failed: ModuleNotFoundError"):
        resolve("nowhere_at_all:Rule", "exit")
