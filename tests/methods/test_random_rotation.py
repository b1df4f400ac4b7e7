import pytest
import torch

from compatbench.method import Expectation, Role, Task


def fit(catalogue, new, seed=0):
    cls = catalogue.get("random_rotation").cls
    task = Task(1, "b", new.shape[1], "softmax", (0, 1), 2, "b", 4, (0, 1))
    torch.manual_seed(seed)
    return cls(cls.Params(), task).fit(new, torch.randn(len(new), 4), torch.zeros(len(new), dtype=torch.long))


@pytest.mark.parametrize("dim", [2, 16, 256])
def test_all_distances_stay(catalogue, dim):
    vectors = torch.nn.functional.normalize(torch.randn(50, dim))
    rotated = fit(catalogue, vectors).new(vectors)
    assert torch.allclose(rotated @ rotated.T, vectors @ vectors.T, atol=1e-5)
    assert (rotated - vectors).norm(dim=1).max() > 0.5


def test_only_new_vectors_are_touched(catalogue):
    maps = fit(catalogue, torch.randn(5, 8))
    assert maps.query is None
    assert maps.gallery is None


def test_rotations_are_spread_over_the_whole_group(catalogue):
    """Haar measure: entries have mean 0 and variance 1/D. QR with its own signs fails on the diagonal."""
    dim, draws = 4, 2000
    eye = torch.eye(dim)
    matrices = torch.stack([fit(catalogue, eye, seed).new(eye) for seed in range(draws)])
    spread = 5 / (dim * draws) ** 0.5
    assert matrices.mean(0).abs().max() < spread
    assert (matrices.square().mean(0) - 1 / dim).abs().max() < spread


def test_is_a_control_of_both_readings(catalogue):
    cls = catalogue.get("random_rotation").cls
    assert cls.role is Role.CONTROL
    assert cls.expects == {Expectation.CROSS_AT_CHANCE, Expectation.SELF_EQUALS_INDEPENDENT}
