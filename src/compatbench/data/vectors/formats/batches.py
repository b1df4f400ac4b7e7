"""Columns of text files, in batches and without types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.data.vectors.formats.format import Columns, Values
from compatbench.errors import RequestError
from compatbench.storage.bounded_parquet import check_unpacked


def join_batches(
    path: Path, names: Sequence[str], batches: Iterable[Mapping[str, Values]], size: int | None = None
) -> Columns:
    """The columns of all batches; the first of `names` is the vectors (N, D), as float32.

    `size` is that of the file, if `path` is none. Raises RequestError for batches that do not fit each other, and where
    there are none.
    """
    parts: dict[str, list[Values]] = {name: [] for name in names}
    for batch in batches:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as that
            parts[names[0]].append(batch[names[0]].astype(np.float32))
        for name in names[1:]:
            parts[name].append(batch[name])
    if not parts[names[0]]:
        raise RequestError(f"{path} cannot be read: it has no rows")
    widths = sorted({one.shape[1] for one in parts[names[0]]})
    if len(widths) > 1:
        said = f"between {widths[0]} and {widths[-1]} numbers"
        raise RequestError(f"{path}: the rows of '{names[0]}' have {said}; give all of one length, of one model")
    for name in names[1:]:
        if {one.dtype.kind for one in parts[name]} == {"i", "u"}:  # numpy would join them as rounded float64
            parts[name] = [one.astype(str) for one in parts[name]]
        if len({one.dtype.kind == "U" for one in parts[name]}) > 1:
            raise RequestError(f"{path}: '{name}' is text in some rows and numbers in others; write all as text")
        widest, rows = max(one.dtype.itemsize for one in parts[name]), sum(map(len, parts[name]))
        check_unpacked(f"{path}: '{name}'", path.stat().st_size if size is None else size, widest * rows)
    return {name: np.concatenate(parts.pop(name)) for name in names}


def refuse_empty(where: str, empty: NDArray[np.bool_]) -> None:
    """Raise RequestError where some rows (N,) have no value: none is a value like another, such as a class."""
    if empty.any():
        raise RequestError(
            f"{where} has {empty.sum():,} empty rows (first row {np.flatnonzero(empty)[0]}); fill them in, or leave "
            "them out"
        )


def numbers_where_all_are(text: Values) -> Values:
    """Text (N,) as whole numbers if each is written like a number: "17", but not "017" or "1.0"."""
    try:
        numbers = text.astype(np.int64)
    except (ValueError, OverflowError):
        return text
    written: Any = numbers.astype(str)
    return numbers if np.array_equal(written, text) else text
