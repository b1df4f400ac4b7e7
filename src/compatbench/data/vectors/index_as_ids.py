"""When the index of a data frame, or the numbers that an index file gives its rows, are ids. Knows nothing of torch.

Nobody called them ids, so beside a table that has neither ids nor an index they say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from compatbench.data.id_lookup import IdLookup
from compatbench.data.vectors.embeddings import EmbeddingTable
from compatbench.data.vectors.formats.format import Values
from compatbench.data.vectors.in_memory import index_of_series
from compatbench.data.vectors.notices import Notice
from compatbench.errors import RequestError

REMEDY = "where rows go together by position, drop their index: reset_index(drop=True)"


def index_as_ids(old: EmbeddingTable, new: EmbeddingTable) -> tuple[EmbeddingTable, EmbeddingTable, list[Notice]]:
    """Both tables, with their index as ids where that pairs their rows, and what is to be said of it.

    Raises RequestError for two indexes that differ and have a name twice.
    """
    tables = (old, new)
    names = [_names(table, other) for table, other in (tables, tables[::-1])]
    first, second = names
    if old.ids is not None and new.ids is not None:
        return old, new, []
    if first is None or second is None:
        return old, new, list(_left_alone(old, new))
    same = old.ids is None and new.ids is None and np.array_equal(first, second)
    repeated = [_repeated(old, first), _repeated(new, second)]
    if same and (first.dtype.kind != "U" or any(repeated)):
        return old, new, []  # paired by position, as by their index
    for table, twice in zip(tables, repeated, strict=True):
        if twice:
            raise RequestError(
                f"{table.name}: its index is to pair the rows, and has {twice} several times: name a column by --ids; "
                f"{REMEDY}"
            )
    said = [Notice("ids", len(table), f"{table.name}: ids from its index") for table in tables if table.ids is None]
    return replace(old, ids=first), replace(new, ids=second), said


def refuse_other_order(labels: object, new: EmbeddingTable) -> None:
    """Raise RequestError for classes in a column of pandas whose index is that of `new` in another order."""
    index = index_of_series(labels)
    if index is None or new.index is None or _counts(index) or _counts(new.index) or np.array_equal(index, new.index):
        return
    if np.array_equal(np.sort(index), np.sort(new.index)):
        raise RequestError(f"labels: their index is that of {new.name} in another order; give them in its order")


def _left_alone(old: EmbeddingTable, new: EmbeddingTable) -> Iterator[Notice]:
    if old.ids is None and new.ids is None:
        for table in (old, new):
            if table.index is not None and not _counts(table.index):
                text = f"{table.name}: its index is left alone: the other table has none, and rows go by position"
                yield Notice("ids", 0, text)


def _names(table: EmbeddingTable, other: EmbeddingTable) -> Values | None:
    """What may name the rows: ids, or an index. One that merely counts says nothing beside text, or other numbers."""
    if table.ids is not None or table.index is None or not _counts(table.index):
        return table.index if table.ids is None else table.ids
    beside = other.index if other.ids is None else other.ids
    if beside is None or beside.dtype.kind == "U":
        return None
    return table.index if other.ids is None or np.isin(beside, table.index).any() else None


def _counts(index: Values) -> bool:
    return np.array_equal(index, np.arange(len(index)))


def _repeated(table: EmbeddingTable, names: Values) -> str:
    """A name of several rows that are not those of one document; empty where there is none."""
    found = IdLookup(names).repeated() if table.ids is None and table.group is None else names[:0]
    return f"{found[0]!s}" if len(found) else ""
