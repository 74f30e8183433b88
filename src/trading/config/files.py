"""Where config files lie, and their bytes. Files that are read may lie anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trading.config.position_json import MAX_BYTES, Document, read_document, too_large
from trading.config.report import excerpt

CONFIG_FOLDER = Path("config") / "trading"


def candidates(name: str | Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where a config of this name may lie: as given, in ``config/trading``, under the folder that TANDEM_HOME names."""
    given = Path(name)
    if given.is_absolute():
        return (given,)
    home = environ.get("TANDEM_HOME")
    return (given, CONFIG_FOLDER / given, *((Path(home) / CONFIG_FOLDER / given,) if home else ()))


def find_config(name: str | Path, environ: Mapping[str, str]) -> Path:
    """The first candidate that is a file; ``name`` itself when none is."""
    return next((path for path in candidates(name, environ) if is_file(path)), Path(name))


def is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def read_file(path: Path) -> Document | str:
    """The document in a file, or a sentence saying why it could not be read."""
    try:
        if not path.is_file():
            return f"{excerpt(str(path))} is a folder" if path.is_dir() else f"there is no file {excerpt(str(path))}"
        size = path.stat().st_size
        return too_large(size) if size >= MAX_BYTES else read_document(path.read_bytes())
    except OSError as error:
        return f"{excerpt(str(path))} could not be read: {error.strerror or type(error).__name__}"
