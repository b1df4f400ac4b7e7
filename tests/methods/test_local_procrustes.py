import math
import sys

import pytest
import torch
from by_hand import norm, rows
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import Ridge

from compatbench.method import Need


def soft_weights(vectors, centres, sharpness):
    found = []
    for x in vectors:
        parts = [math.exp(-sharpness * norm([a - b for a, b in zip(x, c, strict=True)]) ** 2) for c in centres]
        found.append([part / sum(parts) for part in parts])
    return found


def test_queries_are_mixed_by_their_nearness_to_the_cells(adapter, pairs):
    new, old, _ = pairs(6, 4)
    maps = adapter("local_procrustes", dim=6, cells=3, variant="affine").fit(new, old, None)
    weights = soft_weights(rows(new), rows(maps.query.centres), 4.0)
    for x, weight, found in zip(new, weights, maps.query(new), strict=True):
        each = [x @ maps.query.matrices[k] + maps.query.offsets[k] for k in range(3)]
        assert torch.allclose(found, sum(w * y for w, y in zip(weight, each, strict=True)), atol=1e-5)


def shares(maps, new, shrinkage=0.5):
    weights = torch.tensor(soft_weights(rows(new), rows(maps.query.centres), 4.0)).double()
    return weights / weights.sum(dim=0) + shrinkage / len(new)


def test_each_rotation_is_scipys_of_its_weighted_pairs(adapter, pairs):
    new, old, _ = pairs(5, 5)
    maps = adapter("local_procrustes", dim=5, old_dim=5, cells=3).fit(new, old, None)
    for cell, weight in enumerate(shares(maps, new).T):
        expected, _ = orthogonal_procrustes(new.double() * weight[:, None], old.double())
        assert torch.allclose(maps.query.matrices[cell].double(), torch.from_numpy(expected), atol=1e-5)


def test_each_affine_map_is_scikit_learns_weighted_ridge(adapter, pairs):
    new, old, _ = pairs(6, 4)
    maps = adapter("local_procrustes", dim=6, cells=3, variant="affine", epsilon=0.01).fit(new, old, None)
    for cell, weight in enumerate(shares(maps, new).T):
        oracle = Ridge(alpha=0.01 * weight.sum().item()).fit(new.double(), old.double(), sample_weight=weight.numpy())
        assert torch.allclose(maps.query.matrices[cell].double(), torch.from_numpy(oracle.coef_.T), atol=1e-4)
        assert torch.allclose(maps.query.offsets[cell].double(), torch.from_numpy(oracle.intercept_), atol=1e-4)


@pytest.mark.parametrize("params", [{"cells": 1}, {"cells": 4, "sharpness": 0}])
@pytest.mark.parametrize(("variant", "whole"), [("orthogonal", "procrustes"), ("affine", "ridge")])
def test_without_cells_it_is_the_map_of_all_pairs(adapter, pairs, params, variant, whole):
    new, old, _ = pairs(6, 4)
    found = adapter("local_procrustes", dim=6, variant=variant, **params).fit(new, old, None)
    assert torch.allclose(found.query(new), adapter(whole, dim=6).fit(new, old, None).query(new), atol=1e-5)


def test_k_means_finds_bunches_and_keeps_an_empty_centre(catalogue):
    k_means = sys.modules["compatbench_methods._k_means"].k_means
    generator = torch.Generator().manual_seed(0)
    bunches = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    points = bunches.repeat_interleave(20, dim=0) + 0.1 * torch.randn(60, 2, generator=generator)
    start = torch.tensor([[1.0, 1.0], [4.0, 1.0], [1.0, 4.0], [99.0, 99.0]])
    centres = k_means(points, 4, start)
    expected = torch.stack([part.mean(dim=0) for part in points.split(20)])
    assert torch.allclose(centres[:3], expected, atol=1e-6)
    assert torch.equal(centres[3], start[3])
    assert len(k_means(points, 5)) == 5


def test_only_queries_are_mapped(adapter):
    assert adapter("local_procrustes").needs == {Need.OLD_FEATURES}
