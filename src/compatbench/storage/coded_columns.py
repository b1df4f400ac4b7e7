"""Arrays with a byte a value: shares in 24 or 8 levels, ranks up to 10, and counts as they are.

A file of codes is a line of JSON, for each array its columns with their forms and lengths, and then the bytes of the
columns, little-endian. Its name is the sha256 of its bytes, so what is in it is fixed whatever compresses it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError

Form = Literal["share", "coarse", "rank", "hit", "exact"]

_ROUNDED = {
    form: [np.sin(np.linspace(0, np.pi / 2, steps + 1)) ** 2 for steps in several]
    for form, several in (("share", (48, 24)), ("coarse", (24, 8)))
}
"""To the first levels, and these to the second: the first 1,389 records were published in the first ones alone, and a
re-run of them must give the same bytes."""
LEVELS = {form: levels[-1] for form, levels in _ROUNDED.items()}
"""In [0, 1] by form: near each other at both ends, where most values of single queries lie."""
WIDEST = {form: float(np.diff(levels).max()) for form, levels in LEVELS.items()}
"""The largest distance of two neighbours."""
MOVED = {form: sum(float(np.diff(one).max()) / 2 for one in levels) for form, levels in _ROUNDED.items()}
"""How far the sum of a column's values may be from what was measured."""
UNDEFINED = 255
RANKS = {"rank": np.minimum(np.arange(12), 11), "hit": np.array([0, 1, 5, 5, 5, 5, 10, 10, 10, 10, 10, 11])}
"""What stands for the ranks from 0 to 11, and all beyond: MRR@10 asks for more than hits in the first 1, 5 and 10."""
MOST_BYTES = 2**28


@dataclass(frozen=True, eq=False)
class Coded:
    """One column as codes."""

    dtype: str
    """Of the values."""
    form: Form
    codes: NDArray[Any]
    """(N,) uint8; `exact` ones of the smallest type that has their values."""

    @classmethod
    def of(cls, values: NDArray[Any], form: Form) -> Coded:
        """The codes of a column. Shares must lie in [0, 1] or be NaN; ranks are whole numbers from 0."""
        if form in LEVELS:
            rounded = values
            for levels in _ROUNDED[form]:
                codes = _nearest(rounded, levels)
                rounded = _valued(codes, levels, values.dtype.str)
        elif form in RANKS:
            codes = RANKS[form][np.minimum(values, 11)].astype(np.uint8)
        else:
            codes = values.astype(_smallest(values))
        return cls(values.dtype.str, form, codes)

    def at(self, rows: NDArray[np.intp]) -> Coded:
        """Those of these rows."""
        return replace(self, codes=self.codes[rows])

    @property
    def values(self) -> NDArray[Any]:
        """(N,) the values that the codes stand for."""
        if self.form in LEVELS:
            return _valued(self.codes, LEVELS[self.form], self.dtype)
        return np.asarray(self.codes, dtype=self.dtype)


Block = Mapping[str, Mapping[str, Coded]]
"""Arrays by name, each with its columns by name."""


def _nearest(values: NDArray[Any], levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The nearest level to each value, but for a few: the next one where that takes least, until the sum is right.

    So a sum is off by half a level at most, and equal values have mostly equal codes.
    """
    exact = values.astype(np.float64)
    there = np.flatnonzero(~np.isnan(exact))
    exact = exact[there]
    codes = np.searchsorted((levels[1:] + levels[:-1]) / 2, exact)
    missing = float((exact - levels[codes]).sum())
    step = 1 if missing > 0 else -1
    moved = np.clip(codes + step, 0, len(levels) - 1)
    change = np.abs(levels[moved] - levels[codes])
    dearest = np.abs(exact - levels[moved]) - np.abs(exact - levels[codes])
    order = np.argsort(np.where(change > 0, dearest, np.inf), kind="stable")
    several = int(np.searchsorted(np.cumsum(change[order]), abs(missing)))
    few = order[: several + 1]
    while len(few) and abs(missing) - change[few[:-1]].sum() < change[few].sum() - abs(missing):
        few = few[:-1]
    codes[few] = moved[few]
    found = np.full(len(values), UNDEFINED, dtype=np.uint8)
    found[there] = codes
    return found


def _valued(codes: NDArray[np.uint8], levels: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    known = np.full(256, np.nan)
    known[: len(levels)] = levels
    return np.asarray(known[codes], dtype=dtype)


def _smallest(values: NDArray[Any]) -> str:
    if values.dtype.kind not in "iu" or (len(values) and values.min() < 0):
        return values.dtype.str
    most = int(values.max()) if len(values) else 0
    return next(kind for kind in ("|u1", "<u2", "<u4", "<i8") if most <= np.iinfo(kind).max)


def block_bytes(block: Block) -> bytes:
    """The bytes of a file of codes: equal arrays give equal bytes."""
    head = {
        name: {column: [one.dtype, one.form, one.codes.dtype.str, len(one.codes)] for column, one in columns.items()}
        for name, columns in block.items()
    }
    codes = (one.codes for columns in block.values() for one in columns.values())
    return b"".join((json.dumps(head, separators=(",", ":")).encode(), b"\n", *(one.tobytes() for one in codes)))


def read_block(content: bytes) -> dict[str, dict[str, Coded]]:
    """The arrays in the bytes of a file of codes. Raises ValueError, KeyError or TypeError for anything else."""
    end = content.index(b"\n")
    at = end + 1
    found: dict[str, dict[str, Coded]] = {}
    for name, columns in json.loads(content[:end]).items():
        found[name] = {}
        for column, (dtype, form, kind, length) in columns.items():
            codes = np.frombuffer(content, kind, length, at)
            at += codes.nbytes
            found[name][column] = Coded(dtype, form, codes)
    return found


def codes_path(folder: Path, sha256: str) -> Path:
    """Path of a file of codes in `folder`."""
    return folder / f"{sha256}.codes"


def read_codes(path: Path, name: str) -> dict[str, NDArray[Any]]:
    """The columns of an array in a file of codes. Raises RequestError where the file is damaged or lacks the array."""
    block = _block(path, path.stat().st_mtime_ns)
    if name not in block:
        raise RequestError(f"{path}: contains no array '{name}'")
    return {column: one.values for column, one in block[name].items()}


@functools.lru_cache(maxsize=8)
def _block(path: Path, written: int) -> dict[str, dict[str, Coded]]:
    """The arrays of a file `written` then: those of a record are read one after the other."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise RequestError(f"{path}: per-query arrays were changed after they were written; submit the cell again")
    try:
        return read_block(content)
    except Exception as error:  # damaged bytes raise almost anything
        raise RequestError(f"{path}: no file of codes ({error})") from error
