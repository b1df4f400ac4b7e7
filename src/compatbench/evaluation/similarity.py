"""Vectors with inner products that rank a gallery by the chosen distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from compatbench.errors import InvalidResultError

Distance = Literal["cosine", "l2"]


@dataclass(frozen=True)
class Ranking:
    """Maps float32 vectors to vectors with inner products that grow as the distance shrinks.

    Cosine: unit vectors. L2: `q·g − ½‖g‖² = ½‖q‖² − ½‖q − g‖²`, where ½‖q‖² is the same for a query's whole
    ranking, as the inner product of [q, 1] and [g, −½‖g‖²], both sides scaled into the unit ball. All inner
    products lie in [−1.5, 2). The maps overwrite the vectors that they are given; zero vectors stay zero.
    """

    scale: float | None
    """Of L2; None for cosine."""

    @classmethod
    def of(cls, distance: Distance, norms: Sequence[Tensor]) -> Ranking:
        """For vectors of these `norms`."""
        if distance == "cosine":
            return cls(None)
        longest = max(float(lengths.max()) for lengths in norms)
        return cls(2.0 ** -math.ceil(math.log2(longest)))  # a power of two keeps equal distances equal

    def query(self, values: Tensor) -> Tensor:
        """(Q, D) to (Q, D), or (Q, D + 1) for L2."""
        if self.scale is None:
            return _unit(values)
        return torch.cat([values.mul_(self.scale), torch.ones_like(values[:, :1])], dim=1)

    def gallery(self, values: Tensor) -> Tensor:
        """(N, D) to (N, D), or (N, D + 1) for L2."""
        if self.scale is None:
            return _unit(values)
        values.mul_(self.scale)
        return torch.cat([values, values.square().sum(dim=1, keepdim=True) / -2], dim=1)


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
