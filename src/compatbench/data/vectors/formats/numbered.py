"""Vectors with one column a dimension: columns of one name but for their numbers, 0 … D−1 or 1 … D."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBERED = re.compile(r"^(.*?)([0-9]{1,7})$")
FEWEST = 2


def families(names: Iterable[str]) -> dict[str, list[str]]:
    """Numbered columns by their common name, in order: `dim_*` for dim_0, dim_1, …"""
    found: dict[str, dict[int, str]] = {}
    for name in names:
        if (match := _NUMBERED.match(name)) is not None:
            found.setdefault(match[1], {})[int(match[2])] = name
    return {
        f"{prefix}*": [members[number] for number in sorted(members)]
        for prefix, members in found.items()
        if len(members) >= FEWEST and sorted(members) in _consecutive(len(members))
    }


def _consecutive(size: int) -> tuple[list[int], list[int]]:
    return list(range(size)), list(range(1, size + 1))
