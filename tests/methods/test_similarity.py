"""The similarities that methods share, `methods/_similarity.py`."""

import math
import sys

import pytest
import torch
from by_hand import cosine, dot, norm, rows, unit


@pytest.fixture
def similarity(catalogue):
    return sys.modules["compatbench_methods._similarity"]


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(5, 3), torch.randn(4, 3)


def euclid(x, y):
    return norm([a - b for a, b in zip(unit(x), unit(y), strict=True)])


@pytest.mark.parametrize(("name", "by_hand"), [("inner_products", dot), ("cosines", cosine), ("distances", euclid)])
@pytest.mark.parametrize("mixed_precision", [False, True])
def test_follows_the_formula_also_under_mixed_precision(similarity, pair, name, by_hand, mixed_precision):
    a, b = pair
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed_precision):
        found = getattr(similarity, name)(a, b)
    expected = torch.tensor([[by_hand(x, y) for y in rows(b)] for x in rows(a)])
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-6)


def test_takes_embeddings_of_lower_precision(similarity, pair):
    a, b = pair
    assert similarity.cosines(a.bfloat16(), b).dtype == torch.float32


def test_small_distances_are_exact(similarity):
    angle = 1e-4
    a = torch.tensor([[1.0, 0.0]])
    b = torch.tensor([[math.cos(angle), math.sin(angle)]])
    assert similarity.distances(a, b).item() == pytest.approx(2 * math.sin(angle / 2), rel=1e-4)


def test_distance_zero_has_gradient_zero(similarity):
    a = torch.randn(3, 4, requires_grad=True)
    similarity.distances(a, a.detach()).diagonal().sum().backward()
    assert a.grad.abs().max().item() == pytest.approx(0, abs=1e-6)
