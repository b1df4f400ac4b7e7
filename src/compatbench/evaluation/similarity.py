"""Vectors whose inner products rank a gallery as the asked distance does."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from compatbench.errors import InvalidResultError

Distance = Literal["cosine", "l2"]


def ranking_vectors(query: Tensor, gallery: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Query (Q, D) and gallery (N, D) to float32 pairs whose inner product grows as the distance shrinks.

    Cosine: unit vectors. L2: `q·g − ½‖g‖² = ½‖q‖² − ½‖q − g‖²`, where ½‖q‖² is the same for a query's whole
    ranking, as the inner product of [q, 1] and [g, −½‖g‖²], both sides scaled into the unit ball. All inner
    products lie in [−2, 2]. Raises InvalidResultError for vectors that are NaN, infinite or zero.
    """
    query, gallery = query.float(), gallery.float()
    query_norms, gallery_norms = valid_norms(query, "query"), valid_norms(gallery, "gallery")
    if distance == "cosine":
        return (
            torch.div(query, query_norms, out=uninitialised(*query.shape, device=query.device)),
            torch.div(gallery, gallery_norms, out=uninitialised(*gallery.shape, device=gallery.device)),
        )
    longest = max(float(query_norms.max()), float(gallery_norms.max()))
    scale = 2.0 ** -math.ceil(math.log2(longest))  # a power of two keeps equal distances equal
    query, gallery = query * scale, gallery * scale
    offsets = gallery.square().sum(dim=1, keepdim=True) / -2
    return torch.cat([query, torch.ones_like(query[:, :1])], dim=1), torch.cat([gallery, offsets], dim=1)


def valid_norms(values: Tensor, side: str) -> Tensor:
    """Euclidean norms (N, 1) of `values` (N, D). Raises InvalidResultError for NaN, infinite or zero vectors."""
    norms: Tensor = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    for what, bad in (("NaN or infinite", ~torch.isfinite(norms)), ("zero", norms == 0)):
        if count := int(bad.sum()):
            first = int(bad.squeeze(1).nonzero()[0])
            raise InvalidResultError(f"{side}: {count} of {len(values)} vectors are {what}, the first is row {first}")
    return norms


def uninitialised(*shape: int, device: torch.device) -> Tensor:
    """A float32 tensor to write to. On the CPU it is numpy's, which asks for huge pages: fewer page faults."""
    if device.type == "cpu":
        return torch.from_numpy(np.empty(shape, dtype=np.float32))
    return torch.empty(shape, device=device)
