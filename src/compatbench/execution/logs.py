"""The end of a cell's log, as its record keeps it."""

from __future__ import annotations

import re
from pathlib import Path

from compatbench.execution.cell import without_absolute_paths

LINES = 40
BYTES = 8000

CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
"""Colours and cursor moves, and characters that no reader wants."""


def log_tail(path: Path) -> str:
    """The last lines of a log, without absolute paths; empty if there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    whole = text if size <= BYTES else text.partition("\n")[2]
    lines = [CONTROL.sub("", line.rpartition("\r")[2] or line) for line in whole.rstrip().split("\n")]
    return without_absolute_paths("\n".join(lines[-LINES:]))
