"""The first items of a few queries before and after the upgrade, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.flips import worst_negative_flips
from compatbench.evaluation.neighbours import first_items
from compatbench.machine.seeds import stream
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.parts import ExampleRetrieval, FirstFound, WorstFlip

SHOWN = 5
"""Items that each system finds first."""
QUERIES = 2
"""Drawn ones: enough to look at, few enough for a page with every row of a suite."""
WORST = 3
"""Worst flips of each system: of three seeds as many as a page shows of one system, nearly."""


def example_retrievals(chain: ServedChain) -> list[ExampleRetrieval]:
    """The first items of the old system, new queries on old vectors, and the new system, for the same drawn queries.

    The draw depends on the split alone, so that all methods and seeds of a scenario show the same queries, and none is
    chosen by how it turned out.
    """
    new, old = map(str, chain.upgrade)
    ids = chain.dataset.query.ids
    rows = torch.randperm(len(ids), generator=stream(0, "example retrievals", chain.split_hash))[:QUERIES]
    return [
        ExampleRetrieval(query_generation=new, gallery_generation=old, id=sample, old=before, cross=cross, new=after)
        for sample, before, cross, after in zip(
            ids[rows].tolist(), *(_first(chain, at, rows) for at in chain.systems), strict=True
        )
    ]


def worst_flips(chain: ServedChain, results: Mapping[tuple[str, str], QueryResults]) -> list[WorstFlip]:
    """Worst negative flips of the newest generation against the one before, on its gallery and on an own one."""
    new, old = chain.upgrade
    found = []
    for gallery in (old, new):
        before, after = results[str(old), str(old)], results[str(new), str(gallery)]
        rows = torch.from_numpy(worst_negative_flips(before, after, WORST))
        if not len(rows):
            continue
        first = _first(chain, (old, old), rows), _first(chain, (new, gallery), rows)
        for sample, by_old, by_new in zip(before.ids[rows.numpy()].tolist(), *first, strict=True):
            found.append(
                WorstFlip(
                    query_generation=str(new),
                    gallery_generation=str(gallery),
                    id=sample,
                    old_top=by_old.ids,
                    old_right=by_old.right,
                    new_top=by_new.ids,
                    new_right=by_new.right,
                )
            )
    return found


def _first(chain: ServedChain, at: tuple[int, int], rows: Tensor) -> list[FirstFound]:
    """The first items of each of the queries `rows` in M[query][gallery]."""
    queries, gallery = chain.pair(*at)
    each = zip(*(part.tolist() for part in first_items(queries.at(rows), gallery, SHOWN)), strict=True)
    return [FirstFound(ids=ids, right=right) for ids, right in each]
