"""How many irrelevant scores of a row reach each relevant one, on a GPU: every score is read once.

A sort of each row would take many times as long as the matrix product that it is for.
"""

from __future__ import annotations

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

BLOCK = 2048
"""Scores that one program holds in its registers."""


@triton.jit  # type: ignore[untyped-decorator]
def _count(scores, thresholds, ahead, items, stride, relevant, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    """Add to row `program_id(1)` of `ahead` what one block of its scores counts for each of the thresholds."""
    row = tl.program_id(1).to(tl.int64)
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    block = tl.load(scores + row * stride + columns, mask=columns < items, other=-float("inf"))
    highest = tl.max(block, axis=0)
    place = row * relevant
    end = place + relevant
    threshold = tl.load(thresholds + place)
    while (place < end) & (threshold <= highest):  # they rise: the block has nothing for the rest
        tl.atomic_add(ahead + place, tl.sum((block >= threshold).to(tl.int32), axis=0))
        place += 1
        threshold = tl.load(thresholds + place, mask=place < end, other=0.0)


def count_by_comparison(scores: Tensor, thresholds: Tensor) -> Tensor:
    """#{j: scores[b, j] ≥ thresholds[b, p]} as (B, P) int32, for scores (B, N) and rising thresholds (B, P)."""
    ahead = torch.zeros(thresholds.shape, dtype=torch.int32, device=scores.device)
    if thresholds.numel():
        grid = (triton.cdiv(scores.shape[1], BLOCK), len(scores))
        _count[grid](
            scores, thresholds.contiguous(), ahead, scores.shape[1], scores.stride(0), thresholds.shape[1], BLOCK
        )
    return ahead
