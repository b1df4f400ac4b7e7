"""Index recall against brute force, and rates and latencies by a clock that is told what to say."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from compatbench.errors import InvalidResultError
from compatbench.evaluation.indexes import BuiltIndex, build
from compatbench.evaluation.search import SearchQueries, measure_search, unit_rows


def clusters(rng, size: int, dim: int = 16) -> np.ndarray:
    centres = rng.normal(size=(20, dim))
    vectors = (centres[rng.integers(0, 20, size)] + 0.5 * rng.normal(size=(size, dim))).astype(np.float32)
    return unit_rows(vectors, "vectors")


def brute(query: np.ndarray, vectors: np.ndarray, own: list[int], k: int) -> list[list[int]]:
    """The first `k` by cosine, without each query's own."""
    order = np.argsort(-(query.astype(np.float64) @ vectors.T.astype(np.float64)), axis=1).tolist()
    return [[row for row in rows if row != mine][:k] for rows, mine in zip(order, own, strict=True)]


@pytest.mark.parametrize("inside", [True, False])
def test_recall_is_the_overlap_with_brute_force(inside: bool) -> None:
    rng = np.random.default_rng(0)
    vectors = clusters(rng, 800)
    query = vectors[:50] if inside else clusters(rng, 50)
    own = list(range(50)) if inside else [-1] * 50
    truth = brute(query, vectors, own, 10)
    queries = SearchQueries.of(query, vectors, np.array(own))
    assert queries.threshold == pytest.approx(
        [query[row] @ vectors[rows[-1]] for row, rows in enumerate(truth)], abs=1e-6
    )
    built = build("ivfpq", vectors)
    found = built.index.search(query, 11)[1].tolist()
    mine = [[row for row in rows if row != skip][:10] for rows, skip in zip(found, own, strict=True)]
    overlap = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(mine, truth, strict=True)])
    numbers = measure_search(built, queries, repeats=2)
    assert 0.2 < overlap < 0.95, "an index that is always right shows nothing"
    assert numbers.recall == pytest.approx(overlap)
    assert (numbers.k, numbers.queries, numbers.repeats) == (10, 50, 2)
    assert min(numbers.queries_per_second, numbers.p50_ms) > 0
    assert numbers.p99_ms >= numbers.p50_ms
    assert measure_search(build("flat", vectors), queries, repeats=1).recall == 1


def test_recall_by_hand() -> None:
    """On a circle, seen from 0°: the nearest three of 10°, 20°, …, 60° are the first."""
    angles = np.deg2rad([10, 20, 30, 40, 50, 60])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    query = np.array([[1, 0], [1, 0]], dtype=np.float32)
    queries = SearchQueries.of(query, vectors, np.array([-1, 1]), k=3)
    assert queries.recall(np.array([[2, 1, 0, 5], [0, 1, 2, 3]])) == 1
    assert queries.recall(np.array([[0, 4, 5, 1], [1, 5, 4, 0]])) == pytest.approx((1 / 3 + 1 / 3) / 2)
    assert queries.recall(np.array([[-1, -1, -1, -1], [0, 2, -1, -1]])) == pytest.approx((0 + 2 / 3) / 2)


def test_equals_of_the_last_count_as_found() -> None:
    vectors = np.repeat(np.eye(2, dtype=np.float32), 5, axis=0)
    queries = SearchQueries.of(vectors[:1], vectors, k=2)
    assert queries.recall(np.array([[4, 3]])) == 1
    assert queries.recall(np.array([[4, 7]])) == 0.5


def test_k_is_cut_to_what_there_is_to_find() -> None:
    rng = np.random.default_rng(2)
    vectors = clusters(rng, 4)
    assert measure_search(build("hnsw", vectors), SearchQueries.of(clusters(rng, 5), vectors), repeats=1).k == 4
    inside = measure_search(build("hnsw", vectors), SearchQueries.of(vectors, vectors, np.arange(4)), repeats=1)
    assert (inside.k, inside.recall) == (3, 1)
    with pytest.raises(ValueError, match="nothing to find"):
        SearchQueries.of(vectors[:1], vectors[:1], np.array([0]))


def test_numbers_are_medians_over_queries_and_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is told how long each call takes: batches 2, 4 and 9 s, queries alone 1 to 100 s, ×1, ×2, ×5."""
    vectors = clusters(np.random.default_rng(3), 200)
    query = vectors[:100]
    factors = iter([2, *range(1, 101), 4, *range(2, 201, 2), 9, *range(5, 501, 5)])
    now = 0.0

    def search(given: np.ndarray, k: int) -> tuple[None, np.ndarray]:
        nonlocal now
        now += 0 if warming else next(factors)
        return None, np.zeros((len(given), k), dtype=np.int64)

    queries = SearchQueries.of(query, vectors)
    warming = True

    def recall(found: np.ndarray) -> float:
        nonlocal warming
        warming = False
        return 0.25

    monkeypatch.setattr("compatbench.evaluation.search.time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(SearchQueries, "recall", lambda self, found: recall(found))
    numbers = measure_search(BuiltIndex(SimpleNamespace(search=search), 0.0), queries, repeats=3)
    assert numbers.recall == 0.25
    assert numbers.queries_per_second == 100 / 4
    assert numbers.p50_ms == pytest.approx(2 * 50.5 * 1000)
    assert numbers.p99_ms == pytest.approx(2 * 99.01 * 1000)


def test_vectors_that_cannot_be_searched_are_refused() -> None:
    rng = np.random.default_rng(4)
    with pytest.raises(ValueError, match="query vectors have 16 dimensions, gallery vectors 8"):
        SearchQueries.of(clusters(rng, 5), clusters(rng, 50, dim=8))
    zero = np.ones((50, 3), dtype=np.float32)
    zero[7] = 0
    with pytest.raises(InvalidResultError, match="gallery: 1 of 50 vectors are zero, the first is row 7"):
        unit_rows(zero, "gallery")


def test_unit_rows_have_length_one_and_stay_as_they_are() -> None:
    values = np.random.default_rng(5).normal(size=(40, 9)).astype(np.float32)
    unit = unit_rows(values, "v")
    assert np.linalg.norm(unit, axis=1) == pytest.approx(np.ones(40), abs=1e-6)
    assert (unit * np.linalg.norm(values, axis=1, keepdims=True)) == pytest.approx(values, abs=1e-6)
    assert np.array_equal(unit_rows(unit, "v"), unit)
