"""The merge of two searches, and that the backfill curve is that merge."""

import numpy as np
import pytest
import torch
from by_hand import cosine, rows
from sklearn.metrics import average_precision_score

from compatbench.evaluation.backfill import backfill
from compatbench.evaluation.retrieval import Vectors, evaluate
from compatbench.method import Need, Role


def vectors(values, labels, first_id):
    return Vectors(values, labels, torch.arange(first_id, first_id + len(values)))


@pytest.fixture
def sides(adapter, pairs):
    """((q_o by the map, g_o), (q_n, g_n)) with ten queries, thirty items and two classes."""
    new, old, labels = pairs(6, 4, count=40, classes=2)
    query = adapter("rank_merge", dim=6, old_dim=4).fit(new, old, labels).query(new[:10], old[:10])
    return tuple(
        (vectors(queries, labels[:10], 0), vectors(gallery, labels[10:], 10))
        for queries, gallery in ((query, old[10:]), (new[:10], new[10:]))
    )


def test_old_queries_search_old_vectors(adapter, pairs):
    new, old, labels = pairs(6, 4)
    method = adapter("rank_merge", dim=6, old_dim=4)
    maps = method.fit(new, old, labels)
    assert torch.equal(maps.query(new, old), old)
    assert (maps.new, maps.gallery, list(maps.parameters())) == (None, None, [])
    assert method.needs == {Need.BOTH_ENCODERS_ONLINE}
    assert method.role is Role.METHOD


def test_the_ends_of_the_backfill_are_the_two_models(sides):
    (curves,) = backfill(*sides, {"some": [np.arange(30)]})["some"]
    for side, step in zip(sides, (0, -1), strict=True):
        results = evaluate(*side)
        assert np.allclose(curves.values["mAP"][:, step], results.average_precision, atol=1e-6)


def test_half_way_it_is_the_merge_of_two_lists_by_distance(sides):
    (old_query, old_gallery), (new_query, new_gallery) = sides
    order = np.random.default_rng(0).permutation(30)
    backfilled = set(order[:15].tolist())
    expected = []
    for q in range(10):
        old_list = [
            (cosine(rows(old_query.values)[q], rows(old_gallery.values)[i]), i)
            for i in range(30)
            if i not in backfilled
        ]
        new_list = [(cosine(rows(new_query.values)[q], rows(new_gallery.values)[i]), i) for i in backfilled]
        merged = sorted(old_list + new_list, reverse=True)
        relevant = [bool(old_gallery.labels[i] == old_query.labels[q]) for _, i in merged]
        expected.append(average_precision_score(relevant, [score for score, _ in merged]))
    (curves,) = backfill(*sides, {"some": [order]}, betas=(0.0, 0.5, 1.0))["some"]
    assert np.allclose(curves.values["mAP"][:, 1], expected, atol=1e-5)
