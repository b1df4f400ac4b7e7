"""Pair verification, on a list of pairs: accuracy in folds and TAR, each also at the threshold of another system.

Knows nothing of torch but where pairs are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compatbench.data.id_lookup import IdLookup
from compatbench.data.pairs import Pairs
from compatbench.evaluation.acceptance import allowed_pairs
from compatbench.evaluation.arrays import StoredColumns
from compatbench.evaluation.retrieval import Vectors, ranking_of
from compatbench.vocabulary import Similarity


@dataclass(frozen=True, eq=False)
class ScoredPairs(StoredColumns):
    """Cosines of P pairs, in the order of the list. All arrays are (P,)."""

    score: NDArray[np.float32]
    same: NDArray[np.int64]
    """1 where both images show the same identity, else 0."""
    fold: NDArray[np.int64]


def score_pairs(query: Vectors, gallery: Vectors, pairs: Pairs) -> ScoredPairs:
    """The cosine of each pair, its first image from `query` and its second one from `gallery`.

    A pair of which an image is missing there is left out. Raises InvalidResultError for vectors without direction.
    """
    first = IdLookup(query.ids.cpu().numpy()).rows(pairs.first)
    second = IdLookup(gallery.ids.cpu().numpy()).rows(pairs.second)
    there = (first >= 0) & (second >= 0)
    ranking = ranking_of(Similarity.COSINE, query, gallery)
    one = ranking.query(query.values[first[there]].float())
    other = ranking.gallery(gallery.values[second[there]].float())
    scores = (one * other).sum(dim=1)
    return ScoredPairs(scores.cpu().numpy(), pairs.same[there].astype(np.int64), pairs.fold[there])


def correct(system: ScoredPairs, tuned_on: ScoredPairs) -> NDArray[np.bool_]:
    """(P,) whether `system` judges each pair rightly, at the best threshold of `tuned_on` on the other folds.

    With itself as `tuned_on` this is the protocol of LFW (Huang et al., 2007, view 2), else threshold transfer. A list
    without folds is judged at the threshold that is best on all of it. Raises ValueError if the pairs differ.
    """
    if not (np.array_equal(system.same, tuned_on.same) and np.array_equal(system.fold, tuned_on.fold)):
        raise ValueError("both systems must have scored the same pairs")
    right = np.empty(len(system.score), dtype=bool)
    folds = np.unique(system.fold)
    for fold in folds:
        inside = system.fold == fold
        others = ~inside if len(folds) > 1 else inside
        limit = best_threshold(tuned_on.score[others], tuned_on.same[others])
        right[inside] = (system.score[inside] > limit) == system.same[inside]
    return right


def best_threshold(scores: NDArray[np.float32], same: NDArray[np.int64]) -> float:
    """The threshold above which "same" is right most often: half-way between its two neighbouring scores.

    Of several equally good ones the highest. ∞ where nothing should be accepted, −∞ where everything should.
    """
    order = np.argsort(-scores, kind="stable")
    descending, is_same = scores[order].astype(np.float64), same[order]
    # right if the first i are accepted: the same pairs among them, and the different ones behind
    right = np.concatenate(([0], np.cumsum(is_same))) + np.concatenate(([0], np.cumsum(is_same - 1))) + (1 - same).sum()
    right[1:-1][np.diff(descending) == 0] = -1  # equal scores are accepted together
    accepted = int(right.argmax())
    edges = np.concatenate(([np.inf], descending, [-np.inf]))
    if accepted in (0, len(scores)):
        return float(edges[0 if accepted == 0 else -1])
    return float((edges[accepted] + edges[accepted + 1]) / 2)


def accepted_same(system: ScoredPairs, tuned_on: ScoredPairs, rates: Sequence[float]) -> list[NDArray[np.bool_]]:
    """For each rate, the same pairs that `system` accepts at the threshold of `tuned_on`.

    That is the lowest score of `tuned_on` above which at most this share of its different pairs lies.
    """
    impostors = np.sort(tuned_on.score[tuned_on.same == 0])[::-1]
    found = []
    for rate in rates:
        allowed = allowed_pairs(rate, len(impostors))
        limit = impostors[allowed] if allowed < len(impostors) else -np.inf
        found.append(system.score[system.same == 1] > limit)
    return found
