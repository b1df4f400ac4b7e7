"""Verification by cosine: TAR at a false accept rate, and what becomes of it at the threshold of another system.

Many systems do not only rank: they cut, at a threshold that was tuned on the old model's scores. **Threshold
transfer** asks what such a threshold accepts when new queries meet old vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compatbench.evaluation.acceptance import Acceptance
from compatbench.evaluation.counting import FLOOR
from compatbench.evaluation.retrieval import Vectors, full_float32
from compatbench.evaluation.similarity import ranking_vectors, valid_norms

_BLOCK_SCORES = 2**22
"""Scores held at once: 16 MiB."""


class ImpostorScores:
    """Takes in the scores of all impostor pairs in parts, and keeps as many of the highest as tell the thresholds."""

    def __init__(self, pairs: int, rates: Sequence[float]) -> None:
        # 0.29 · 100 is 28.999…
        self._allowed = [int(np.floor(rate * pairs * (1 + 1e-12))) for rate in rates]
        self._count = max(self._allowed, default=0) + 1
        self._kept = np.empty(0, dtype=np.float32)
        self._floor = FLOOR

    def add(self, scores: NDArray[np.float32]) -> None:
        """Take in further cosines, of any shape; FLOOR holds the place of what is no impostor pair."""
        self._kept = np.concatenate((self._kept, scores[scores > self._floor]))
        if len(self._kept) > 2 * self._count:
            self._kept = np.partition(self._kept, -self._count)[-self._count :]
            self._floor = float(self._kept.min())  # what equals the lowest kept one changes no threshold

    def thresholds(self) -> list[float]:
        """For each rate the lowest score above which at most that share of the impostor pairs lies.

        It is the (m + 1)-th highest score, m the most pairs that the rate allows: accepted is what is above it, so
        that ties are rejected together. −∞ where even all pairs are not too many.
        """
        descending = np.sort(self._kept)[::-1]
        return [float(descending[m]) if m < len(descending) else -np.inf for m in self._allowed]


def thresholds(query: Vectors, gallery: Vectors, rates: Sequence[float]) -> list[float]:
    """Cosines above which a pair is accepted, such that at most each of `rates` of the impostor pairs is.

    A gallery item is genuine to a query of its label, or as the query's judgements say. The query's own sample, found
    by id, is no pair, nor is what it is to ignore.
    """
    impostors = ImpostorScores(impostor_pairs(query, gallery), rates)
    for _, scores, _, other in _blocks(query, gallery):
        impostors.add(scores[other].cpu().numpy())
    return impostors.thresholds()


def acceptance(query: Vectors, gallery: Vectors, limits: Sequence[float]) -> list[Acceptance]:
    """What a system accepts at each threshold of `limits`; pairs as in `thresholds`."""
    shape = len(limits), len(query)
    genuine, impostors = np.zeros(len(query), dtype=np.int64), np.zeros(len(query), dtype=np.int64)
    accepted_genuine, accepted_impostors = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for rows, scores, same, other in _blocks(query, gallery):
        genuine[rows], impostors[rows] = same.sum(1).cpu().numpy(), other.sum(1).cpu().numpy()
        for place, limit in enumerate(limits):
            above = scores > limit
            accepted_genuine[place, rows] = (above & same).sum(1).cpu().numpy()
            accepted_impostors[place, rows] = (above & other).sum(1).cpu().numpy()
    ids = query.ids.cpu().numpy()
    return [
        Acceptance(ids, genuine, impostors, accepted_genuine[place], accepted_impostors[place])
        for place in range(len(limits))
    ]


def impostor_pairs(query: Vectors, gallery: Vectors) -> int:
    """How many pairs of the two sides are impostors."""
    return sum(int(other.sum()) for _, _, other in _pairs(query, gallery))


def _blocks(query: Vectors, gallery: Vectors) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Some queries at a time: their rows, their scores (B, N), and which pairs are genuine and which impostors."""
    valid_norms(query.values, "query")
    valid_norms(gallery.values, "gallery")
    queries, items = ranking_vectors(query.values.float().clone(), gallery.values.float().clone(), "cosine")
    for rows, same, other in _pairs(query, gallery):
        with torch.no_grad(), full_float32(query.values.device):
            scores = queries[rows] @ items.T
        yield rows, scores, same, other


def _pairs(query: Vectors, gallery: Vectors) -> Iterator[tuple[slice, Tensor, Tensor]]:
    height = max(1, _BLOCK_SCORES // len(gallery))
    for begin in range(0, len(query), height):
        rows = slice(begin, begin + height)
        pair = query.ids[rows, None] != gallery.ids[None, :]
        if query.judgements is None:
            same = query.labels[rows, None] == gallery.labels[None, :]
        else:
            judged = query.judgements.rows(query.ids[rows].cpu().numpy())
            same, ignored = (
                torch.stack([torch.isin(gallery.ids, torch.from_numpy(lists[row]).to(gallery.ids)) for row in judged])
                for lists in (query.judgements.relevant, query.judgements.ignored)
            )
            pair &= ~ignored
        yield rows, same & pair, ~same & pair
