"""The oracle ceiling: the best score of any query vectors on a given gallery."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.evaluation.relevance import Relevance
from compatbench.evaluation.scoring import Chunks

CHUNK_ITEMS = 2**14


def oracle_queries(relevance: Relevance, chunks: Chunks, gallery: str, own_vectors: Tensor) -> Tensor:
    """The normalised mean (Q, D) of each query's relevant items in the version `gallery` of the gallery.

    It knows what is relevant, so it is a ceiling for query maps and no method (protocol §3). `own_vectors` (Q, D) are
    the queries' own vectors there, which are taken out again where a query is among its relevant items.
    """
    sums = torch.zeros(len(relevance.listed), own_vectors.shape[1], dtype=torch.float64)
    offset = 0
    for chunk in chunks(CHUNK_ITEMS):
        vectors = chunk[gallery].cpu().double()
        groups, columns, _ = relevance.listed.between(offset, offset + len(vectors))
        sums.index_add_(0, torch.from_numpy(groups), vectors[torch.from_numpy(columns - offset)])
        offset += len(vectors)
    among = torch.from_numpy(relevance.own_place >= 0)
    totals = sums[torch.from_numpy(relevance.group)] - own_vectors.cpu().double() * among[:, None]
    return F.normalize(totals).float()
