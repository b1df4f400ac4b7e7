"""Index searches of a record, by searched vectors."""

from __future__ import annotations

from collections.abc import Iterator

from compatbench.records.record import IndexSearch, Record

Entry = tuple[str, str, str]
"""Of what was searched: o or n for the queries, the vectors, and the vectors that the index was trained on."""


def searches_of(record: Record) -> Iterator[tuple[Entry, IndexSearch]]:
    """Every search of a record, with the name of the searched vectors."""
    newest = str(len(record.spec.generations) - 1)
    for one in record.search:
        query, gallery, trained = (
            "n" if generation == newest else "o"
            for generation in (one.query_generation, one.gallery_generation, one.trained_generation)
        )
        yield (query, gallery, trained), one
