"""The check at chance keeps its level where chance is skewed, and is the normal one where it is not."""

import numpy as np
import pytest
from scipy import stats

from compatbench.evaluation.leaks import Rotated, leak_p_value


def test_without_skewness_it_is_normal():
    seeds = [Rotated(0.30, 0.20, 0.03, 0.0), Rotated(0.15, 0.20, 0.04, 0.0)]
    assert leak_p_value(seeds) == pytest.approx(stats.norm.sf(0.05 / 0.05))


def test_with_skewness_it_is_pearsons_third_type():
    seeds = [Rotated(0.30, 0.20, 0.03, 0.9), Rotated(0.25, 0.20, 0.04, 0.5)]
    skew = (0.9 * 0.03**3 + 0.5 * 0.04**3) / 0.05**3
    assert leak_p_value(seeds) == pytest.approx(stats.pearson3.sf(0.15 / 0.05, skew))
    assert leak_p_value([Rotated(0.0, 0.5, 0.1, 1.5)]) == 1


def test_rotations_that_do_not_vary_are_certain():
    assert leak_p_value([Rotated.of(0.2, [0.1, 0.1, 0.1])]) == 0
    assert leak_p_value([Rotated.of(0.1, [0.1, 0.1, 0.1])]) == 1


def test_moments_are_those_of_scipy():
    scores = np.random.default_rng(0).gamma(2.0, size=500)
    found = Rotated.of(1.0, scores)
    assert (found.mean, found.spread) == pytest.approx((scores.mean(), scores.std(ddof=1)))
    assert found.skew == pytest.approx(stats.skew(scores), rel=0.01)


@pytest.mark.parametrize("shape", [4.0, 50.0])
def test_honest_seeds_rarely_alarm(shape):
    """Chance by a gamma distribution, three seeds of 200 rotations; at 0.3%, a level that Holm's correction reaches."""
    rng = np.random.default_rng(1)
    p_values = np.array(
        [
            leak_p_value([Rotated.of(rng.gamma(shape), rng.gamma(shape, size=200)) for _ in range(3)])
            for _ in range(1000)
        ]
    )
    assert 0.03 <= (p_values < 0.05).mean() <= 0.07
    assert (p_values < 0.003).mean() <= 0.01
