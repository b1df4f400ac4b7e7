"""Numbers of means and their intervals, against the same by hand."""

import numpy as np
import pytest

from compatbench.evaluation.bootstrap import hierarchical_bootstrap
from compatbench.evaluation.compatibility import gain_share
from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.means import Means, mean_estimate
from compatbench.evaluation.spread import spread


def test_a_mean_has_the_interval_of_its_spread():
    values = np.random.default_rng(0).normal(size=(3, 40))
    margin = spread(values).margin()
    expected = Estimate(*(pytest.approx(values.mean() + side * margin) for side in (0, -1, 1)))
    assert mean_estimate(values) == expected
    assert Means({"x": values}).mean("x") == expected


def test_the_interval_of_a_share_ends_at_0_and_1():
    found = mean_estimate([[0.0, 0.0, 0.0, 1.0]])
    assert (found.value, found.low) == (0.25, 0)
    assert mean_estimate([[1.0, 1.0, 1.0, 0.0]]).high == 1
    assert mean_estimate([[0.0, 0.0, 0.0, 1.5]]).low < 0


def test_a_difference_is_paired():
    rng = np.random.default_rng(1)
    values, noise = rng.normal(size=(3, 80)), rng.normal(0, 0.1, size=(3, 80))
    found = Means({"a": values, "short": values[:2], "b": values + noise, "c": values - 0.5})
    wanted = mean_estimate(-noise)
    assert found.estimate(np.subtract, "a", "b") == Estimate(
        *(pytest.approx(one, abs=1e-12) for one in (wanted.value, wanted.low, wanted.high))
    )
    assert found.estimate(np.subtract, "a", "c") == Estimate(*(pytest.approx(0.5, abs=1e-12) for _ in range(3)))


def test_a_share_of_a_gain_has_the_interval_of_its_tangent():
    """d Γ = (d no − (1 − Γ) d oo − Γ d **) / room."""
    rng = np.random.default_rng(2)
    oo, no, reference = (mean + rng.normal(0, 0.1, (3, 50)) for mean in (0.3, 0.45, 0.6))
    found = Means({"oo": oo, "no": no, "**": reference}).estimate(gain_share, "oo", "no", "**")
    room = reference.mean() - oo.mean()
    gamma = (no.mean() - oo.mean()) / room
    margin = spread((no - (1 - gamma) * oo - gamma * reference) / room).margin()
    assert found.value == pytest.approx(gamma)
    assert (found.low, found.high) == pytest.approx((gamma - margin, gamma + margin), rel=1e-4)
    assert Means({"oo": reference, "no": no, "**": oo}).estimate(gain_share, "oo", "no", "**") == Estimate()


def test_nothing_has_no_interval():
    assert mean_estimate(np.empty(0)) == Estimate()
    assert mean_estimate([np.nan, np.nan]) == Estimate()
    assert mean_estimate([0.5]) == Estimate(0.5)


def test_queries_without_a_value_enter_neither_the_mean_nor_its_interval():
    values = np.random.default_rng(3).normal(size=40)
    holed = values.copy()
    holed[3:9] = np.nan
    assert mean_estimate(holed) == mean_estimate(np.delete(values, np.s_[3:9]))


def test_columns_of_one_shape_share_their_draws():
    rng = np.random.default_rng(4)
    columns = {"a": rng.normal(size=(3, 30)), "b": rng.normal(size=(3, 30)), "short": rng.normal(size=(2, 30))}
    draws = Means(columns).draws
    for key, values in columns.items():
        np.testing.assert_allclose(draws[key], hierarchical_bootstrap({"": values})[""], atol=1e-12)
