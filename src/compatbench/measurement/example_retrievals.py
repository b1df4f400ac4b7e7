"""The first items of a few queries before and after the upgrade, for people to look at."""

from __future__ import annotations

import torch

from compatbench.evaluation.neighbours import FirstItems, first_items
from compatbench.machine.seeds import stream
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.record import ExampleRetrieval, FirstFound

QUERIES = 2
"""Enough to look at, few enough for a page with every row of a suite."""
SHOWN = 5
"""Items that each system finds first."""


def example_retrievals(chain: ServedChain) -> list[ExampleRetrieval]:
    """The first items of the old system, new queries on old vectors, and the new system, for the same drawn queries.

    The draw depends on the split alone, so that all methods and seeds of a scenario show the same queries, and none is
    chosen by how it turned out.
    """
    new, old = chain.upgrade
    ids = chain.dataset.query.ids
    rows = torch.randperm(len(ids), generator=stream(0, "example retrievals", chain.split_hash))[:QUERIES]
    sides = (chain.pair(*at) for at in chain.systems)
    before, across, after = (first_items(queries.at(rows), documents, SHOWN) for queries, documents in sides)
    return [
        ExampleRetrieval(
            query_generation=str(new),
            gallery_generation=str(old),
            id=sample,
            old=_first(before, place),
            cross=_first(across, place),
            new=_first(after, place),
        )
        for place, sample in enumerate(ids[rows].tolist())
    ]


def _first(found: FirstItems, place: int) -> FirstFound:
    return FirstFound(ids=found.ids[place].tolist(), right=found.right[place].tolist())
