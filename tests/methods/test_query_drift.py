import pytest
from by_hand import mean, rows


@pytest.mark.parametrize(("dim", "old_dim"), [(4, 4), (6, 4), (3, 5)])
def test_the_mean_drift_is_taken_off(adapter, pairs, dim, old_dim):
    new, old, _ = pairs(dim, old_dim)
    padded = [(row + [0.0] * old_dim)[:old_dim] for row in rows(new)]
    drift = [mean([a[d] - b[d] for a, b in zip(padded, rows(old), strict=True)]) for d in range(old_dim)]
    found = rows(adapter("query_drift", dim=dim, old_dim=old_dim).fit(new, old, None).query(new))
    for row, before in zip(found, padded, strict=True):
        assert row == pytest.approx([a - d for a, d in zip(before, drift, strict=True)], abs=1e-6)


def test_a_shifted_space_is_mapped_back(adapter, pairs):
    _, old, _ = pairs()
    assert (adapter("query_drift").fit(old + 0.3, old, None).query(old + 0.3) - old).abs().max() < 1e-6
