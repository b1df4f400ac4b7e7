"""The queries that an upgrade breaks worst, kept in the record with what both systems show for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.flips import worst_negative_flips
from compatbench.evaluation.neighbours import first_items
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.serving import ServedGeneration, pair
from compatbench.records.record import Record, WorstFlip

WORST = 12
"""Queries of each system."""
SHOWN = 5
"""Items that each of them finds first."""


def add_worst_flips(
    record: Record,
    trainer: ChainTrainer,
    served: Sequence[ServedGeneration],
    results: Mapping[tuple[str, str], QueryResults],
) -> None:
    """Worst negative flips of the newest generation against the one before, on its gallery and on an own one."""
    new, old = len(served) - 1, len(served) - 2
    for gallery in (old, new):
        before, after = results[str(old), str(old)], results[str(new), str(gallery)]
        rows = torch.from_numpy(worst_negative_flips(before, after, WORST))
        if not len(rows):
            continue
        first, second = (
            first_items(queries.at(rows), documents, SHOWN)
            for queries, documents in (
                pair(served, trainer, old, old),
                pair(served, trainer, new, gallery),
            )
        )
        for place, sample in enumerate(before.ids[rows].tolist()):
            record.worst_flips.append(
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
