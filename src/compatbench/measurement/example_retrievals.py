"""A few queries with what they find before and after the upgrade, kept in the record for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from compatbench.evaluation.neighbours import FirstItems, first_items
from compatbench.evaluation.retrieval import Vectors
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.serving import ServedGeneration, pair
from compatbench.machine.seeds import stream
from compatbench.records.record import ExampleRetrieval, FirstFound, Record

QUERIES = 2
"""Enough to look at, few enough for a page with every row of a suite."""
SHOWN = 5
"""Items that each system finds first."""


def add_example_retrievals(record: Record, trainer: ChainTrainer, served: Sequence[ServedGeneration]) -> None:
    """What the old system, new queries on old vectors, and the new system find for the same drawn queries.

    The draw depends on the split alone, so that all methods and seeds of a scenario show the same queries, and none is
    chosen by how it turned out.
    """
    new, old = len(served) - 1, len(served) - 2
    count = len(trainer.dataset.query.ids)
    rows = torch.randperm(count, generator=stream(0, "example retrievals", record.split_hash))[:QUERIES]
    before, across, after = (
        _found(*pair(served, trainer, query, gallery), rows) for query, gallery in ((old, old), (new, old), (new, new))
    )
    for place, sample in enumerate(trainer.dataset.query.ids[rows].tolist()):
        record.examples.append(
            ExampleRetrieval(
                query_generation=str(new),
                gallery_generation=str(old),
                id=sample,
                old=_first(before, place),
                cross=_first(across, place),
                new=_first(after, place),
            )
        )


def _found(queries: Vectors, documents: Vectors, rows: torch.Tensor) -> FirstItems:
    return first_items(queries.at(rows), documents, SHOWN)


def _first(found: FirstItems, place: int) -> FirstFound:
    return FirstFound(ids=found.ids[place].tolist(), right=found.right[place].tolist())
