"""The items to compare, by both models: read from files, checked, and paired row for row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from compatbench.data.vectors.columns import EITHER
from compatbench.data.vectors.documents import Documents
from compatbench.data.vectors.embeddings import EmbeddingTable, VectorSource, read_labels, read_table
from compatbench.data.vectors.formats.format import Values
from compatbench.data.vectors.index_as_ids import index_as_ids, refuse_other_order
from compatbench.data.vectors.notices import Notice
from compatbench.data.vectors.options import DEFAULT, InputOptions
from compatbench.data.vectors.pairing import Checked, Pairing, Rows, pair, select
from compatbench.errors import RequestError
from compatbench.generations.adapters import EQUAL_LENGTHS


@dataclass(frozen=True, eq=False)
class PairedItems:
    """The same items embedded by the old and by the new model, in the order of the new table."""

    old: EmbeddingTable
    new: EmbeddingTable
    old_rows: Rows | None
    """(N,) row in `old` of each item; None where it is the same."""
    new_rows: Rows | None
    """(N,) row in `new` of each item; None where it is the same."""
    labels: Values | None
    """(N,) class of each item."""
    documents: Documents | None = None
    """Which rows each document has, where one may have several; None: each row is one."""
    notices: tuple[Notice, ...] = ()
    lengths: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 1.0), (1.0, 1.0))
    """The least and the greatest length of old and of new vectors."""

    def __len__(self) -> int:
        return len(self.new) if self.new_rows is None else len(self.new_rows)

    @property
    def has_ids(self) -> bool:
        """The files name their rows; else an item's name is the number of its row."""
        return self.new.ids is not None

    @cached_property
    def ids(self) -> Values:
        """(N,) the name of each item, as text."""
        ids = np.arange(len(self.new)) if self.new.ids is None else self.new.ids
        chosen = select(ids, self.new_rows)
        assert chosen is not None
        return chosen.astype(str)

    @property
    def searched(self) -> Values:
        """(M,) the names of everything searched, as text: items, or documents of several rows."""
        return self.ids if self.documents is None else self.documents.names

    @property
    def searched_labels(self) -> Values | None:
        """(M,) the class of each."""
        if self.documents is None or self.labels is None:
            return self.labels
        return self.documents.alike(self.labels, "classes")

    def rows_of(self, searched: Rows) -> Rows:
        """The rows of some of the searched items or documents."""
        return searched if self.documents is None else self.documents.rows(searched)

    @cached_property
    def left_out(self) -> frozenset[str]:
        """The ids, or the documents, that are in either file and not searched, as text."""
        if self.new_rows is None and self.old_rows is None:
            return frozenset()
        tables = self.old, self.new
        every = [np.arange(len(one)) if one.ids is None else one.ids for one in tables]
        if self.documents is not None:
            every = [one.group for one in tables if one.group is not None]
        return frozenset(np.concatenate([names.astype(str) for names in every]).tolist()) - {*self.searched.tolist()}

    def new_vectors(self, rows: Rows) -> Tensor:
        """Unit vectors (n, D_n) of these items by the new model."""
        return _unit(self.raw_new(rows))

    def old_vectors(self, rows: Rows) -> Tensor:
        """Unit vectors (n, D_o) of these items by the old model."""
        return _unit(self.raw_old(rows))

    def raw_new(self, rows: Rows) -> NDArray[np.float32]:
        """The stored new vectors (n, D_n)."""
        return self.new.gather(rows if self.new_rows is None else self.new_rows[rows])

    def raw_old(self, rows: Rows) -> NDArray[np.float32]:
        """The stored old vectors (n, D_o)."""
        return self.old.gather(rows if self.old_rows is None else self.old_rows[rows])


def read_items(
    old: VectorSource,
    new: VectorSource,
    labels: str | Path | ArrayLike | None = None,
    options: InputOptions = DEFAULT,
    *,
    more_old: bool = False,
) -> PairedItems:
    """The items of two files of embeddings, or of two tables in memory, with the classes in them or in `labels`.

    These are an array or a .npy, in the order of `new`. With `more_old` the old file may contain further items. Raises
    RequestError for files that cannot be read, rows without a counterpart, and classes that contradict.
    """
    old_table, new_table = Checked.of(read_table(old, options, "old")), Checked.of(read_table(new, options, "new"))
    return pair_items(old_table, new_table, labels, options, more_old=more_old)


