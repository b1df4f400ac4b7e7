"""Documents of several vectors, with the rows of each. Knows nothing of torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compatbench.data.vectors.formats.format import Values
from compatbench.data.vectors.pairing import Rows
from compatbench.errors import RequestError


@dataclass(frozen=True, eq=False)
class Documents:
    """N rows sorted into M documents, in the order of their first rows."""

    names: Values
    """(M,) as text."""
    order: Rows
    """(N,) rows, those of one document together."""
    starts: Rows
    """(M + 1,) where the rows of each begin in `order`."""

    @classmethod
    def of(cls, group: Values) -> Documents:
        """From the document (N,) of each row."""
        names, first, codes = np.unique(group, return_index=True, return_inverse=True)
        place = np.empty(len(names), dtype=np.intp)
        place[np.argsort(first)] = np.arange(len(names))
        order = np.argsort(place[codes], kind="stable")
        sizes = np.bincount(place[codes], minlength=len(names))
        return cls(names[np.argsort(first)].astype(str), order, np.concatenate(([0], np.cumsum(sizes))))

    def __len__(self) -> int:
        return len(self.names)

    def sizes(self, documents: Rows) -> Rows:
        """(m,) how many rows each of these has."""
        return self.starts[documents + 1] - self.starts[documents]

    def rows(self, documents: Rows) -> Rows:
        """The rows of these documents, one document after the other."""
        sizes = self.sizes(documents)
        before = np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self.order[np.repeat(self.starts[documents], sizes) + np.arange(sizes.sum()) - before]

    def alike(self, values: Values, what: str) -> Values:
        """(M,) the common value of all rows of a document. Raises RequestError if they differ."""
        shared = values[self.order[self.starts[:-1]]]
        different = np.flatnonzero(np.repeat(shared, np.diff(self.starts)) != values[self.order])
        if len(different):
            name = self.names[np.searchsorted(self.starts, different[0], side="right") - 1]
            raise RequestError(f"document {name} has rows of several {what}; give all of its rows the same one")
        return shared
