"""The table of an index search between two files of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from compatbench.report.render.table import Column, Group, Row, Table, TableCell, Unit
from compatbench.report.tables.index_search import SPEED_COLUMNS
from compatbench.vocabulary import IndexKind

if TYPE_CHECKING:
    from compatbench.comparison.embedding_search import FileSearch


def search_table(searches: Sequence[FileSearch], title: str, items: int, threads: int) -> Table:
    """One line an index and set of queries."""
    numbers = searches[0].numbers
    recall, *speed = SPEED_COLUMNS
    recall = replace(
        recall,
        title=f"recall@{numbers.k}",
        description=f"Share of the first {numbers.k} that are as near as exact search's number {numbers.k}.",
    )
    return Table(
        name="search",
        title=title,
        caption=f"Faiss, {items:,} vectors, {numbers.queries:,} queries that each skip themselves, {threads} "
        f"thread{'s' if threads > 1 else ''}; every number is the median of {numbers.repeats} repeats. Recall is "
        "against exact search of the same queries on the same vectors: how well the index does, not how good the "
        "vectors are.",
        columns=(Column("searched", "searched", "What was asked of which index.", Unit.TEXT), recall, *speed),
        groups=tuple(
            Group(index.heading, tuple(_row(one) for one in searches if one.index == index))
            for index in IndexKind
            if any(one.index == index for one in searches)
        ),
    )


def _row(one: FileSearch) -> Row:
    values = asdict(one.numbers) | {"build_seconds": one.build_seconds, "bytes_per_vector": one.bytes_per_vector}
    return Row(
        {"searched": TableCell(one.searched), **{column.key: TableCell(values[column.key]) for column in SPEED_COLUMNS}}
    )