def pair_items(
    old: Checked, new: Checked, labels: str | Path | ArrayLike | None, options: InputOptions, *, more_old: bool = False
) -> PairedItems:
    """The items of two tables, as `read_items` gives them."""
    for role in EITHER:
        asked = getattr(options, role)
        found = [one.table for one in (old, new) if getattr(one.table, role) is not None]
        if asked is not None and not found and (role != "labels" or labels is None):
            raise RequestError(f"neither {old.table.name} nor {new.table.name} has a column '{asked}' for --{role}")
    *tables, said = index_as_ids(old.table, new.table)
    old, new = (replace(one, table=table) for one, table in zip((old, new), tables, strict=True))
    pairing = pair(old, new, options, more_old=more_old)
    refuse_other_order(labels, new.table)
    given = new.table.labels if labels is None else read_labels(labels, len(new.table))
    source = new.table.name if labels is None else str(labels) if isinstance(labels, str | Path) else "labels"
    classes = _of_both(select(given, pairing.new), source, old.table.labels, old.table.name, pairing, "class")
    groups = select(new.table.group, pairing.new), new.table.name, old.table.group, old.table.name
    group = _of_both(*groups, pairing, "document")
    documents = None if group is None else Documents.of(group)
    notices = [*old.table.notices, *new.table.notices, *said, *pairing.notices]
    if documents is not None:
        text = f"{len(documents):,} documents of {len(documents.order):,} vectors, each scored by its best one"
        notices.append(Notice("documents", len(documents), text))
    return PairedItems(
        old.table,
        new.table,
        pairing.old,
        pairing.new,
        classes,
        documents,
        tuple(notices),
        (old.lengths, new.lengths),
    )


def length_notices(items: PairedItems) -> tuple[Notice, ...]:
    """A warning if vectors differ in length, since cosine ignores length."""
    unequal = [
        f"{table.name} ({low:.3g} to {high:.3g})"
        for table, (low, high) in zip((items.old, items.new), items.lengths, strict=True)
        if high > EQUAL_LENGTHS * low
    ]
    if not unequal:
        return ()
    text = f"vectors differ in length, which cosine does not see: {' and '.join(unequal)}; if the index ranks by inner "
    return (Notice("lengths", len(items), f"{text}product or distance, --similarity dot or l2 of compare shows that"),)


def index_length_notices(items: PairedItems) -> tuple[Notice, ...]:
    """A warning for those who map queries, if old vectors differ in length."""
    low, high = items.lengths[0]
    if high <= EQUAL_LENGTHS * low:
        return ()
    text = (
        f"{items.old.name}: old vectors differ in length ({low:.3g} to {high:.3g}), and adapters map directions: an "
        "index that ranks by inner product or distance needs --similarity dot or l2 of apply and export, which gives "
        "mapped vectors the lengths that it expects; by cosine nothing is needed"
    )
    return (Notice("lengths", len(items), text),)


_REMEDY = {
    "class": "correct one of them, or leave the labels out of one file",
    "document": "correct one of them; without ids, rows of both files must be in one order",
}
"""Where files contradict."""


def _of_both(
    given: Values | None, source: str, beside: Values | None, other: str, pairing: Pairing, what: str
) -> Values | None:
    """What the new file, or else the old one, says of each item. Raises RequestError where they contradict."""
    beside = select(beside, pairing.old)
    if given is None or beside is None:
        return beside if given is None else given
    if (row := _different(given, beside)) is not None:
        place = row if pairing.new is None else pairing.new[row]
        said = f"of {what} {given[row]!s} in {source} and of {what} {beside[row]!s} in {other}"
        raise RequestError(f"row {place} is {said}; {_REMEDY[what]}")
    return given


def _different(classes: Values, others: Values) -> int | None:
    """The first row where they differ, 7 and "7" being the same; None where they do not."""
    if (classes.dtype.kind == "U") != (others.dtype.kind == "U"):
        classes, others = classes.astype(str), others.astype(str)
    rows = np.flatnonzero(classes != others)
    return int(rows[0]) if len(rows) else None


def _unit(vectors: NDArray[np.float32]) -> Tensor:
    return F.normalize(torch.from_numpy(vectors))
