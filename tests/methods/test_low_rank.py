import numpy as np
import pytest
import torch

EPSILON = 1e-2


def centred(new, old):
    a, b = (side.double().numpy() for side in (new, old))
    return a - a.mean(0), b - b.mean(0)


def objective(a, b, matrix):
    return np.square(a @ matrix - b).sum() + len(a) * EPSILON * np.square(matrix).sum()


def fitted(adapter, new, old, rank):
    size = {"dim": new.shape[1], "old_dim": old.shape[1]}
    maps = adapter("low_rank", **size, rank=rank, epsilon=EPSILON).fit(new, old, None)
    down, up = maps.query
    return maps.query, (down.weight.T @ up.weight.T).double().detach().numpy()


@pytest.mark.parametrize(("dim", "old_dim"), [(6, 6), (8, 5), (5, 8)])
@pytest.mark.parametrize("rank", [8, 64])
def test_at_full_rank_it_is_ridge(adapter, pairs, dim, old_dim, rank):
    new, old, _ = pairs(dim, old_dim)
    ridge = adapter("ridge", dim=dim, old_dim=old_dim, epsilon=EPSILON).fit(new, old, None)
    query, matrix = fitted(adapter, new, old, rank)
    assert np.allclose(matrix, ridge.query.weight.T.detach().numpy(), atol=1e-6)
    assert torch.allclose(query(new), ridge.query(new), atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_no_map_of_this_rank_is_better(adapter, pairs, rank):
    """Alternating least squares from random starts comes down to the same objective, and never below it."""
    new, old, _ = pairs(6, 5, count=200)
    a, b = centred(new, old)
    _, matrix = fitted(adapter, new, old, rank)
    assert np.linalg.matrix_rank(matrix, tol=1e-6) == rank
    best, generator = objective(a, b, matrix), np.random.default_rng(0)
    gram = a.T @ a + len(a) * EPSILON * np.eye(6)
    for _ in range(3):
        right = generator.normal(size=(5, rank))
        for _ in range(500):
            right, _ = np.linalg.qr(right)
            left = np.linalg.solve(gram, a.T @ b @ right)
            right = np.linalg.solve(left.T @ gram @ left, left.T @ a.T @ b).T
        found = objective(a, b, left @ right.T)
        assert best <= found * (1 + 1e-7)  # the weights are float32
        assert found == pytest.approx(best, rel=1e-6)


def test_the_means_are_taken_off_and_put_on(adapter, pairs):
    new, old, _ = pairs(6, 5)
    query, matrix = fitted(adapter, new, old, 2)
    a, _ = centred(new, old)
    assert np.allclose(query(new).detach().numpy(), a @ matrix + old.double().mean(0).numpy(), atol=1e-6)


def test_it_holds_as_many_numbers_as_its_rank_asks_for(adapter):
    maps = adapter("low_rank", rank=3).build(20, 10)
    assert [tuple(parameter.shape) for parameter in maps.parameters()] == [(3, 20), (10, 3), (10,)]
