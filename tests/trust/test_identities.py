"""Identities of per-query numbers: they hold for every ranking there is, and break where one number is changed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compatbench.evaluation.arrays import QueryResults
from compatbench.trust.identities import broken_identities


def results_of(rankings: list[list[bool]]) -> QueryResults:
    """Per-query numbers by the definition, from who is relevant at each rank."""
    first, ap, at_r, relevant = [], [], [], []
    found: dict[int, list[int]] = {10: [], 100: []}
    cut, ndcg = [], []
    for ranking in rankings:
        ranks = [rank for rank, hit in enumerate(ranking, 1) if hit]
        precisions = [place / rank for place, rank in enumerate(ranks, 1)]
        r = len(ranks)
        first.append(ranks[0] if ranks else 0)
        relevant.append(r)
        ap.append(sum(precisions) / r if r else float("nan"))
        at_r.append(sum(p for p, rank in zip(precisions, ranks, strict=True) if rank <= r) / r if r else float("nan"))
        for depth, counts in found.items():
            counts.append(sum(ranking[:depth]))
        within = sum(p for p, rank in zip(precisions, ranks, strict=True) if rank <= 100)
        cut.append(within / min(r, 100) if r else float("nan"))
        best = sum(1 / np.log2(1 + rank) for rank in range(1, min(r, 10) + 1))
        ndcg.append(sum(1 / np.log2(1 + rank) for rank in ranks if rank <= 10) / best if r else float("nan"))
    return QueryResults(
        np.arange(len(rankings), dtype=np.int64),
        np.array(first, np.int32),
        np.array(ap, np.float32),
        np.array(at_r, np.float32),
        np.array(relevant, np.int32),
        np.array(cut, np.float32),
        np.array(found[10], np.int32),
        np.array(found[100], np.int32),
        np.array(ndcg, np.float32),
    )


LONG = st.integers(1, 300).flatmap(lambda size: st.just([False] * 2 + [True] * size))


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=40) | LONG, min_size=1, max_size=8))
def test_every_ranking_keeps_them(rankings: list[list[bool]]) -> None:
    assert list(broken_identities(results_of(rankings))) == []


def test_the_bounds_of_ap_are_reached() -> None:
    together, apart = [False] * 3 + [True] * 4, [False, True] + [False] * 10_000 + [True]
    results = results_of([together, apart])
    assert results.average_precision[0] == pytest.approx(np.mean([1 / 4, 2 / 5, 3 / 6, 4 / 7]))
    assert list(broken_identities(results)) == []
    for row, step in ((0, 1e-4), (1, -2e-4)):
        changed = results.average_precision.copy()
        changed[row] += step
        broken = QueryResults(results.ids, results.first_rank, changed, results.ap_at_r, results.relevant)
        assert "AP is out of the bounds that the first rank sets" in list(broken_identities(broken))


def put(name: str, value: float) -> Callable[[dict[str, NDArray[np.generic]]], None]:
    return lambda arrays: arrays[name].__setitem__(0, value)


CHANGES = {
    "better first rank": (put("first_rank", 1), "AP is out of the bounds"),
    "worse first rank": (put("first_rank", 6), "AP is out of the bounds"),
    "rank of nothing": (put("first_rank", 0), "exactly where it has any"),
    "negative": (put("relevant", -1), "never negative"),
    "more relevant": (put("relevant", 3), "AP@R is above 0 exactly where"),
    "AP is NaN": (put("average_precision", np.nan), "are numbers wherever"),
    "AP@R above AP": (put("ap_at_r", 0.9), "AP@R lies between"),
    "AP@100 above AP": (put("ap_at_100", 0.9), "AP@100 lies between"),
    "more than 10 in 10": (put("found_at_10", 11), "the first 10 hold"),
    "fewer in 100 than in 10": (put("found_at_100", 1), "the first 100 hold"),
    "no gain in spite of a hit": (put("ndcg_at_10", 0), "nDCG@10 lies between"),
    "twice": (put("ids", 1), "there twice"),
    "AP of nothing": (lambda arrays: arrays["average_precision"].__setitem__(1, 0.5), "undefined where"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_one_changed_number_breaks_one(change: Callable[[dict[str, NDArray[np.generic]]], None], message: str) -> None:
    results = results_of([[False, False, True, False, True, False], [False, False], [True, True]])
    arrays = {name: getattr(results, name).copy() for name in results.__dataclass_fields__}
    change(arrays)
    assert any(message in broken for broken in broken_identities(QueryResults(**arrays)))
