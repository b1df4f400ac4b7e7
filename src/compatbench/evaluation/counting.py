"""How many irrelevant scores of a row reach each relevant one: the inner loop of exact retrieval scoring.

Every row is sorted, its relevant scores among the others, and the positions of the relevant ones tell. On a CPU
numpy's vectorised sort of 32-bit integers does it, so a score and a mark of relevance are packed into one.
"""

from __future__ import annotations

import functools
import os
from importlib.util import find_spec
from shutil import which

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FLOOR = -1.75
"""A score below all inner products of `similarity.Ranking`; masked entries hold it."""

COMPARED = 256
"""On a GPU, so many relevant items at most are compared with all scores; for more the scores are sorted."""

_SLAB_SCORES = 2**18
"""Scores worked on at once: few enough for the cache, enough to hide the calls' overhead."""


def count_ahead(scores: Tensor, relevant: Tensor) -> Tensor:
    """#{j: scores[b, j] ≥ the p-th lowest of relevant[b]} as (B, P) int64, for scores (B, N) and relevant (B, P).

    All are float32 in (−2, 2); rows with fewer than P relevant items hold FLOOR in place of the missing ones, whose
    counts mean nothing.
    """
    if scores.device.type != "cpu":
        thresholds = relevant.sort(dim=1).values
        if scores.is_cuda and relevant.shape[1] <= COMPARED and _has_compiler():
            from compatbench.evaluation.counting_on_gpu import count_by_comparison

            return count_by_comparison(scores, thresholds)
        return scores.shape[1] - torch.searchsorted(scores.sort(dim=1).values, thresholds)
    result = np.empty(relevant.shape, dtype=np.int64)
    others, own = scores.numpy(), relevant.numpy()
    height = max(1, _SLAB_SCORES // (others.shape[1] + own.shape[1]))

    # written over slab by slab: fresh memory for each would cost as much as its passes
    room = np.empty((2, height, others.shape[1] + own.shape[1]), dtype=np.int32)
    for first in range(0, len(others), height):
        slab = slice(first, min(first + height, len(others)))
        result[slab] = _count_in_slab(others[slab], own[slab], room[:, : slab.stop - first])
    return torch.from_numpy(result)


@functools.cache
def _has_compiler() -> bool:
    """Whether torch came with Triton, and the machine has the C compiler that it needs."""
    compilers = (os.environ.get("CC", "cc"), "gcc", "clang")
    return find_spec("triton") is not None and any(which(one) for one in compilers)


def _count_in_slab(
    scores: NDArray[np.float32], relevant: NDArray[np.float32], room: NDArray[np.int32]
) -> NDArray[np.int64]:
    """`count_ahead` for a few rows, with room (2, B, N + P) to work in."""
    keys, spare = room
    items, number = scores.shape[1], relevant.shape[1]
    # −0.0 becomes 0.0, and what is a float takes its place among the keys as the integer of the same bits
    np.add(scores, np.float32(0), out=keys.view(np.float32)[:, :items])
    np.add(relevant, np.float32(0), out=keys.view(np.float32)[:, items:])
    # the bits of positive floats ascend as they do, those of negative ones descend and are flipped; (−2, 2) leaves
    # the bit after the sign unused, so that without it there is room for a mark
    np.right_shift(keys, 31, out=spare)
    keys <<= 1
    keys ^= spare
    keys[:, :items] |= 1  # an irrelevant item ranks ahead of a relevant one of the same score
    keys[:, items:] &= ~1
    keys.sort(axis=1)
    keys &= 1
    places = np.flatnonzero(keys == 0).reshape(len(keys), number)
    places -= keys.shape[1] * np.arange(len(keys))[:, None]
    ahead: NDArray[np.int64] = keys.shape[1] - np.arange(number, 0, -1) - places
    return ahead
