"""A file format of embeddings: its columns by name, a reader for some of them, and optionally a writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError, first_line

Values = NDArray[Any]
Columns = dict[str, Values]
Names = Mapping[str, bool]
"""Columns of a file by name; True where their values can be vectors."""


@dataclass(frozen=True)
class Format:
    """One file format. None of them runs code: pickles are refused."""

    columns: Callable[[Path], Names]
    """Raises RequestError for a damaged file, and so does `read`."""
    read: Callable[[Path, Sequence[str]], Columns]
    """The columns of these names; what else the file contains is not read."""
    write: Callable[[Path, Path, Columns], None] | None = None
    """To the first path, in the name of the second. Raises RequestError for what the format cannot hold."""
    named: bool = True
    """A user may choose columns; else the file contains vectors alone, or ids of their own kind."""


def unreadable(path: Path, error: Exception, member: str = "vectors") -> RequestError:
    """One line for a library's error about a damaged or pickled file."""
    if "allow_pickle" in str(error) or "Python objects" in str(error):
        if member == "vectors":
            return RequestError(
                f"{path} contains pickled objects, which are never loaded since they can run code; save plain arrays: "
                "np.save(path, np.stack(vectors).astype('float32'))"
            )
        return RequestError(
            f"{path}: '{member}' contains pickled objects, which are never loaded since they can run code; save text "
            f"or numbers: np.savez(path, {member}={member}.astype(str), ...)"
        )
    return RequestError(f"{path} cannot be read: {first_line(error)}")


def is_matrix(shape: Sequence[int], dtype: np.dtype[Any]) -> bool:
    """Values of this shape and type can be vectors (N, D)."""
    return len(shape) == 2 and (dtype.kind == "f" or dtype in (np.int8, np.uint8))
