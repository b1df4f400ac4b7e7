"""Vectors whose inner products rank a gallery as the asked distance does."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from compatbench.errors import InvalidResultError

Distance = Literal["cosine", "l2"]


def ranking_vectors(query: Tensor, gallery: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Query (Q, D) and gallery (N, D) to float32 pairs whose inner product grows as the distance shrinks.

    Cosine: unit vectors. L2: `−½‖q − g‖² + ½‖q‖² = q·g − ½‖g‖²`, where ½‖q‖² is the same for a query's whole
    ranking, as one inner product of [q, 1] and [g, −½‖g‖²]; both sides are first moved by the gallery's mean
    and scaled alike, which changes no ranking and keeps float32 from cancelling. All inner products lie in
    [−2, 2]. Raises InvalidResultError for vectors that are NaN, infinite or zero.
    """
    query, gallery = query.float(), gallery.float()
    query_norms, gallery_norms = valid_norms(query, "query"), valid_norms(gallery, "gallery")
    if distance == "cosine":
        return query / query_norms, gallery / gallery_norms
    centre = gallery.mean(dim=0)
    query, gallery = query - centre, gallery - centre
    radius = max(float(torch.linalg.vector_norm(side, dim=1).max()) for side in (query, gallery)) or 1.0
    query, gallery = query / radius, gallery / radius
    offsets = gallery.square().sum(dim=1, keepdim=True) / -2
    return torch.cat([query, torch.ones_like(query[:, :1])], dim=1), torch.cat([gallery, offsets], dim=1)


def valid_norms(values: Tensor, side: str) -> Tensor:
    """Euclidean norms (N, 1) of `values` (N, D). Raises InvalidResultError for NaN, infinite or zero vectors."""
    norms = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    for what, bad in (("NaN or infinite", ~torch.isfinite(norms)), ("zero", norms == 0)):
        if count := int(bad.sum()):
            first = int(bad.squeeze(1).nonzero()[0])
            raise InvalidResultError(f"{side}: {count} of {len(values)} vectors are {what}, the first is row {first}")
    return norms
