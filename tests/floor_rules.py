"""What a source file may import and read, by the room it lies in. Reads syntax trees; runs nothing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

FLOORS = {
    "pairs": 0,
    "ccxt_bt_bridge": 0,
    "mixins": 1,
    "feeds": 1,
    "brokers": 1,
    "notifications": 1,
    "strategies": 2,
    "trading": 3,
    "research": 4,
    "management": 5,
}
ROOMS_OF = {"ccxt": ("ccxt_bt_bridge", "brokers"), "telegram": ("notifications",)}
LIVE_PATH = ("ccxt_bt_bridge", "brokers", "strategies", "mixins", "pairs", "trading")
ENVIRONMENT = ("os.environ", "os.getenv", "os.putenv", "os.unsetenv", "os.environb")
CLOCKS = (
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.sleep",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
)
CHANCE = ("random", "uuid", "secrets", "os.urandom", "numpy.random")
SEEDED = ("numpy.random.Generator", "numpy.random.PCG64", "numpy.random.SeedSequence", "numpy.random.default_rng")

ALLOWED = {
    (
        "ccxt_bt_bridge/loop.py",
        "time.monotonic",
    ): "the source that the injected clock of real and scaled time stands on",
    ("ccxt_bt_bridge/hub.py", "time.monotonic"): "wall time after which a caller gives a hanging loop up",
    ("brokers/desk/keys.py", "time.time"): "a client that knows no market time signs with the wall's",
    ("trading/preflight/exchange_sides.py", "time.time"): "compared with the exchange and printed, before a run",
    ("trading/live_trading_bot.py", "time.monotonic"): "uptime, printed and never acted on",
    ("trading/journal/writer.py", "datetime.datetime.now"): "when a journal file was made, never acted on",
    (
        "trading/control/command_queue.py",
        "datetime.datetime.now",
    ): "how old a person's wish is",
    (
        "trading/control/stop_signal.py",
        "datetime.datetime.now",
    ): "since when a bot without venue is halted: told",
    ("trading/journal/locks.py", "time.sleep"): "before the run: an onlooker may touch the writer's lock for a moment",
    ("trading/journal/words.py", "secrets.choice"): "a lost journal's order ids must never come again, seed or not",
}


@dataclass(frozen=True, slots=True)
class Offence:
    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"src/{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Imported:
    name: str
    line: int
    inside_function: bool


def offences(file: str, source: str) -> list[Offence]:
    """Everything that ``file`` (relative to ``src``, with slashes) must not do, in the order of its lines."""
    tree = ast.parse(source)
    found = [*_import_offences(file, tree), *_reading_offences(file, tree), *_name_offences(file)]
    return sorted(found, key=lambda offence: offence.line)


def used_names(source: str) -> set[str]:
    """Every dotted name that is read, the file's own aliases resolved: ``dt.now`` → datetime.datetime.now."""
    return {name for name, _, _ in _names(ast.parse(source))}


def _import_offences(file: str, tree: ast.AST) -> Iterator[Offence]:
    room = _room(file)
    for imported in _imports(file, tree, inside_function=False):
        root = imported.name.split(".")[0]
        reason = _why_not(room, root, imported)
        if reason:
            yield Offence(file, imported.line, f"{room} imports {imported.name}: {reason}")


def _why_not(room: str, root: str, imported: Imported) -> str | None:
    if root == "src":
        return "packages are imported by their own names, without src"
    if root in ROOMS_OF and room not in ROOMS_OF[root]:
        return f"{root} belongs to {' and '.join(ROOMS_OF[root])} only"
    if root == "statsmodels" and not imported.inside_function:
        return "statsmodels is slow to load: only inside the function that needs it"
    if root not in FLOORS or root == room:
        return None
    if FLOORS[root] > FLOORS[room]:
        return "imports point down, never up"
    return "imports point down, never sideways" if FLOORS[root] == FLOORS[room] else None


def _imports(file: str, node: ast.AST, *, inside_function: bool) -> Iterator[Imported]:
    for child in ast.iter_child_nodes(node):
        inside = inside_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for name in _imported_names(file, child):
            yield Imported(name, child.lineno, inside_function)  # type: ignore[attr-defined]
        yield from _imports(file, child, inside_function=inside)


def _imported_names(file: str, node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [_absolute(file, node, alias.name) for alias in node.names]
    return _imported_by_call(node)


def _absolute(file: str, node: ast.ImportFrom, name: str) -> str:
    package = list(PurePosixPath(file).parts[: -node.level]) if node.level else []
    return ".".join([*package, *([node.module] if node.module else []), name])


def _imported_by_call(node: ast.AST) -> list[str]:
    if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
        return []
    called = ast.unparse(node.func).split(".")[-1]
    return [str(node.args[0].value)] if called in ("import_module", "__import__") else []


def _reading_offences(file: str, tree: ast.AST) -> Iterator[Offence]:
    for name, line, seeded in _names(tree):
        reason = _why_not_read(file, name, seeded)
        if reason and (file, name) not in ALLOWED:
            yield Offence(file, line, f"{_room(file)} reads {name}: {reason}")


def _why_not_read(file: str, name: str, seeded: bool) -> str | None:
    room = _room(file)
    if _is_or_under(name, ENVIRONMENT) and not (room == "management" or file.startswith("trading/config/")):
        return "only trading.config and management read the environment"
    if room not in LIVE_PATH:
        return None
    if name in CLOCKS:
        return "the live path reads the injected clock only"
    if _is_or_under(name, CHANCE) and not (name in SEEDED and seeded):
        return "the live path draws nothing that a seed does not decide"
    return None


def _is_or_under(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


def _names(tree: ast.AST) -> Iterator[tuple[str, int, bool]]:
    """Longest dotted names that begin with an import, their lines, and whether they are called with an argument."""
    aliases = _aliases(tree)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and (node.args or node.keywords)}
    bare_call = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)} - called
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in inner:
            first, *rest = _dotted(node)
            if first in aliases:
                yield ".".join([aliases[first], *rest]), node.lineno, id(node) not in bare_call


def _dotted(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Attribute):
        return [*_dotted(node.value), node.attr]
    return [node.id] if isinstance(node, ast.Name) else [""]


def _aliases(tree: ast.AST) -> dict[str, str]:
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                aliases[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and not node.level:
            aliases |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return aliases


def _name_offences(file: str) -> Iterator[Offence]:
    parts = PurePosixPath(file).with_suffix("").parts
    if parts[0] == "trading" and parts[1] in sys.stdlib_module_names:
        yield Offence(
            file, 1, f"{parts[1]} is a standard-library module: a script run from src/trading would shadow it"
        )


def _room(file: str) -> str:
    return PurePosixPath(file).parts[0]
