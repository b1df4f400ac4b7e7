import math

import pytest
import torch
from by_hand import dot, rows


def seeded(method, *sizes):
    torch.manual_seed(0)
    return method.build(*sizes)


def test_it_starts_as_the_identity(adapter, pairs):
    new, _, _ = pairs(6, 6)
    assert torch.equal(adapter("mlp").build(6, 6).query(new), new)


@pytest.mark.parametrize(("dim", "old_dim"), [(6, 4), (4, 6)])
def test_with_other_dimensions_it_starts_at_the_first_coordinates(adapter, pairs, dim, old_dim):
    new, _, _ = pairs(dim, old_dim)
    start = adapter("mlp").build(dim, old_dim).query(new)
    assert torch.equal(start, torch.nn.functional.pad(new, (0, max(0, old_dim - dim)))[:, :old_dim])


def test_the_map_follows_the_formula(adapter, pairs):
    new, _, _ = pairs(6, 4)
    query = adapter("mlp", hidden=5).build(6, 4).query
    torch.nn.init.normal_(query.outer.weight)
    torch.nn.init.normal_(query.outer.bias)
    mapped = rows(query(new))
    for vector, given in zip(rows(new)[:5], mapped, strict=False):
        hidden = [
            dot(row, vector) + bias
            for row, bias in zip(rows(query.inner.weight), query.inner.bias.tolist(), strict=True)
        ]
        hidden = [0.5 * value * (1 + math.erf(value / math.sqrt(2))) for value in hidden]
        expected = [
            dot(skip, vector) + dot(outer, hidden) + bias
            for skip, outer, bias in zip(
                rows(query.skip.weight), rows(query.outer.weight), query.outer.bias.tolist(), strict=True
            )
        ]
        assert given == pytest.approx(expected, abs=1e-5)


def test_training_lowers_the_mean_squared_distance(adapter, pairs):
    new, old, _ = pairs(6, 6, count=200)
    method = adapter("mlp", hidden=32, batch_size=50, lr=0.005)
    maps = seeded(method, 6, 6)
    means = method.train(maps, new, old)
    assert len(means) == 50
    assert means[0] == pytest.approx((new - old).square().sum(dim=1).mean().item(), rel=0.2)
    after = (maps.query(new) - old).square().sum(dim=1).mean().item()
    assert means[-1] == pytest.approx(after, rel=0.05)
    assert after < 0.3 * means[0]


def test_a_curved_map_is_fitted_better_than_by_ridge(adapter):
    new = torch.nn.functional.normalize(torch.randn(500, 4, generator=torch.Generator().manual_seed(0)))
    old = new.square() - 0.25
    torch.manual_seed(0)
    maps = adapter("mlp", epochs=100, lr=0.01, batch_size=100).fit(new, old, None)
    linear = adapter("ridge").fit(new, old, None)
    errors = [(each.query(new) - old).square().sum(dim=1).mean().item() for each in (maps, linear)]
    assert errors[0] < 0.05 * errors[1]
