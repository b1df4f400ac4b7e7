"""The first items that queries find, against a sort in plain Python and against the ranks of the evaluation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from compatbench.data.judgements import Judgements
from compatbench.data.lists import Lists
from compatbench.evaluation.neighbours import first_items
from compatbench.evaluation.retrieval import Vectors, evaluate


def vectors(values, labels, ids) -> Vectors:
    return Vectors(torch.as_tensor(values, dtype=torch.float32), torch.as_tensor(labels), torch.as_tensor(ids))


def test_the_order_is_that_of_a_plain_sort():
    rng = np.random.default_rng(0)
    gallery, query = rng.normal(size=(50, 6)), rng.normal(size=(7, 6))
    ids = rng.permutation(500)[:50]
    found = first_items(
        vectors(query, rng.integers(0, 3, 7), np.arange(1000, 1007)), vectors(gallery, rng.integers(0, 3, 50), ids), 5
    )
    for row, vector in zip(found.ids.tolist(), query, strict=True):
        cosines = [item @ vector / np.linalg.norm(item) for item in gallery]
        assert row == [ids[place] for place in sorted(range(50), key=lambda place: -cosines[place])][:5]


def test_own_samples_are_skipped_and_irrelevant_items_come_first_among_equals():
    gallery = vectors([[1, 0], [2, 0], [3, 0], [0, 1]], [0, 1, 0, 0], [10, 11, 12, 13])
    query = vectors([[1, 0], [0, 1]], [0, 1], [10, 99])
    assert first_items(query, gallery, 2).ids.tolist() == [[11, 12], [13, 10]]
    assert first_items(query, gallery, 9).ids.tolist() == [[11, 12, 13], [13, 10, 12]]


@pytest.mark.parametrize("seed", range(3))
def test_the_first_right_one_stands_at_the_rank_that_is_scored(seed):
    """Coarse vectors tie often."""
    rng = np.random.default_rng(seed)
    values, labels = rng.integers(-1, 2, size=(60, 3)) + 0.5, rng.integers(0, 6, 60)
    side = vectors(values, labels, np.arange(60))
    ranks = evaluate(side, side).first_rank.tolist()
    found = first_items(side, side, 59)
    assert found.right.tolist() == [
        [bool(labels[item] == label) for item in row] for label, row in zip(labels, found.ids, strict=True)
    ]
    assert [row.index(True) + 1 for row in found.right.tolist()] == ranks


def test_judgements_say_what_is_right_and_what_does_not_count():
    gallery = vectors([[1, 0], [2, 1], [1, 1], [0, 1]], [0, 0, 0, 0], [10, 11, 12, 13])
    judgements = Judgements(np.array([7, 12]), Lists.of([[12], [13, 10]]), Lists.of([[10], []]))
    query = vectors([[0, 1], [1, 0]], [0, 0], [12, 7])
    found = first_items(replace(query, judgements=judgements), gallery, 9)
    assert found.ids.tolist() == [[13, 11, 10], [11, 12, 13]]
    assert found.right.tolist() == [[True, False, True], [False, True, False]]
