import sys

import pytest
import torch
from by_hand import cross_entropy, dot, mean, rows

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 8]


def simplex(vertices):
    return sys.modules["compatbench_methods._simplex"].regular_simplex(vertices)


@pytest.mark.parametrize("vertices", [2, 3, 10, 1024])
def test_vertices_are_equiangular_unit_vectors_around_the_origin(catalogue, vertices):
    points = simplex(vertices)
    assert points.shape == (vertices, vertices - 1)
    expected = torch.full((vertices, vertices), -1 / (vertices - 1))
    expected.fill_diagonal_(1)
    assert torch.allclose(points @ points.T, expected, atol=1e-6)
    assert torch.allclose(points.sum(dim=0), torch.zeros(vertices - 1), atol=1e-5)


def test_two_and_three_vertices_by_hand(catalogue):
    """Opposite points on a line; an equilateral triangle with its axis on the diagonal."""
    assert simplex(2).flatten().tolist() == pytest.approx([1, -1])
    corner = [-(2**-0.5), -(2**-0.5)]
    high, low = (6**0.5 + 2**0.5) / 4, (2**0.5 - 6**0.5) / 4  # cos 15°, cos 105°
    assert simplex(3).flatten().tolist() == pytest.approx([high, low, low, high, *corner])


def test_vertices_are_those_of_the_frame_up_to_a_rotation(catalogue):
    frame = sys.modules["compatbench_methods._equiangular_frame"].equiangular_frame(6, 7, 3)
    assert torch.allclose(simplex(7) @ simplex(7).T, frame @ frame.T, atol=1e-5)


def test_classification_follows_the_formula_over_all_vertices(world):
    w = world("simplex", classes=(0, 2, 4))
    vertices, new = rows(w.new.head.vertices), rows(w.new(w.images))
    vertex = {0: 0, 1: 2, 2: 4}
    losses = [cross_entropy([dot(new[i], v) for v in vertices], vertex[int(w.labels[i])]) for i in BATCH]
    terms = w.terms(BATCH)
    assert list(terms) == ["classification"]
    assert terms["classification"].item() == pytest.approx(mean(losses), abs=1e-5)


def test_a_reserved_vertex_repels_before_its_class_has_come(world):
    """The gradient of an embedding on a reserved vertex points away from it."""
    head = world("simplex", classes=(0, 1)).new.head
    embedding = head.vertices[4:].clone().requires_grad_()
    head.loss(embedding, torch.tensor([0])).backward()
    assert (-embedding.grad @ head.vertices[4]).item() < 0
    assert (-embedding.grad @ head.vertices[0]).item() > 0


def test_a_class_keeps_its_vertex_in_every_generation(world):
    few = world("simplex", classes=(1, 2)).new.head
    many = world("simplex", classes=(0, 1, 2, 3, 4)).new.head
    assert torch.equal(few.weight, many.weight[1:3])


def test_the_head_is_not_learned_and_scores_its_own_classes(world):
    head = world("simplex", classes=(0, 1, 4)).new.head
    assert list(head.parameters()) == []
    assert head(torch.randn(7, 4)).shape == (7, 3)


@pytest.mark.parametrize("scenario_dim", [2, 9, 64])
def test_the_number_of_classes_sets_the_dimension(catalogue, scenario_dim):
    task = Task(1, "b", scenario_dim, "softmax", (0, 1), 10, "b", 9, (0,))
    method = catalogue.get("simplex").cls(catalogue.get("simplex").resolve({}), task)
    assert method.skip(task) is None
    assert method.encoder_dim(scenario_dim) == 9
    assert method.head(9, 2).weight.shape == (2, 9)


def test_nothing_of_the_old_model_is_used(world):
    w = world("simplex")
    expected = w.terms(BATCH)["classification"]
    w.old_model = None
    assert torch.equal(w.terms(BATCH)["classification"], expected)
    assert w.method.needs == {Need.OWN_FIRST_GENERATION}
