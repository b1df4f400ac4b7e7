import numpy as np
import pytest
import torch


@pytest.mark.parametrize(("dim", "old_dim"), [(4, 4), (7, 3), (3, 7)])
@pytest.mark.parametrize("epsilon", [1e-6, 1e-2, 10])
def test_it_is_least_squares_with_rows_added_for_the_penalty(adapter, pairs, dim, old_dim, epsilon):
    new, old, _ = pairs(dim, old_dim)
    a, b = (side.double().numpy() for side in (new, old))
    rows = np.vstack([a - a.mean(0), np.sqrt(len(a) * epsilon) * np.eye(dim)])
    targets = np.vstack([b - b.mean(0), np.zeros((dim, old_dim))])
    solution = np.linalg.lstsq(rows, targets, rcond=None)[0]
    expected = (a - a.mean(0)) @ solution + b.mean(0)
    maps = adapter("ridge", dim=dim, old_dim=old_dim, epsilon=epsilon).fit(new, old, None)
    assert np.allclose(maps.query.weight.T.detach().numpy(), solution, atol=1e-5)
    assert np.allclose(maps.query(new).detach().numpy(), expected, atol=1e-5)


def test_an_affine_map_is_recovered(adapter):
    generator = torch.Generator().manual_seed(0)
    new, matrix, offset = (torch.randn(*size, generator=generator) for size in ((60, 6), (6, 3), (3,)))
    maps = adapter("ridge", dim=6, old_dim=3, epsilon=1e-12).fit(new, new @ matrix + offset, None)
    assert torch.allclose(maps.query.weight.T, matrix, atol=1e-5)
    assert torch.allclose(maps.query.bias, offset, atol=1e-5)


def test_a_large_penalty_leaves_the_mean(adapter, pairs):
    new, old, _ = pairs()
    assert torch.allclose(adapter("ridge", epsilon=1e9).fit(new, old, None).query(new), old.mean(0), atol=1e-6)


def test_dimensions_without_variance_do_no_harm(adapter, pairs):
    new, old, _ = pairs()
    new = torch.cat([new, new[:, :1], torch.ones(len(new), 1)], dim=1)
    assert adapter("ridge", dim=6).fit(new, old, None).query(new).isfinite().all()
