"""Variances of means over seeds and queries, against scipy, a slow loop and simulation."""

import numpy as np
import pytest
from scipy import stats

from compatbench.evaluation.spread import Spread, spread


def test_one_seed_is_students_t_over_the_queries():
    values = np.random.default_rng(0).exponential(size=40)
    found = spread(values)
    theirs = stats.ttest_1samp(values, 0.7)
    assert found.p_value(values.mean() - 0.7) == pytest.approx(theirs.pvalue)
    assert found.margin() == pytest.approx(theirs.confidence_interval(0.95).high - values.mean())
    assert spread(values[None]) == found


def test_seeds_alone_are_students_t_over_the_seeds():
    means = np.array([0.2, 0.5, 0.3, 0.7])
    found = spread(np.repeat(means[:, None], 50, axis=1))
    theirs = stats.ttest_1samp(means, 0.1)
    assert found.p_value(means.mean() - 0.1) == pytest.approx(theirs.pvalue)
    assert found.margin() == pytest.approx(theirs.confidence_interval(0.95).high - means.mean())


def test_parts_are_the_mean_squares_of_a_two_way_table():
    values = np.random.default_rng(1).normal(size=(3, 8)) + np.arange(8) / 4
    seeds, queries = values.shape
    of_seed = of_query = rest = 0.0
    for s in range(seeds):
        of_seed += queries * (values[s].mean() - values.mean()) ** 2 / (seeds - 1)
        for q in range(queries):
            own = values[s, q] - values[s].mean() - values[:, q].mean() + values.mean()
            rest += own**2 / ((seeds - 1) * (queries - 1))
    for q in range(queries):
        of_query += seeds * (values[:, q].mean() - values.mean()) ** 2 / (queries - 1)
    found = spread(values)
    assert found.seeds == (pytest.approx((of_seed / (seeds * queries), seeds - 1)),)
    assert found.queries == pytest.approx(((of_query - rest) / (seeds * queries), queries - 1))


def test_the_variance_is_that_of_the_mean():
    """On average over tables: 0.3²/3 + 1²/60 + 0.7²/180."""
    rng = np.random.default_rng(2)
    tables = 0.3 * rng.normal(size=(3000, 3, 1)) + rng.normal(size=(3000, 1, 60)) + 0.7 * rng.normal(size=(3000, 3, 60))
    expected = 0.09 / 3 + 1 / 60 + 0.49 / 180
    assert np.mean([spread(table).error ** 2 for table in tables]) == pytest.approx(expected, rel=0.05)
    assert tables.mean(axis=(1, 2)).var() == pytest.approx(expected, rel=0.1)


def test_a_tail_is_the_average_of_its_parts_tails():
    found = Spread(((3.0, 2),), (1.0, 99))
    assert found.error == 2
    expected = 0.75 * 2 * stats.t.sf(1.5, 2) + 0.25 * 2 * stats.t.sf(1.5, 99)
    assert found.p_value(-3.0) == pytest.approx(expected)
    assert found.p_value(found.margin(0.9)) == pytest.approx(0.1)
    more = found.at_least(5.0, 20)
    assert (more.seeds, more.queries) == (((5.0, 20), (0.0, 2)), (1.0, 99))
    assert found.at_least(1.0, 20).seeds == ((1.0, 20), (2.0, 2))
    assert Spread((), (1.0, 99)).at_least(5.0, 20) == Spread((), (1.0, 99))


def test_what_does_not_vary_is_certain():
    found = spread(np.full((3, 10), 0.1) + 0.2)
    assert found.margin() == 0
    assert (found.p_value(0.3), found.p_value(1e-14)) == (0, 1)


def test_queries_without_a_value_are_left_out():
    values = np.random.default_rng(3).normal(size=(2, 30))
    holed = values.copy()
    holed[1, 4] = np.nan
    assert spread(holed) == spread(np.delete(values, 4, axis=1))
    assert spread([[1.0], [2.0]]) is None
    assert spread([np.nan, 1.0]) is None
