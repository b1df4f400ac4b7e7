"""The functions of `counting.c`, if it was compiled when the package was installed: they take a third of the time.

`hatch_build.py` compiles it wherever there is a C compiler, into a file whose name contains the hash of the source, so
that a library of another source is not taken for it.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
from pathlib import Path

import numpy as np
from numpy.ctypeslib import ndpointer
from numpy.typing import NDArray

SOURCE = Path(__file__).with_name("counting.c")

_INT = ctypes.c_int64
_FLOATS = ndpointer(np.float32, flags="C_CONTIGUOUS")
_INTS = ndpointer(np.int32, flags="C_CONTIGUOUS")


def library_path() -> Path:
    """Where the library of this source is, if it was compiled."""
    return SOURCE.with_name(f"counting-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}.so")


class Compiled:
    """The functions of the library at `path`. They let other threads run, and raise MemoryError."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        self._count_ahead = library.count_ahead
        rows = ndpointer(np.float32, ndim=2)
        self._count_ahead.argtypes = [rows, _INT, _INT, _INT, _FLOATS, _INT, ctypes.c_float, _INTS]
        self._count_above = library.count_above
        self._count_above.argtypes = [_FLOATS, _INT, _INT, _FLOATS, _INT, _INTS]
        self._precision_by_step = library.precision_by_step
        flags = ndpointer(np.bool_, flags="C_CONTIGUOUS")
        self._precision_by_step.argtypes = [_INTS, _INTS, _INTS, flags, _INT, _INT, _INT, _INT, _FLOATS, _INTS]

    def count_ahead(self, scores: NDArray[np.float32], rising: NDArray[np.float32], floor: float) -> NDArray[np.int32]:
        """#{n: scores[b, n] ≥ rising[b, p]} as (B, P), for scores (B, N) from `floor` up, and thresholds (B, P)."""
        ahead = np.empty(rising.shape, dtype=np.int32)
        if rising.size:
            stride, rest = divmod(scores.strides[0], scores.itemsize)
            if rest or scores.strides[1] != scores.itemsize:
                raise ValueError(f"scores that follow each other, not {scores.strides} bytes apart")
            _check(self._count_ahead(scores, *scores.shape, stride, rising, rising.shape[1], floor, ahead))
        return ahead

    def count_above(self, scores: NDArray[np.float32], rising: NDArray[np.float32]) -> NDArray[np.int32]:
        """#{p: rising[b, p] > scores[b, n]} as (B, N), for scores (B, N) and rising thresholds (B, P ≥ 1)."""
        above = np.empty(scores.shape, dtype=np.int32)
        _check(self._count_above(scores, *scores.shape, rising, rising.shape[1], above))
        return above

    def precision_by_step(
        self,
        intervals: NDArray[np.int32],
        steps: NDArray[np.int32],
        since: NDArray[np.int32],
        is_new: NDArray[np.bool_],
        number: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Precision (B, S, T) at each threshold in place, else 0, and irrelevant items ahead of the first (B, S).

        For `intervals` (B, 2, N) of the old and new scores, `steps` (N,) of the items, and thresholds, `since`
        (B, T) and `is_new` (B, T); `number` is S.
        """
        rows, _, items = intervals.shape
        precision = np.empty((rows, number, since.shape[1]), dtype=np.float32)
        first = np.empty((rows, number), dtype=np.int32)
        sizes = rows, items, number, since.shape[1]
        _check(self._precision_by_step(intervals, steps, since, is_new, *sizes, precision, first))
        return precision, first


def _check(missing: int) -> None:
    if missing:
        raise MemoryError("no memory to count in")


@functools.cache
def compiled() -> Compiled | None:
    """The compiled functions, or None where there are none for this source and this machine."""
    path = library_path()
    try:
        return Compiled(path) if path.is_file() else None
    except OSError:  # built for another system
        return None
