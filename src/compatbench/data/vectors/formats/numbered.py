"""Vectors with one column a dimension: columns of one name but for their numbers, 0 … D−1 or 1 … D."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import numpy as np

from compatbench.data.vectors.formats.format import Values
from compatbench.errors import RequestError

_NUMBERED = re.compile(r"^(.*?)([0-9]{1,7})$")
FEWEST = 2
FEWEST_COUNTED = 20
"""From so many rows on, that whole numbers count them is no chance."""

FIRST = "the first column"
"""The ids of a file without a heading."""
UNNAMED = ""
"""The ids of a data frame that was saved with its index, if they are not the positions of the rows."""


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


def gaps(names: Iterable[str]) -> str:
    """What is missing in the numbered columns that would be vectors without a gap; nothing where they have none."""
    found: dict[str, set[int]] = {}
    for match in filter(None, map(_NUMBERED.match, names)):
        found.setdefault(match[1], set()).add(int(match[2]))
    for prefix, numbers in found.items():
        missing = sorted(set(range(min(1, *numbers), max(numbers))) - numbers) if len(numbers) >= FEWEST else []
        if 0 < len(missing) < len(numbers):
            return f" ('{prefix}{missing[0]}' is missing among {prefix}{min(numbers)}, …, {prefix}{max(numbers)})"
    return ""


def refuse_ids(where: str, members: list[str], whole: Collection[str]) -> None:
    """Raise RequestError where the first or the last dimension is the only one of `whole` numbers: ids, or classes."""
    for one in (members[0], members[-1]):
        if one in whole and not any(other in whole for other in members if other != one):
            raise RequestError(
                f"{where}: column '{one}' has whole numbers, and the other columns of its vectors fractional ones: "
                "name it 'id' or 'label', or leave it out; if it is a dimension, store it as float"
            )


def refuse_unnamed_ids(where: str, vectors: Values) -> None:
    """Raise RequestError where the first or the last column of a matrix (N, D) without names has ids, or classes.

    These are whole numbers, not all the same, beside fractional ones; beside whole ones they are those of a count of
    the rows in any order, or larger than the bytes that all of the others are.
    """
    rows, dims = vectors.shape
    for end in (0, -1):
        column, others = vectors[:, end], (vectors[:, place] for place in range(dims) if place != end % dims)
        if dims < FEWEST or not _varies_in_whole_numbers(column):
            continue
        beside = [one for one in others if _varies_in_whole_numbers(one)]
        ascending = np.unique(column[~np.isnan(column)])
        counted = len(ascending) == rows and ascending[-1] - ascending[0] == rows - 1
        larger = not _are_bytes(column) and all(map(_are_bytes, beside))
        if 2 * len(beside) < dims - 1 or (rows >= FEWEST_COUNTED and (counted or larger)):
            raise RequestError(
                f"{where}: its {'last' if end else 'first'} column has whole numbers that look like ids or classes, "
                "and no heading says what it is: give one, such as id,dim_0,dim_1 or label,dim_0,dim_1; if all are "
                "dimensions, dim_0,dim_1,dim_2"
            )


def _varies_in_whole_numbers(column: Values) -> bool:
    there = column[~np.isnan(column)]
    return bool((there == np.rint(there)).all() and (there != there[:1]).any())


def _are_bytes(column: Values) -> bool:
    return bool(np.nanmin(column) >= -128 and np.nanmax(column) <= 255)


def _consecutive(size: int) -> tuple[list[int], list[int]]:
    return list(range(size)), list(range(1, size + 1))
