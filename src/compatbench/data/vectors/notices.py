"""Exclusions and decisions of a comparison: counted, printed, and stored in its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "columns", "numbers", "dimensions", "bad rows", "unpaired rows", "lengths", "judgements", "ids", "documents",
    "index",
]  # fmt: skip

LISTED = 20
"""At most so many names are listed."""


@dataclass(frozen=True)
class Notice:
    """One exclusion or decision."""

    kind: Kind
    count: int
    """Rows, queries or judgements that it concerns; 0 where it is about a file."""
    text: str
    """A sentence without its full stop."""
