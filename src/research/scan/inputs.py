"""What a result came from, so that it can be had again: every file's hash, the window, the settings, the versions."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from research.scan.errors import ScanError
from research.scan.folder import InputFile
from research.scan.settings import ScanSettings

SETTINGS = TypeAdapter(ScanSettings)
DISTRIBUTION = "tandem-pairs"


def versions() -> dict[str, str]:
    """Of everything that decides a digit."""
    try:
        ours = version(DISTRIBUTION)
    except PackageNotFoundError:
        ours = "not installed"
    return {"tandem": ours, "python": platform.python_version(), "numpy": version("numpy")}


@dataclass(frozen=True, slots=True)
class Inputs:
    """``settings`` have the window's end as it was found; ``files`` those that were read from ``folder``."""

    folder: Path
    files: tuple[InputFile, ...]
    settings: ScanSettings
    versions: dict[str, str] = field(default_factory=versions)

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(file.name.split(".")[0] for file in self.files)

    def as_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder.resolve()),
            "files": [{"name": file.name, "sha256": file.sha256} for file in self.files],
            "settings": SETTINGS.dump_python(self.settings, mode="json"),
            "versions": self.versions,
        }

    def other_versions(self, now: dict[str, str]) -> str:
        """What is another version now than when this was written."""
        changed = [f"{name} {was}, now {now.get(name)}" for name, was in self.versions.items() if now.get(name) != was]
        return f"The former scan was made with {', '.join(changed)}: last digits may differ"

    def refuse_other_files(self, found: tuple[InputFile, ...]) -> None:
        """Raises ``ScanError`` unless these are the very files."""
        known = {file.name: file.sha256 for file in found}
        other = [file.name for file in self.files if known.get(file.name) != file.sha256]
        if other:
            raise ScanError(
                f"{self.folder} has changed since that scan: {', '.join(other)}; the result cannot be had again "
                "without the former files"
            )


def read_inputs(path: Path) -> Inputs:
    """What a scan wrote beside its result. Raises ``ScanError``."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(InputFile(str(file["name"]), str(file["sha256"])) for file in content["files"])
        settings = SETTINGS.validate_python(content["settings"])
        return Inputs(Path(content["folder"]), files, settings, dict(content["versions"]))
    except OSError as error:
        raise ScanError(f"{path}: cannot be read ({error.strerror})") from error
    except (ScanError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise ScanError(f"{path}: no list of a scan's inputs ({type(error).__name__}); a scan writes it") from error
