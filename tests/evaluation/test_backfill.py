"""Backfill curves against a loop that re-scores the mixed gallery at every step, and against the matrix entries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from compatbench.evaluation import backfill as module
from compatbench.evaluation.backfill import backfill, class_wise_order, highest_first
from compatbench.evaluation.curves import BETAS
from compatbench.evaluation.retrieval import Side, Vectors, evaluate

pytestmark = pytest.mark.usefixtures("way_to_count")


def vectors(values: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> Vectors:
    return Vectors(torch.from_numpy(values.astype(np.float32)), torch.from_numpy(labels), torch.from_numpy(ids))


def world(
    seed: int,
    *,
    gallery: int = 60,
    queries: int = 25,
    classes: int = 5,
    dims: tuple[int, int] = (8, 12),
    signs: bool = False,
) -> tuple[Side, Side]:
    """An old and a new space of other dimensions; some queries are gallery items, some have no relevant item.

    With `signs`, vectors of ±1 in 16 dimensions: scores that float32 holds exactly, nearly all of them tied.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, gallery)
    ids = rng.permutation(2 * gallery)[:gallery]
    asked = rng.integers(0, gallery, queries)
    query_labels = np.where(rng.random(queries) < 0.9, labels[asked], classes)
    query_ids = np.where(rng.random(queries) < 0.7, ids[asked], 10_000 + np.arange(queries))
    sides = []
    for dim in (16, 16) if signs else dims:
        centres = rng.normal(size=(classes + 1, dim))
        items = centres[labels] + 1.5 * rng.normal(size=(gallery, dim))
        values = centres[query_labels] + 1.5 * rng.normal(size=(queries, dim))
        items, values = (np.sign(items), np.sign(values)) if signs else (items, values)
        sides.append((vectors(values, query_labels, query_ids), vectors(items, labels, ids)))
    return sides[0], sides[1]


def cosines(side: Side) -> np.ndarray:
    query, gallery = (one.values.double().numpy() for one in side)
    return (query @ gallery.T) / np.outer(np.linalg.norm(query, axis=1), np.linalg.norm(gallery, axis=1))


