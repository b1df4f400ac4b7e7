"""The queries that an upgrade breaks worst, with the first items of both systems, for the record."""

from __future__ import annotations

import torch

from compatbench.evaluation.flips import worst_negative_flips
from compatbench.evaluation.neighbours import first_items
from compatbench.measurement.served_chain import ServedChain
from compatbench.measurement.upgrade import MatrixResults
from compatbench.records.record import WorstFlip

WORST = 12
"""Queries of each system."""
SHOWN = 5
"""Items that each of them finds first."""


def worst_flips(chain: ServedChain, results: MatrixResults) -> list[WorstFlip]:
    """Worst negative flips of the newest generation against the one before, on its gallery and on an own one."""
    new, old = chain.upgrade
    found = []
    for gallery in (old, new):
        before, after = results[str(old), str(old)], results[str(new), str(gallery)]
        rows = torch.from_numpy(worst_negative_flips(before, after, WORST))
        if not len(rows):
            continue
        first, second = (
            first_items(queries.at(rows), documents, SHOWN)
            for queries, documents in (chain.pair(old, old), chain.pair(new, gallery))
        )
        for place, sample in enumerate(before.ids[rows].tolist()):
            found.append(
                WorstFlip(
                    query_generation=str(new),
                    gallery_generation=str(gallery),
                    id=sample,
                    old_top=first.ids[place].tolist(),
                    old_right=first.right[place].tolist(),
                    new_top=second.ids[place].tolist(),
                    new_right=second.right[place].tolist(),
                )
            )
    return found
