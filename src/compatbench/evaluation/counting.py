"""How many scores of a row reach each of the row's thresholds: the inner loop of exact retrieval scoring.

Sorting every row answers it, and on a GPU that is what is done. On a CPU such a sort can cost more than the
matrix product that made the scores. So there the scores are dropped into cells, and only those that share a
cell with a threshold are compared one by one. Both ways are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FLOOR = -4.0
"""A score below all inner products of `ranking_vectors`; masked entries hold it."""

_SLAB_SCORES = 2**17
"""Scores worked on at once by one thread: few enough for its cache, enough to hide the calls' overhead."""

Scores = NDArray[np.float32]


def sort_rows(scores: Tensor) -> None:
    """Sort each row of `scores` (B, N) in place, lowest first."""
    if scores.device.type != "cpu":
        scores.copy_(scores.sort(dim=1).values)
        return
    rows = scores.numpy()
    _in_threads(lambda part: rows[part].sort(axis=1), len(rows))


def count_reaching(scores: Tensor, thresholds: Tensor, valid: Tensor) -> Tensor:
    """#{j: scores[b, j] ≥ thresholds[b, p]} as (B, P) int64, for scores (B, N) and ascending thresholds (B, P).

    Of row b only the last `valid[b]` thresholds count, the others are FLOOR; their results mean nothing.
    """
    if scores.device.type != "cpu":
        return scores.shape[1] - torch.searchsorted(scores.sort(dim=1).values, thresholds)
    result = np.empty(thresholds.shape, dtype=np.int64)
    rows, limits, numbers = scores.numpy(), thresholds.numpy(), valid.numpy()
    cells = min(max(16 * limits.shape[1], 4096), 2 * rows.shape[1] + 64, _SLAB_SCORES)
    height = max(1, _SLAB_SCORES // max(cells, rows.shape[1]))

    def count(part: slice) -> None:
        for first in range(part.start, part.stop, height):
            slab = slice(first, min(first + height, part.stop))
            result[slab] = _count_in_cells(rows[slab], limits[slab], numbers[slab], cells)

    _in_threads(count, len(rows))
    return torch.from_numpy(result)


def _in_threads(work: Callable[[slice], None], rows: int) -> None:
    """Share `rows` among as many threads as torch uses; array operations let go of the interpreter's lock.

    Each of them runs torch's own operations alone: teams of threads within threads took twice the time.
    """
    threads = torch.get_num_threads()
    edges = np.linspace(0, rows, threads + 1).astype(int).tolist()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(work, map(slice, edges[:-1], edges[1:])))
    finally:
        torch.set_num_threads(threads)


def _count_in_cells(scores: Scores, thresholds: Scores, valid: NDArray[np.int64], cells: int) -> NDArray[np.int64]:
    """`count_reaching` for a few rows, each with `cells` cells (fewer than 2²⁴ in all, the integers of float32).

    A score's cell is a non-decreasing function of the score, rounding included. So a score in a higher cell
    than a threshold is above it, one in a lower cell is below it, and only scores in the very cell of some
    threshold ("contested") have to be compared. The thresholds spread over all cells but the first and the last,
    which take what lies below and above them.
    """
    height = len(scores)
    lowest = thresholds[np.arange(height), -np.maximum(valid, 1)][:, None]
    thresholds = np.maximum(thresholds, lowest)
    scale = np.float32(cells - 3) / np.maximum(thresholds[:, -1:] - lowest, np.float32(1e-20))
    first = np.arange(height, dtype=np.float32)[:, None] * np.float32(cells)
    last = first + np.float32(cells - 1)
    shift = first + 1 - lowest * scale

    def cell_of(values: Scores) -> NDArray[np.int32]:
        position = values * scale
        position += shift
        cell = np.empty(values.shape, dtype=np.int32)
        return np.clip(position, first, last, out=cell, casting="unsafe")

    score_cells, threshold_cells = cell_of(scores), cell_of(thresholds).astype(np.intp)
    occupied = np.zeros((height, cells), dtype=np.bool_)
    occupied.ravel()[threshold_cells] = True
    # torch looks up and counts by int32, which numpy would first widen
    flat_cells = torch.from_numpy(score_cells).view(-1)
    contested = torch.from_numpy(occupied).view(-1).index_select(0, flat_cells).numpy().reshape(scores.shape)
    settled = torch.bincount(flat_cells, minlength=occupied.size).numpy().reshape(occupied.shape)
    settled.ravel()[threshold_cells] = 0
    up_to = settled.cumsum(axis=1)
    counts: NDArray[np.int64] = up_to[:, -1:] - up_to.ravel().take(threshold_cells)
    for row in range(height):
        rivals = scores[row].take(np.flatnonzero(contested[row]))
        rivals.sort()
        counts[row] += len(rivals) - np.searchsorted(rivals, thresholds[row])
    return counts
