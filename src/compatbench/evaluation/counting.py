"""How many irrelevant scores of a row reach each relevant one: the inner loop of exact retrieval scoring.

On a CPU compiled code reads every score once, on a GPU a kernel. Where there is neither, every row is sorted.
"""

from __future__ import annotations

import functools
import os
from importlib.util import find_spec
from shutil import which

import numpy as np
import torch
from torch import Tensor

from compatbench.evaluation.compiled import compiled

FLOOR = -1.75
"""A score below all inner products of `similarity.Ranking`; masked entries hold it."""

COMPARED = 256
"""On a GPU, so many relevant items at most are compared with all scores; for more the scores are sorted."""


def count_ahead(scores: Tensor, relevant: Tensor) -> Tensor:
    """#{j: scores[b, j] ≥ the p-th lowest of relevant[b]} as (B, P) int32, for scores (B, N) and relevant (B, P).

    All are float32 in (−2, 2); rows with fewer than P relevant items hold FLOOR in place of the missing ones, whose
    counts mean nothing.
    """
    if scores.device.type != "cpu":
        thresholds = relevant.sort(dim=1).values
        if scores.is_cuda and relevant.shape[1] <= COMPARED and _has_compiler():
            from compatbench.evaluation.counting_on_gpu import count_by_comparison

            return count_by_comparison(scores, thresholds)
        return scores.shape[1] - torch.searchsorted(scores.sort(dim=1).values, thresholds, out_int32=True)
    others, rising = scores.numpy(), np.sort(relevant.numpy(), axis=1)
    if (functions := compiled()) is not None:
        return torch.from_numpy(functions.count_ahead(others, rising, FLOOR))
    ahead = [len(row) - np.sort(row).searchsorted(own) for row, own in zip(others, rising, strict=True)]
    return torch.from_numpy(np.array(ahead, dtype=np.int32).reshape(rising.shape))


@functools.cache
def _has_compiler() -> bool:
    """Whether torch came with Triton, and the machine has the C compiler that it needs."""
    compilers = (os.environ.get("CC", "cc"), "gcc", "clang")
    return find_spec("triton") is not None and any(which(one) for one in compilers)
