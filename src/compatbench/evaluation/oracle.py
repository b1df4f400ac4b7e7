"""The oracle ceiling: how well any query vector could do that has to search a given gallery."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.evaluation.streaming import CHUNK_ITEMS, Chunks, Relevant, Rows


def oracle_queries(relevant: Relevant, chunks: Chunks, gallery: str, own_vectors: Tensor) -> Tensor:
    """The normalised mean (Q, D) of each query's relevant items in the version `gallery` of the gallery.

    It knows what is relevant, so it is a ceiling for query maps and no method (protocol §3). `own_vectors` (Q, D) are
    the queries' own vectors there, which are taken out again where a query is among its relevant items.
    """
    sums = torch.zeros(len(relevant.groups), own_vectors.shape[1], dtype=torch.float64)
    group_of, item_of = _by_item(relevant)
    offset = 0
    for chunk in chunks(CHUNK_ITEMS[0]):
        vectors = chunk[gallery].cpu().double()
        first, last = np.searchsorted(item_of, (offset, offset + len(vectors)))
        rows = torch.from_numpy(item_of[first:last] - offset)
        sums.index_add_(0, torch.from_numpy(group_of[first:last]), vectors[rows])
        offset += len(vectors)
    among = torch.from_numpy(relevant.own_place >= 0)
    totals = sums[torch.from_numpy(relevant.group)] - own_vectors.cpu().double() * among[:, None]
    return F.normalize(totals).float()


def _by_item(relevant: Relevant) -> tuple[Rows, Rows]:
    """All (group, item) pairs of groups that a query is in, by item."""
    used = np.unique(relevant.group)
    groups = np.concatenate([np.full(len(relevant.groups[group]), group) for group in used])
    items = np.concatenate([relevant.groups[group] for group in used])
    order = np.argsort(items, kind="stable")
    return groups[order], items[order]
