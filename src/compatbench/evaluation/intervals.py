"""Counts thresholds above scores, for many scores a threshold."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.evaluation.compiled import compiled

CELLS = 16
"""Cells a threshold: enough that hardly two share one, few enough for the cache."""

Scores = NDArray[np.float32]


def above(scores: Scores, thresholds: Scores) -> NDArray[np.int32]:
    """#{p: thresholds[b, p] > scores[b, m]} as (B, M), for thresholds (B, P ≥ 1), highest first, and scores (B, M).

    Equals a binary search in the thresholds, and is several times faster: scores and thresholds are dropped into
    cells, by a non-decreasing function of the score, rounding included. A score then passes what lies in lower
    cells; the one threshold of its own cell, if any, is compared, and only where there are more is searched.
    """
    rows, number = thresholds.shape
    ascending = thresholds[:, ::-1]
    if (functions := compiled()) is not None:
        return functions.count_above(scores, np.ascontiguousarray(ascending))
    top = max(CELLS * number, 2**9)
    scale = np.float32(top - 2) / np.maximum(ascending[:, -1:] - ascending[:, :1], np.float32(1e-20))
    begin = (top + 1) * np.arange(rows, dtype=np.float32)[:, None]  # of each row's cells, one row after the other
    shift = begin + 1 - ascending[:, :1] * scale

    def cell_of(values: Scores) -> NDArray[np.int32]:
        position = values * scale
        position += shift
        np.clip(position, begin, begin + np.float32(top), out=position)
        cells: NDArray[np.int32] = position.astype(np.int32)
        return cells

    edges = cell_of(ascending)
    ends = begin.astype(np.int32)
    lengths = np.diff(edges, prepend=ends, append=ends + (top + 1))
    counts = np.repeat(np.tile(np.arange(number, -1, -1, dtype=np.int32), rows), lengths.ravel())
    limits = np.full(len(counts), -np.inf, dtype=np.float32)
    limits[edges] = ascending
    limits[edges[:, 1:][edges[:, 1:] == edges[:, :-1]]] = np.nan

    cells = torch.from_numpy(cell_of(scores)).view(-1)
    found, limit = (torch.from_numpy(one).index_select(0, cells).numpy() for one in (counts, limits))
    found, limit = found.reshape(scores.shape), limit.reshape(scores.shape)
    found += scores < limit
    crowded = np.isnan(limit)
    for row in np.flatnonzero(crowded.any(axis=1)):
        several = crowded[row]
        found[row, several] = number - np.searchsorted(ascending[row], scores[row, several], side="right")
    return found
