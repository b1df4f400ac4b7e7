"""Positions of ids in a list of ids. Knows nothing of torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[Any]
"""Whole numbers or text."""


class IdLookup:
    """Finds ids among N ≥ 1 given ones, sorted once."""

    def __init__(self, ids: Ids) -> None:
        self.ids = ids
        self._order = np.argsort(ids)

    def rows(self, wanted: Ids) -> NDArray[np.intp]:
        """(n,) the row of each of `wanted`, −1 if it is missing; of equal ids any row."""
        if {self.ids.dtype.kind, wanted.dtype.kind} == {"i", "u"}:  # numpy would search them as rounded float64
            held = np.iinfo(self.ids.dtype)
            inside = (wanted >= held.min) & (wanted <= held.max)
            return np.where(inside, self.rows(wanted.astype(self.ids.dtype)), -1)
        nearest = self._order[np.searchsorted(self.ids, wanted, sorter=self._order).clip(max=len(self.ids) - 1)]
        return np.where(self.ids[nearest] == wanted, nearest, -1)

    def repeated(self) -> Ids:
        """Ids with more than one row, ascending."""
        ascending = self.ids[self._order]
        return np.unique(ascending[1:][ascending[1:] == ascending[:-1]])
