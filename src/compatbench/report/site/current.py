"""Checks whether a suite's report is up to date."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import compatbench
from compatbench.storage.canonical import digest
from compatbench.storage.files import content_hash, write_whole

STAMP = ".report.json"
"""Beside the report: what it was made from, and the hashes of its files."""
PACKAGES = ("jinja2", "markupsafe", "numpy", "pandas", "pillow", "scipy", "tabulate")
"""Whose versions may change a report's bytes."""


def inputs(facts: dict[str, Any], files: Iterable[Path]) -> str:
    """Hash of a report's inputs: `facts`, the contents of `files`, this package and its libraries."""
    root = Path(compatbench.__file__).parent
    own = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return digest(
        {
            "facts": facts,
            "files": [content_hash(path) for path in files],
            "source": {path.relative_to(root).as_posix(): content_hash(path) for path in own},
            "packages": {package: version(package) for package in PACKAGES},
        }
    )


def is_current(folder: Path, made_from: str) -> bool:
    """Whether the report in `folder` was made from inputs of this hash, and each of its files is as it was written."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        files = stamp["files"].items()
        return stamp["inputs"] == made_from and all(content_hash(folder / name) == sha256 for name, sha256 in files)
    return False


def stamp(folder: Path, made_from: str, files: Sequence[Path]) -> None:
    """Note that the report in `folder` consists of `files`, made from inputs of this hash."""
    hashes = {path.relative_to(folder).as_posix(): content_hash(path) for path in files}
    write_whole(folder / STAMP, json.dumps({"inputs": made_from, "files": hashes}, indent=1))
