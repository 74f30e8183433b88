"""Writes ``config/trading/schema.json`` from the model, for editors: ``python -m trading.config.schema``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mixins.params import Parameter, parameters
from mixins.registry import ENTRY_RULES, EXIT_RULES
from trading.config.files import CONFIG_FOLDER
from trading.config.model import Config

_TYPES = {int: "integer", float: "number", bool: "boolean", str: "string"}
SCHEMA_FILE = CONFIG_FOLDER / "schema.json"


def schema_text() -> str:
    """The schema as it stands in the file: the model's, with the parameters of every registered rule."""
    schema = Config.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Tandem config"
    strategy = schema["$defs"]["Strategy"]["properties"]
    for key, rules in (("entry_logic", ENTRY_RULES), ("exit_logic", EXIT_RULES)):
        strategy[key] = _rule_schema(rules)
    schema["$defs"].pop("Rule")
    return json.dumps(schema, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _rule_schema(rules: dict[str, type]) -> dict[str, object]:
    """A rule object: its name, and for each registered name that rule's own parameters."""
    cases = [
        {
            "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
            "then": {"properties": {"params": _params_schema(rule.Params)}},  # type: ignore[attr-defined]
        }
        for name, rule in sorted(rules.items())
    ]
    name = {"anyOf": [{"enum": sorted(rules)}, {"type": "string", "pattern": "^[^:]+:[^:]+$"}]}
    properties = {"name": name, "params": {"type": "object"}}
    return {
        "type": "object",
        "properties": properties,
        "required": ["name"],
        "additionalProperties": False,
        "allOf": cases,
    }


def _params_schema(params: type) -> dict[str, object]:
    properties = {each.name: _param_schema(each) for each in parameters(params)}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _param_schema(parameter: Parameter) -> dict[str, object]:
    bounds = parameter.bounds
    limits = {"minimum": bounds.minimum, "exclusiveMinimum": bounds.above, "maximum": bounds.maximum}
    schema: dict[str, object] = {
        "type": _TYPES[parameter.kind],
        "default": parameter.default,
        "description": parameter.help,
        **{word: limit for word, limit in limits.items() if limit is not None},
    }
    return schema | ({"enum": list(bounds.choices)} if bounds.choices else {})


def main() -> int:
    """Write the schema below the working directory."""
    Path(SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    print(f"wrote {SCHEMA_FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
