"""How many scores of a row reach each of a row's thresholds: the inner loop of exact retrieval scoring.

A full sort of every row answers it, and on a GPU that is what is done. On a CPU the sort costs more than the
matrix product that made the scores, so rows with many more scores than thresholds are first dropped into
cells, and only the scores that share a cell with a threshold are compared one by one. Both ways are exact.
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

_SORT_BELOW = 32
"""Scores per threshold under which sorting the row is no slower than dropping it into cells."""
_CELLS_PER_THRESHOLD, _MIN_CELLS, _MAX_CELLS = 8, 4096, 65536

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

    Only the last `valid[b]` thresholds of row b count; the other columns of the result mean nothing. On the CPU
    the rows of `scores` serve as working space.
    """
    if scores.device.type != "cpu":
        return scores.shape[1] - torch.searchsorted(scores.sort(dim=1).values, thresholds)
    result = np.zeros(thresholds.shape, dtype=np.int64)
    rows, limits, counts = scores.numpy(), thresholds.numpy(), valid.numpy()

    def count(part: slice) -> None:
        for row in range(part.start, part.stop):
            if counts[row]:
                result[row, -counts[row] :] = _count_row(rows[row], limits[row, -counts[row] :])

    _in_threads(count, len(rows))
    return torch.from_numpy(result)


def _in_threads(work: Callable[[slice], None], rows: int) -> None:
    """Share `rows` among as many threads as torch uses: numpy lets go of the interpreter's lock in long loops."""
    threads = torch.get_num_threads()
    edges = np.linspace(0, rows, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, map(slice, edges[:-1], edges[1:])))


def _count_row(scores: Scores, thresholds: Scores) -> NDArray[np.intp]:
    """`count_reaching` for one row; `scores` (N,) may be reordered, `thresholds` (P,) ascend."""
    if len(scores) > _SORT_BELOW * len(thresholds):
        return _count_in_cells(scores, thresholds)
    scores.sort()
    return len(scores) - np.searchsorted(scores, thresholds)


def _count_in_cells(scores: Scores, thresholds: Scores) -> NDArray[np.intp]:
    """`_count_row` without sorting the row.

    A score's cell is a non-decreasing function of the score, rounding included. So a score in a higher cell
    than a threshold is above it, one in a lower cell is below it, and only scores in the very cell of some
    threshold ("contested") have to be compared. Cells 1 … K span the thresholds; 0 and K + 1 lie outside.
    """
    top = min(max(_MIN_CELLS, _CELLS_PER_THRESHOLD * len(thresholds)), _MAX_CELLS) + 1
    low, high = float(thresholds[0]), float(thresholds[-1])
    scale = (top - 2) / max(high - low, 1e-20)
    shift = 1 - low * scale

    def cell_of(values: Scores) -> NDArray[np.intp]:
        position = values * np.float32(scale)
        position += np.float32(shift)
        np.maximum(position, 0, out=position)
        np.minimum(position, top, out=position)
        return position.astype(np.intp)

    cells, threshold_cells = cell_of(scores), cell_of(thresholds)
    occupied = np.zeros(top + 1, dtype=np.bool_)
    occupied[threshold_cells] = True
    contested = scores[occupied.take(cells)]
    contested.sort()
    settled = np.bincount(cells, minlength=top + 1)
    settled[threshold_cells] = 0
    at_or_below = settled.cumsum()
    above = at_or_below[-1] - at_or_below[threshold_cells]
    return above + len(contested) - np.searchsorted(contested, thresholds)  # type: ignore[no-any-return]
