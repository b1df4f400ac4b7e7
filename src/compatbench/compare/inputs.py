"""The items to compare, by both models: read from files, checked, and paired row for row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from compatbench.compare.embedding_formats import Values
from compatbench.compare.embeddings import EmbeddingTable, matching_rows, read_labels, read_table
from compatbench.errors import RequestError

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Items:
    """The same items embedded by the old and by the new model; rows are those of the new table."""

    old: EmbeddingTable
    new: EmbeddingTable
    old_rows: Rows | None
    """(N,) row in `old` of each item; None where it is the same."""
    labels: Values | None
    """(N,) class of each item."""

    def __len__(self) -> int:
        return len(self.new)

    @property
    def has_ids(self) -> bool:
        """The files name their rows; else an item's name is the number of its row."""
        return self.new.ids is not None

    @cached_property
    def ids(self) -> Values:
        """(N,) the name of each item, as text."""
        ids = np.arange(len(self)) if self.new.ids is None else self.new.ids
        return ids.astype(str)

    def new_vectors(self, rows: Rows) -> Tensor:
        """Unit vectors (n, D_n) of these items by the new model."""
        return _unit(self.new.gather(rows))

    def old_vectors(self, rows: Rows) -> Tensor:
        """Unit vectors (n, D_o) of these items by the old model."""
        return _unit(self.old.gather(rows if self.old_rows is None else self.old_rows[rows]))


def read_items(old: Path, new: Path, labels: Path | None = None) -> Items:
    """The items of two files of embeddings, with the classes in them or in `labels`, a .npy in the order of `new`.

    Raises RequestError for files that cannot be read, rows without a counterpart, and classes that contradict.
    """
    old_table, new_table = read_table(old), read_table(new)
    rows = matching_rows(old_table, new_table)
    if len(old_table) != len(new_table):
        matching_rows(new_table, old_table)  # names what the new table lacks
    beside = old_table.labels
    if beside is not None and rows is not None:
        beside = beside[rows]
    classes = new_table.labels if labels is None else read_labels(labels, len(new_table))
    if classes is not None and beside is not None and (row := _different(classes, beside)) is not None:
        source = new_table.name if labels is None else str(labels)
        raise RequestError(
            f"row {row} is of class {classes[row]!s} in {source} and of class {beside[row]!s} in {old_table.name}; "
            "correct one of them, or leave the labels out of one file"
        )
    return Items(old_table, new_table, rows, beside if classes is None else classes)


def _different(classes: Values, others: Values) -> int | None:
    """The first row where they differ, 7 and "7" being the same; None where they do not."""
    if (classes.dtype.kind == "U") != (others.dtype.kind == "U"):
        classes, others = classes.astype(str), others.astype(str)
    rows = np.flatnonzero(classes != others)
    return int(rows[0]) if len(rows) else None


def _unit(vectors: NDArray[np.float32]) -> Tensor:
    return F.normalize(torch.from_numpy(vectors))
