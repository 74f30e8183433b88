"""A rule as a value: its class and its frozen parameters, to be built inside a strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mixins.base import View


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """``name`` as the config wrote it, ``rule`` the class, ``params`` an instance of ``rule.Params``. Picklable."""

    name: str
    rule: type
    params: Any

    def build(self, view: View) -> Any:
        """The rule object; call it inside a strategy's ``__init__`` so that indicators find their owner."""
        return self.rule(self.params, view)
