import sys

import pytest
import torch
from by_hand import cosine, cross_entropy, dot, mean, norm, rows

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 8]


def frame(dim, classes, seed):
    return sys.modules["compatbench_methods._equiangular_frame"].equiangular_frame(dim, classes, seed)


@pytest.mark.parametrize(("dim", "classes"), [(9, 10), (10, 10), (16, 10), (1, 2), (300, 100)])
def test_the_frame_is_equiangular(catalogue, dim, classes):
    gram = frame(dim, classes, 0) @ frame(dim, classes, 0).T
    expected = torch.full((classes, classes), -1 / (classes - 1))
    expected.fill_diagonal_(1)
    assert torch.allclose(gram, expected, atol=1e-5)


def test_the_frame_is_the_papers_up_to_a_rotation(catalogue):
    """Its Gram matrix is that of sqrt(K/(K−1)) P (I − 11ᵀ/K), P with orthonormal columns."""
    classes, dim = 6, 8
    p = torch.linalg.qr(torch.randn(dim, classes)).Q
    paper = (classes / (classes - 1)) ** 0.5 * p @ (torch.eye(classes) - 1 / classes)
    ours = frame(dim, classes, 3)
    assert torch.allclose(ours @ ours.T, paper.T @ paper, atol=1e-5)


def test_the_seed_is_the_contract(catalogue):
    assert torch.equal(frame(8, 5, 1), frame(8, 5, 1))
    assert not torch.allclose(frame(8, 5, 1), frame(8, 5, 2), atol=1e-2)


def test_both_generations_share_the_vertices_of_a_class(world):
    few = world("etf", classes=(0, 1, 2)).new.head
    many = world("etf", classes=(0, 1, 2, 3, 4)).new.head
    assert torch.equal(few.weight, many.weight[:3])


def test_labels_lead_to_the_vertices_of_their_classes(world):
    head = world("etf", classes=(4, 1)).new.head
    assert torch.equal(head.weight, head.vertices[[4, 1]])


def test_dot_regression_follows_the_formula(world):
    w = world("etf", {"variant": "dot_regression"}, classes=(0, 2, 4))
    vertices, new = rows(w.new.head.vertices), rows(w.new(w.images))
    target = {0: 0, 1: 2, 2: 4}
    losses = [0.5 * (dot(new[i], vertices[target[int(w.labels[i])]]) / norm(new[i]) - 1) ** 2 for i in BATCH]
    assert w.terms(BATCH)["classification"].item() == pytest.approx(10 * mean(losses), abs=1e-5)


def test_ce_follows_the_formula_over_all_vertices(world):
    w = world("etf", {"variant": "ce"}, classes=(0, 2, 4))
    vertices, new = rows(w.new.head.vertices), rows(w.new(w.images))
    target = {0: 0, 1: 2, 2: 4}
    losses = [cross_entropy([16 * cosine(new[i], m) for m in vertices], target[int(w.labels[i])]) for i in BATCH]
    assert w.terms(BATCH)["classification"].item() == pytest.approx(mean(losses), abs=1e-5)


def test_embeddings_on_their_vertices_cost_nothing(world):
    head = world("etf", {"variant": "dot_regression"}).new.head
    labels = torch.arange(5)
    assert head.loss(3 * head.weight[labels], labels).item() == pytest.approx(0, abs=1e-6)


def test_the_head_is_not_learned(world):
    head = world("etf").new.head
    assert list(head.parameters()) == []
    assert head(torch.randn(7, 4)).shape == (7, 5)


@pytest.mark.parametrize(
    ("dim", "old_dim", "word"), [(9, None, None), (8, None, "9 dimensions"), (16, 9, "changes from 9 to 16")]
)
def test_skips_where_no_frame_fits(catalogue, dim, old_dim, word):
    task = Task(1, "b", dim, "softmax", (0, 1), 10, "b", old_dim)
    cls = catalogue.get("etf").cls
    reason = cls(cls.Params(), task).skip(task)
    assert (reason is None) == (word is None)
    assert word is None or word in reason


def test_trains_its_own_first_generation_and_needs_nothing_else(catalogue):
    assert catalogue.get("etf").needs == {Need.OWN_FIRST_GENERATION}
