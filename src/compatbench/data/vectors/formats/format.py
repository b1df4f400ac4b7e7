"""A file format of embeddings: its columns by name, a reader for some of them, and optionally a writer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
    index: Callable[[Path, int], tuple[Collection[str], Values] | None] | None = None
    """The columns of the index, and its values (N,), of a data frame of N rows; None where it has none."""
    named: bool = True
    """A user may choose columns; else the file contains vectors alone, or ids of their own kind."""


def unreadable(path: Path, error: Exception, name: str = "", *, vectors: bool = True) -> RequestError:
    """One line for a library's error about a damaged or pickled file; the column has a `name` where there are more."""
    if "allow_pickle" not in str(error) and "Python objects" not in str(error):
        return RequestError(f"{path} cannot be read: {first_line(error)}")
    what = f"{path}: '{name}'" if name else str(path)
    plain = f"np.stack({name or 'vectors'}).astype('float32')" if vectors else f"{name or 'labels'}.astype(str)"
    return RequestError(
        f"{what} contains pickled objects, which are never loaded since they can run code; save "
        f"{'plain arrays' if vectors else 'text or numbers'}: "
        f"{f'np.savez(path, {name}={plain}, ...)' if name else f'np.save(path, {plain})'}"
    )


def is_matrix(shape: Sequence[int], dtype: np.dtype[Any]) -> bool:
    """Values of this shape and type can be vectors (N, D)."""
    return len(shape) == 2 and (dtype.kind == "f" or dtype in (np.int8, np.uint8))
