"""Files of sums over groups of queries, and of a few arrays as they are.

Shares are summed in sixteenths, each sum rounded so that those up to it have the right total: the mean over all
queries is off by a thirty-second of one query at most. What is a whole number for every query has exact sums.

A file is a line of JSON, for each array its columns with type, length and parts of one, and then the bytes of the
columns, little-endian. Its name is the sha256 of its bytes, so what is in it is fixed whatever compresses it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError

PARTS = 16
"""Of one, in which sums of shares are kept."""
MOST_BYTES = 2**28


@dataclass(frozen=True, eq=False)
class Numbers:
    """One column: sums in parts of one, or values as they are."""

    parts: int
    """Of one; 0 for values as they are."""
    stored: NDArray[Any]
    """(G,) whole numbers of the smallest type that has them, or (N,) values."""

    @classmethod
    def summed(cls, values: NDArray[Any], groups: NDArray[np.intp]) -> Numbers:
        """The sum of `values` (Q,), at least 0, in each group, given the group of each."""
        sums = np.bincount(groups, weights=values)
        if (values == np.floor(values)).all():
            return cls(1, _smallest(np.rint(sums)))
        return cls(PARTS, _smallest(np.diff(np.rint(np.cumsum(sums) * PARTS), prepend=0)))

    @classmethod
    def exact(cls, values: NDArray[Any]) -> Numbers:
        """Values as they are."""
        return cls(0, _smallest(values) if values.dtype.kind in "iu" and values.min(initial=0) >= 0 else values)

    @property
    def values(self) -> NDArray[Any]:
        """What is stored, in ones; whole numbers that are no sums as int64."""
        if self.parts:
            return self.stored / self.parts
        return self.stored.astype(np.int64) if self.stored.dtype.kind == "u" else self.stored


Block = Mapping[str, Mapping[str, Numbers]]
"""Arrays by name, each with its columns by name."""


def _smallest(values: NDArray[Any]) -> NDArray[Any]:
    most = int(values.max(initial=0))
    kind = next(kind for kind in ("|u1", "<u2", "<u4", "<u8") if most <= np.iinfo(kind).max)
    return values.astype(kind)


def block_bytes(block: Block) -> bytes:
    """The bytes of a file of sums: equal arrays give equal bytes."""
    head = {
        name: {column: [one.stored.dtype.str, len(one.stored), one.parts] for column, one in columns.items()}
        for name, columns in block.items()
    }
    stored = (one.stored for columns in block.values() for one in columns.values())
    return b"".join((json.dumps(head, separators=(",", ":")).encode(), b"\n", *(one.tobytes() for one in stored)))


def read_block(content: bytes) -> dict[str, dict[str, Numbers]]:
    """The arrays in the bytes of a file of sums. Raises ValueError, KeyError or TypeError for anything else."""
    end = content.index(b"\n")
    at = end + 1
    found: dict[str, dict[str, Numbers]] = {}
    for name, columns in json.loads(content[:end]).items():
        found[name] = {}
        for column, (kind, length, parts) in columns.items():
            if length < 0 or parts not in (0, 1, PARTS) or (parts and np.dtype(kind).kind != "u"):
                raise ValueError(f"a column of length {length} and type {kind} in parts of {parts}")
            stored = np.frombuffer(content, kind, length, at)
            at += stored.nbytes
            found[name][column] = Numbers(parts, stored)
    if at != len(content):
        raise ValueError("more bytes than its columns take")
    return found


def sums_path(folder: Path, sha256: str) -> Path:
    """Path of a file of sums in `folder`."""
    return folder / f"{sha256}.sums"


def read_sums(path: Path, name: str) -> dict[str, NDArray[Any]]:
    """The columns of an array in a file of sums. Raises RequestError where the file is damaged or lacks the array."""
    block = _block(path, path.stat().st_mtime_ns)
    if name not in block:
        raise RequestError(f"{path}: contains no array '{name}'")
    return {column: one.values for column, one in block[name].items()}


@functools.lru_cache(maxsize=400)
def _block(path: Path, written: int) -> dict[str, dict[str, Numbers]]:
    """The arrays of a file `written` then, kept for the next table of a scenario: 65 rows of five seeds have 325."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise RequestError(f"{path}: per-query arrays were changed after they were written; submit the cell again")
    try:
        return read_block(content)
    except Exception as error:  # damaged bytes raise almost anything
        raise RequestError(f"{path}: no file of sums ({error})") from error
