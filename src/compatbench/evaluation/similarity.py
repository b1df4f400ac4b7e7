"""Vectors with inner products in the order of the chosen similarity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from compatbench.errors import InvalidResultError
from compatbench.vocabulary import Similarity


@dataclass(frozen=True)
class Ranking:
    """Maps float32 vectors to vectors with inner products that rank by a similarity.

    Cosine: unit vectors. Inner product: the vectors, scaled. L2: `q·g − ½‖g‖² = ½‖q‖² − ½‖q − g‖²`, where ½‖q‖² is the
    same for a query's whole ranking, as the inner product of [q, 1] and [g, −½‖g‖²], both scaled. All inner products
    lie in [−1.5, 2). The maps overwrite the vectors that they are given; zero vectors stay zero.
    """

    similarity: Similarity
    scale: float
    """Not of cosine."""
    across_queries: bool = False
    """Scores by L2 are −½‖q − g‖², so that one threshold means the same for all queries."""

    @classmethod
    def of(cls, similarity: Similarity, longest: float, *, across_queries: bool = False) -> Ranking:
        """For vectors no longer than `longest`."""
        scale = 2.0 ** -math.ceil(math.log2(longest))  # a power of two keeps equal distances equal
        return cls(similarity, scale / 2 if across_queries else scale, across_queries)

    def query(self, values: Tensor) -> Tensor:
        """(Q, D) to (Q, D), or for L2 to (Q, D + 1) or, across queries, (Q, D + 2)."""
        if self.similarity == Similarity.COSINE:
            return _unit(values)
        values.mul_(self.scale)
        if self.similarity == Similarity.DOT:
            return values
        return torch.cat([values, torch.ones_like(values[:, :1]), *([_half(values)] * self.across_queries)], dim=1)

    def gallery(self, values: Tensor) -> Tensor:
        """(N, D) to (N, D), or for L2 to (N, D + 1) or, across queries, (N, D + 2)."""
        if self.similarity == Similarity.COSINE:
            return _unit(values)
        values.mul_(self.scale)
        if self.similarity == Similarity.DOT:
            return values
        return torch.cat([values, _half(values), *([torch.ones_like(values[:, :1])] * self.across_queries)], dim=1)


def _half(values: Tensor) -> Tensor:
    """−½‖v‖²."""
    return values.square().sum(dim=1, keepdim=True) / -2


def _unit(values: Tensor) -> Tensor:
    lengths = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    return values.div_(lengths.clamp(min=torch.finfo(torch.float32).tiny))


def valid_norms(values: Tensor, side: str) -> Tensor:
    """Euclidean norms (N, 1) of `values` (N, D). Raises InvalidResultError for NaN, infinite or zero vectors."""
    norms: Tensor = torch.linalg.vector_norm(values, dim=1, keepdim=True, dtype=torch.float32)
    for what, bad in (("NaN or infinite", ~torch.isfinite(norms)), ("zero", norms == 0)):
        if count := int(bad.sum()):
            first = int(bad.squeeze(1).nonzero()[0])
            raise InvalidResultError(f"{side}: {count} of {len(values)} vectors are {what}, the first is row {first}")
    return norms
