"""Index search in the report: recall by method, and the speed of each kind of index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compatbench.records.parts import IndexSearch
from compatbench.records.record import Record
from compatbench.report.render.table import Column, Group, Row, Table, TableCell, Unit
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.tables.cells import median_cell
from compatbench.report.tables.method_rows import METHOD, OWN_OLD, grouped, method_row, scenario_table
from compatbench.vocabulary import IndexKind

Searched = tuple[str, str, str]
"""Generation of the queries, of the vectors, and of the vectors that the index was trained on: o or n."""

_ENTRIES: dict[Searched, str] = {
    ("o", "o", "o"): "old queries on old vectors",
    ("n", "o", "o"): "new queries on old vectors",
    ("n", "n", "n"): "new queries on new vectors",
    ("n", "n", "o"): "new queries on new vectors, in the index that was trained on old ones",
}
_RECALLS = {
    (index, entry): Column(
        f"{index}_{''.join(entry)}",
        f"{index.heading} {entry[0]},{entry[1]}" + (" refilled" if entry[1:] == ("n", "o") else ""),
        f"Recall of the {index.heading} index: {text}.",
        Unit.SHARE,
        interval=True,
    )
    for index in (IndexKind.HNSW, IndexKind.IVFPQ)
    for entry, text in _ENTRIES.items()
    if index is IndexKind.IVFPQ or entry[1:] != ("n", "o")
}
SPEED_COLUMNS = (
    Column("recall", "recall@10", "Share of the first ten that are as near as exact search's tenth.", Unit.SHARE, True),
    Column("queries_per_second", "q/s", "Queries a second, all in one call.", Unit.AMOUNT, True),
    Column("p50_ms", "p50 ms", "Latency of a query that is asked alone, median, in milliseconds.", Unit.AMOUNT, True),
    Column("p99_ms", "p99 ms", "The same at the 99th percentile.", Unit.AMOUNT, True),
    Column("build_seconds", "build s", "Training and filling the index, in seconds.", Unit.AMOUNT, True),
    Column("bytes_per_vector", "bytes/vector", "The index as a file, divided by its vectors.", Unit.COUNT),
)
"""Keys are fields of `IndexSearch` and of `FileSearch`."""


def recall_table(scenario: ScenarioRuns, rows: Sequence[MethodRow]) -> Table | None:
    """Recall of all rows with searches in their records; None if there are none."""
    shown = [row for row in rows if any(record.search for record in row.runs.finished)]
    if not shown:
        return None
    return scenario_table(
        scenario,
        "recall",
        "index search",
        "Does an index of old vectors serve new queries? Recall@10 against exact search of the same queries "
        "on the same vectors: how well the index does, not how good the vectors are. o,o: old queries on old "
        "vectors; n,o: the method's new queries on them; n,n: new queries on new vectors; refilled: the index keeps "
        "the centroids and codebooks of the old vectors and holds new ones. Median over seeds, in brackets the "
        "lowest and the highest.",
        (METHOD, *_RECALLS.values()),
        grouped((row.section, _recall_row(row)) for row in shown),
        {OWN_OLD: "with its own old model."},
    )


def index_table(scenario: ScenarioRuns, rows: Sequence[MethodRow]) -> Table | None:
    """Speed and size of each kind of index, over all rows; None if no record contains searches."""
    searches = [one for row in rows for record in row.runs.finished for one in searches_of(record)]
    if not searches:
        return None
    first = searches[0][1]
    groups = []
    for index in IndexKind:
        lines = []
        for entry, text in _ENTRIES.items():
            several = [one for place, one in searches if (place, one.index) == (entry, index)]
            cells = {one.key: median_cell([getattr(each, one.key) for each in several], one) for one in SPEED_COLUMNS}
            lines += [Row({"searched": TableCell(text), **cells})] if several else []
        groups.append(Group(index.heading, tuple(lines)))
    return scenario_table(
        scenario,
        "indexes",
        "kinds of index",
        f"Faiss on one thread, {first.queries:,} queries, each number the median of {first.repeats} repeats; "
        "here the median over all methods and seeds, in brackets the lowest and the highest. Other cells may have "
        "run at the same time: compare times only within this table.",
        (Column("searched", "searched", "What was asked of which index.", Unit.TEXT), *SPEED_COLUMNS),
        tuple(group for group in groups if group.rows),
    )


def searches_of(record: Record) -> Iterator[tuple[Searched, IndexSearch]]:
    """Every search of a record, with the name of the searched vectors."""
    newest = str(len(record.spec.generations) - 1)
    for one in record.search:
        generations = (one.query_generation, one.gallery_generation, one.trained_generation)
        query, gallery, trained = ("n" if generation == newest else "o" for generation in generations)
        yield (query, gallery, trained), one


def _recall_row(row: MethodRow) -> Row:
    searches = [one for record in row.runs.finished for one in searches_of(record)]
    cells = {
        column.key: median_cell([one.recall for place, one in searches if (one.index, place) == (index, entry)], column)
        for (index, entry), column in _RECALLS.items()
    }
    return method_row(row, cells)
