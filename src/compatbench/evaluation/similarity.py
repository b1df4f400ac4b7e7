"""Vectors whose inner products rank a gallery as the asked distance does."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from compatbench.errors import InvalidResultError

Distance = Literal["cosine", "l2"]


def ranking_vectors(query: Tensor, gallery: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Float32 query (Q, D) and gallery (N, D) to pairs whose inner product grows as the distance shrinks.

    Cosine: unit vectors. L2: `q·g − ½‖g‖² = ½‖q‖² − ½‖q − g‖²`, where ½‖q‖² is the same for a query's whole
    ranking, as the inner product of [q, 1] and [g, −½‖g‖²], both sides scaled into the unit ball. All inner
    products lie in [−2, 2]. Overwrites the vectors it is given; zero vectors stay zero.
    """
    norms = [torch.linalg.vector_norm(side, dim=1, keepdim=True) for side in (query, gallery)]
    if distance == "cosine":
        for side, lengths in zip((query, gallery), norms, strict=True):
            side.div_(lengths.clamp(min=torch.finfo(torch.float32).tiny))
        return query, gallery
    longest = max(float(lengths.max()) for lengths in norms)
    scale = 2.0 ** -math.ceil(math.log2(longest))  # a power of two keeps equal distances equal
    query *= scale
    gallery *= scale
    offsets = gallery.square().sum(dim=1, keepdim=True) / -2
    return torch.cat([query, torch.ones_like(query[:, :1])], dim=1), torch.cat([gallery, offsets], dim=1)


def valid_norms(values: Tensor, side: str) -> Tensor:
    """Euclidean norms (N, 1) of `values` (N, D). Raises InvalidResultError for NaN, infinite or zero vectors."""
    norms: Tensor = torch.linalg.vector_norm(values, dim=1, keepdim=True, dtype=torch.float32)
    for what, bad in (("NaN or infinite", ~torch.isfinite(norms)), ("zero", norms == 0)):
        if count := int(bad.sum()):
            first = int(bad.squeeze(1).nonzero()[0])
            raise InvalidResultError(f"{side}: {count} of {len(values)} vectors are {what}, the first is row {first}")
    return norms
