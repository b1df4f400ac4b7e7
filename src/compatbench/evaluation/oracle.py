"""Queries that know the answer: the mean of their relevant items, on a given gallery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.evaluation.relevance import Relevance
from compatbench.evaluation.retrieval import Side, Vectors, find_relevant
from compatbench.evaluation.scoring import Chunks

CHUNK_ITEMS = 2**14


def oracle_queries(relevance: Relevance, chunks: Chunks, gallery: str, own_vectors: Tensor) -> Tensor:
    """The normalised mean (Q, D) of each query's relevant items in the version `gallery` of the gallery.

    It knows what is relevant, so it is no method; it is no bound either, since another query vector can score higher
    (protocol §3). `own_vectors` (Q, D) are
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


def oracle_side(query: Vectors, gallery: Vectors) -> Side:
    """The same search with the oracle's queries, on the CPU; a query without any keeps its own vector.

    Own vectors are those of the gallery, since another encoder may have embedded the queries.
    """
    order, relevance = find_relevant(query, gallery)
    stored = F.normalize(gallery.values.cpu())[torch.from_numpy(order)]

    def chunks(size: int) -> Iterator[Mapping[str, Tensor]]:
        return ({"": stored[begin : begin + size]} for begin in range(0, len(stored), size))

    found = oracle_queries(relevance, chunks, "", stored[torch.from_numpy(relevance.own).clamp(min=0)])
    found = torch.where(found.any(dim=1, keepdim=True), found, query.values.cpu())
    return replace(query, values=found), gallery
