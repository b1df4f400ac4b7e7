"""Sha256 of files at their first check, for files without a published hash.

What changes later, by a failing disk or by hand, is named by `compatbench data check`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from compatbench.storage.files import write_whole


def remember(ledger: Path, files: Sequence[Path]) -> None:
    """Write the sha256 of `files`, by name, in place of earlier ones; nothing if the disk cannot be written."""
    with suppress(OSError):
        ledger.parent.mkdir(parents=True, exist_ok=True)
        write_whole(ledger, json.dumps({file.name: _sha256(file) for file in files}, indent=1))


def changed(ledger: Path, files: Sequence[Path]) -> list[Path]:
    """Those of `files` with another sha256 than the stored one; none if none is stored."""
    try:
        known = json.loads(ledger.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    known = known if isinstance(known, dict) else {}
    return [file for file in files if file.name in known and _sha256(file) != known[file.name]]


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
