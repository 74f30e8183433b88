"""What a packager and a fresh machine rely on: packages, requirements, locks, shipped configs, clean files."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from setuptools import find_packages

from mixins.registry import ENTRY_RULES, EXIT_RULES
from trading.config_validator import ConfigValidator

PROJECT = Path(__file__).resolve().parents[1]
SOURCE = PROJECT / "src"
CONFIGS = sorted(path for path in (PROJECT / "config" / "trading").glob("*.json") if path.name != "schema.json")

# Where a distribution's import name is not its own.
IMPORT_NAMES = {"python-dotenv": "dotenv", "python-telegram-bot": "telegram", "sqlalchemy": "sqlalchemy"}
# Core requirements of what comes next (exchanges, scanner, notifiers, retries); nothing in src imports them yet.
PROMISED = {"pandas", "statsmodels", "tenacity"}
# What an extra brings: imported only by the function, or the command, that needs it.
OPTIONAL = {
    "pyarrow": "parquet",
    "distributed": "distributed",
    "apprise": "notify",
    "fastapi": "web",
    "uvicorn": "web",
    "jinja2": "web",
    "prometheus_client": "web",
}
# Parts of a declared requirement that have a name of their own.
PARTS = {"pydantic_core": "pydantic", "starlette": "fastapi", "markupsafe": "jinja2"}


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(PROJECT / "setup.cfg", encoding="utf-8")
    return parser


def requirements(text: str) -> Iterator[str]:
    """The distributions' names, without versions and extras."""
    for line in text.split():
        yield re.split(r"[\[<>=]", line)[0].lower()


def core_imports() -> set[str]:
    return {IMPORT_NAMES.get(name, name) for name in requirements(setup()["options"]["install_requires"])}


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True, text=True)
    return [PROJECT / name for name in listed.stdout.split("\0") if name and (PROJECT / name).is_file()]


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


# packages


def test_every_folder_with_modules_is_a_package_that_a_wheel_holds() -> None:
    folders = {path.parent.relative_to(SOURCE) for path in SOURCE.rglob("*.py")}
    assert {".".join(folder.parts) for folder in folders} == set(find_packages(str(SOURCE)))


def test_every_top_level_package_says_that_it_is_typed() -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert {path.parent.name for path in SOURCE.glob("*/py.typed")} == packages


def test_no_module_shadows_the_standard_library_when_run_as_a_script() -> None:
    places = (SOURCE, *(path.parent for path in SOURCE.glob("*/__init__.py")))
    names = {path.stem for place in places for path in place.iterdir() if path.name != "__pycache__"}
    assert not names & set(sys.stdlib_module_names)


def test_the_changelog_has_the_version() -> None:
    version = setup()["metadata"]["version"]
    assert f"## [{version}]" in (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")


# requirements and locks


def test_what_is_imported_is_required_and_what_is_required_is_imported() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")]
    ours = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    found = set().union(*map(imported, trees)) - ours - set(sys.stdlib_module_names)
    found = {PARTS.get(name, name) for name in found}
    assert found == (core_imports() - PROMISED) | {*OPTIONAL}
    assert core_imports() >= PROMISED
    for name, extra in OPTIONAL.items():
        assert name.replace("_", "-") in requirements(setup()["options.extras_require"][extra])


def test_every_requirement_is_locked_to_a_version() -> None:
    locked = (PROJECT / "constraints" / "packages.txt").read_text(encoding="utf-8").splitlines()
    locked += (PROJECT / "constraints" / "tools.txt").read_text(encoding="utf-8").splitlines()
    odd = [line for line in locked if not re.fullmatch(r"[a-z0-9.-]+==[0-9][\w.]*( ; [\w .<>=!'()-]+)?", line)]
    wanted = {*requirements(setup()["options"]["install_requires"]), "uv"}
    for extra in setup()["options.extras_require"].values():
        wanted |= set(requirements(extra))
    assert odd == []
    assert wanted <= {line.split("==")[0] for line in locked}


# shipped configs


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_a_shipped_config_is_good_and_names_its_schema(config: Path) -> None:
    examination = ConfigValidator().examine_file(config)
    assert examination.report.ok, examination.report.text()
    assert examination.loaded is not None and examination.loaded.model.schema_ == "schema.json"


def test_shipped_configs_use_registered_rules() -> None:
    loaded = [ConfigValidator().examine_file(config).loaded for config in CONFIGS]
    assert all(one is not None and one.entry.name in ENTRY_RULES and one.exit.name in EXIT_RULES for one in loaded)


# clean files


def test_no_file_names_a_place_on_one_machine() -> None:
    place = re.compile(r"(?<![\w.])/(?:home|root|Users|work|opt|mnt|srv)/[\w.]")
    hits = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", "replace")
        hits += [f"{path.relative_to(PROJECT)}: {found.group()}" for found in place.finditer(text)]
    assert hits == []


def test_what_sets_up_names_no_server() -> None:
    names = ("Makefile", "setup.cfg", "pyproject.toml", ".ci/run")
    files = [*(PROJECT / name for name in names), *PROJECT.glob("constraints/*"), *PROJECT.glob("tools/*.sh")]
    assert [path.name for path in files if "://" in path.read_text(encoding="utf-8")] == []


def test_no_test_is_skipped_for_good_or_does_nothing() -> None:
    odd = []
    for path in (PROJECT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not _can_fail(node):
                odd.append(f"{path.relative_to(PROJECT)}:{node.lineno} {node.name}")
    assert odd == []


def _can_fail(test: ast.FunctionDef) -> bool:
    """No mark takes it back, and it asserts something or calls a helper for that."""
    parts = [part for decorator in test.decorator_list for part in ast.walk(decorator)]
    marks = {part.attr for part in parts if isinstance(part, ast.Attribute)}
    asserts = any(isinstance(part, ast.Assert | ast.Call | ast.With) for step in test.body for part in ast.walk(step))
    constant = any(isinstance(part, ast.Assert) and isinstance(part.test, ast.Constant) for part in ast.walk(test))
    return asserts and not constant and not marks & {"skip", "xfail"}
