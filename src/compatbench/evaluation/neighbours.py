"""The first items that a query finds, for people to look at."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.evaluation.retrieval import Vectors, full_float32, score_factors


def nearest_ids(query: Vectors, gallery: Vectors, k: int) -> NDArray[np.int64]:
    """Sample ids (Q, k) of the first `k` gallery items by cosine, best first, ranked as `retrieval.evaluate` ranks.

    A query skips its own sample; of equal scores an irrelevant item comes first. Holds Q × N scores at once, so this
    is for some queries, not for all. Fewer columns where the gallery has fewer items.
    """
    ids, labels = gallery.ids.cpu().numpy(), gallery.labels.cpu().numpy()
    rows, columns = np.arange(len(query)), np.arange(len(gallery))
    with torch.no_grad(), full_float32(query.values.device):
        queries, items = score_factors(query, gallery, rows, columns, "cosine")
        scores = (queries @ items.T)[: len(query), : len(gallery)].cpu().numpy()
    own = ids == query.ids.cpu().numpy()[:, None]
    relevant = labels == query.labels.cpu().numpy()[:, None]
    order = np.lexsort((relevant, -scores, own), axis=1)
    most = len(gallery) - int(own.any(axis=1).max())
    return ids[order[:, : min(k, most)]]