def slow_loop(old: Side, new: Side, order: np.ndarray, betas: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """AP and first hit (Q, S), word by word: mix the gallery, rank it anew for every query, average the precisions."""
    query, gallery = old
    before, after = cosines(old), cosines(new)
    precision, first_hit = (np.full((len(query), len(betas)), np.nan) for _ in range(2))
    for step, beta in enumerate(betas):
        is_new = set(order[: round(beta * len(gallery))].tolist())
        for q, (label, own) in enumerate(zip(query.labels.tolist(), query.ids.tolist(), strict=True)):
            ranking = []
            for item, (other, document) in enumerate(zip(gallery.labels.tolist(), gallery.ids.tolist(), strict=True)):
                if document != own:
                    score = (after if item in is_new else before)[q, item]
                    ranking.append((-score, other == label))
            ranking.sort()  # irrelevant first among equals
            ranks = [rank for rank, (_, relevant) in enumerate(ranking, start=1) if relevant]
            if ranks:
                precision[q, step] = np.mean([hits / rank for hits, rank in enumerate(ranks, start=1)])
                first_hit[q, step] = ranks[0] == 1
    return precision, first_hit


def all_orders(gallery: Vectors, seed: int = 0) -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return {
        "random": [rng.permutation(len(gallery)) for _ in range(2)],
        "class-wise": [class_wise_order(gallery.labels, rng)],
        "scored": [highest_first(rng.normal(size=len(gallery)))],
    }


def assert_as_slow(old: Side, new: Side, orders: dict[str, list[np.ndarray]], betas: tuple[float, ...]) -> None:
    found = backfill(old, new, orders, betas)
    assert {name: len(curves) for name, curves in found.items()} == {name: len(each) for name, each in orders.items()}
    for name, several in orders.items():
        for order, curves in zip(several, found[name], strict=True):
            precision, first_hit = slow_loop(old, new, order, betas)
            assert curves.ids.tolist() == old[0].ids.tolist()
            np.testing.assert_allclose(curves.values["mAP"], precision, rtol=2e-6, err_msg=name)
            np.testing.assert_array_equal(curves.values["CMC@1"], first_hit, err_msg=name)


@pytest.mark.parametrize("signs", [False, True], ids=["clusters", "ties"])
@pytest.mark.parametrize("classes", [1, 5, 40])
def test_equals_the_slow_loop(classes: int, signs: bool) -> None:
    old, new = world(classes, classes=classes, signs=signs)
    assert_as_slow(old, new, all_orders(old[1]), BETAS)


@given(
    seed=st.integers(0, 2**32 - 1),
    gallery=st.integers(1, 30),
    queries=st.integers(1, 20),
    classes=st.integers(1, 6),
    signs=st.booleans(),
    inner=st.lists(st.floats(0.01, 0.99), max_size=3, unique=True),
)
@settings(max_examples=60, deadline=None)
def test_equals_the_slow_loop_whatever_the_sizes(
    seed: int, gallery: int, queries: int, classes: int, signs: bool, inner: list[float]
) -> None:
    old, new = world(seed, gallery=gallery, queries=queries, classes=classes, signs=signs)
    assert_as_slow(old, new, {"random": [np.random.default_rng(seed).permutation(gallery)]}, (0, *sorted(inner), 1))


def test_threads_share_the_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHED_SCORES", 256)  # many groups in a block
    old, new = world(4)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(backfill(old, new, all_orders(old[1])))
    finally:
        torch.set_num_threads(before)
    for name, curves in found[0].items():
        for one, other in zip(curves, found[1][name], strict=True):
            assert all(np.array_equal(one.values[key], other.values[key], equal_nan=True) for key in one.values)


def test_the_ends_are_the_entries_of_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over many blocks of queries, with some hundred relevant items, query by query."""
    monkeypatch.setattr(module, "_BLOCK_SCORES", 2**17)
    old, new = world(0, gallery=1000, queries=300, classes=3, dims=(24, 16))
    for curves in (one for several in backfill(old, new, all_orders(old[1])).values() for one in several):
        for end, side in ((0, old), (-1, new)):
            matrix = evaluate(*side)
            np.testing.assert_allclose(curves.values["mAP"][:, end], matrix.average_precision, atol=1e-6)
            for metric in ("mAP", "CMC@1"):
                assert curves.curve(metric)[end] == pytest.approx(matrix.metrics()[metric], abs=1e-6)


def test_the_same_vectors_on_both_sides_give_a_flat_curve() -> None:
    old, _ = world(1)
    turn = torch.from_numpy(ortho_group.rvs(8, random_state=0).astype(np.float32))
    turned = tuple(Vectors(side.values @ turn, side.labels, side.ids) for side in old)
    curves = backfill(old, turned, all_orders(old[1]))["class-wise"][0].values["mAP"]
    np.testing.assert_allclose(curves, np.repeat(curves[:, :1], len(BETAS), axis=1), atol=1e-6)


def test_an_old_item_that_outscores_all_new_ones_is_a_dip() -> None:
    """Old cosines are 0.9 and 0.8, new ones 0.5 and 0.4: both ends are perfect, half-way the irrelevant item leads."""
    query = vectors(np.array([[1.0, 0.0]]), np.array([0]), np.array([9]))

    def gallery(relevant: float, irrelevant: float) -> Vectors:
        values = np.array([[cosine, np.sqrt(1 - cosine**2)] for cosine in (relevant, irrelevant)])
        return vectors(values, np.array([0, 1]), np.array([0, 1]))

    old, new = (query, gallery(0.9, 0.8)), (query, gallery(0.5, 0.4))
    found = backfill(old, new, {"relevant first": [np.array([0, 1])], "last": [np.array([1, 0])]}, (0, 0.5, 1))
    assert found["relevant first"][0].values["mAP"].tolist() == [[1, 0.5, 1]]
    assert found["relevant first"][0].values["CMC@1"].tolist() == [[1, 0, 1]]
    assert found["last"][0].values["mAP"].tolist() == [[1, 1, 1]]


def test_orders() -> None:
    labels = np.array([4, 7, 4, 1, 7, 4])
    orders = [class_wise_order(labels, np.random.default_rng(seed)) for seed in range(30)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(6))
        assert (np.diff(labels[order]) != 0).sum() == 2, "one class after the other"
    assert {tuple(dict.fromkeys(labels[order].tolist())) for order in orders} >= {(4, 7, 1), (1, 4, 7), (7, 1, 4)}
    assert len({tuple(order.tolist()) for order in orders}) > 20, "items of a class are shuffled too"
    assert highest_first([0.1, 0.7, 0.1, 0.9]).tolist() == [3, 1, 0, 2]


def test_what_does_not_fit_is_refused() -> None:
    old, new = world(2)
    order = {"random": [np.random.default_rng(0).permutation(60)]}
    other = Vectors(new[1].values, new[1].labels, new[1].ids + 1)
    with pytest.raises(ValueError, match="gallery items of the two sides must be the same"):
        backfill(old, (new[0], other), order)
    with pytest.raises(ValueError, match="queries of the two sides must be the same"):
        backfill(old, (Vectors(new[0].values[:20], new[0].labels[:20], new[0].ids[:20]), new[1]), order)
    with pytest.raises(ValueError, match="order 'twice' is no permutation of the 60 gallery items"):
        backfill(old, new, {"twice": [np.zeros(60, dtype=np.intp)]})
    with pytest.raises(ValueError, match="betas must ascend from 0 to 1"):
        backfill(old, new, order, (0, 0.5))
