"""Lists of whole numbers, end to end in one array. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lists:
    """A list of whole numbers, such as sample ids, for each of G rows."""

    values: Numbers
    """(n,) all lists one after the other."""
    starts: Numbers
    """(G + 1,) where each list begins, and where the last one ends."""

    @classmethod
    def of(cls, lists: Sequence[Iterable[int]]) -> Lists:
        """From one collection a row."""
        arrays = [np.fromiter(members, dtype=np.int64) for members in lists]
        starts = np.concatenate(([0], np.cumsum([len(array) for array in arrays]))).astype(np.int64)
        return cls(np.concatenate(arrays) if arrays else np.empty(0, dtype=np.int64), starts)

    @classmethod
    def empty(cls, rows: int) -> Lists:
        """Nothing in any row."""
        return cls(np.empty(0, dtype=np.int64), np.zeros(rows + 1, dtype=np.int64))

    @classmethod
    def grouped(cls, rows: Numbers, values: Numbers, size: int) -> Lists:
        """From values (n,) and the row of each, of `size` rows; every list ascends."""
        order = np.lexsort((values, rows))
        return cls(values[order], np.searchsorted(rows[order], np.arange(size + 1)))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> Numbers:
        return self.values[self.starts[row] : self.starts[row + 1]]

    @property
    def sizes(self) -> Numbers:
        """(G,) length of each list."""
        return np.diff(self.starts)

    @property
    def rows(self) -> Numbers:
        """(n,) the row of each value."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @property
    def places(self) -> Lists:
        """The same lists with each value's place in `values` instead of it."""
        return Lists(np.arange(len(self.values)), self.starts)

    def take(self, rows: Numbers) -> Lists:
        """The lists of these rows, in the order of `rows`."""
        sizes = self.sizes[rows]
        starts = np.concatenate(([0], np.cumsum(sizes)))
        places = np.arange(starts[-1]) + np.repeat(self.starts[:-1][rows] - starts[:-1], sizes)
        return Lists(self.values[places], starts)

    def between(self, first: int, last: int) -> tuple[Numbers, Numbers, Numbers]:
        """Row, value and place within its list of each value from `first` up to, not including, `last`."""
        chosen = np.flatnonzero((self.values >= first) & (self.values < last))
        rows = np.searchsorted(self.starts, chosen, side="right") - 1
        return rows, self.values[chosen], chosen - self.starts[rows]
