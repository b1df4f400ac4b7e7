import pytest
import torch
import torch.nn.functional as F
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group

from compatbench.method import Need


@pytest.mark.parametrize("dim", [2, 32, 128])
def test_a_rotation_is_recovered(adapter, dim):
    rotation = torch.from_numpy(ortho_group.rvs(dim, random_state=dim)).float()
    old = F.normalize(torch.randn(4 * dim, dim, generator=torch.Generator().manual_seed(0)))
    maps = adapter("procrustes", dim=dim, old_dim=dim).fit(old @ rotation.T, old, None)
    assert (maps.query.weight.T - rotation).abs().max() < 1e-6
    assert torch.allclose(maps.query(old @ rotation.T), old, atol=1e-6)


@pytest.mark.parametrize(("dim", "old_dim"), [(5, 5), (7, 4), (4, 7)])
def test_it_is_scipys_solution_with_the_narrower_side_padded(adapter, pairs, dim, old_dim):
    new, old, _ = pairs(dim, old_dim)
    size = max(dim, old_dim)
    padded = [F.pad(side, (0, size - side.shape[1])).double().numpy() for side in (new, old)]
    expected, _ = orthogonal_procrustes(*padded)
    matrix = adapter("procrustes", dim=dim, old_dim=old_dim).fit(new, old, None).query.weight.T
    assert torch.allclose(matrix.double(), torch.from_numpy(expected[:dim, :old_dim]), atol=1e-6)


def test_scale_is_the_least_squares_factor_of_each_dimension(adapter, pairs):
    new, old, _ = pairs(6, 4)
    plain = adapter("procrustes", dim=6).fit(new, old, None).query(new)
    scaled = adapter("procrustes", dim=6, scale=True).fit(new, old, None).query(new)
    for column in range(4):
        factor = torch.linalg.lstsq(plain[:, column, None], old[:, column, None]).solution.item()
        assert torch.allclose(scaled[:, column], factor * plain[:, column], atol=1e-6)


def test_centring_takes_off_one_mean_and_puts_on_the_other(adapter):
    generator = torch.Generator().manual_seed(0)
    rotation = torch.from_numpy(ortho_group.rvs(5, random_state=1)).float()
    old = torch.randn(40, 5, generator=generator)
    new = old @ rotation.T + torch.randn(5, generator=generator)
    assert torch.allclose(adapter("procrustes", centre=True).fit(new, old, None).query(new), old, atol=1e-5)
    assert not torch.allclose(adapter("procrustes").fit(new, old, None).query(new), old, atol=1e-1)


def test_only_queries_are_mapped(adapter, pairs):
    method = adapter("procrustes")
    maps = method.fit(*pairs())
    assert (maps.new, maps.gallery, maps.order) == (None, None, None)
    assert method.needs == {Need.OLD_FEATURES}
