"""Intervals cover: against simulation, scipy and worked examples."""

import numpy as np
import pytest
from scipy import stats

from compatbench.evaluation.bootstrap import hierarchical_bootstrap, interval_estimate, percentile_interval
from compatbench.evaluation.compatibility import gain_share
from compatbench.evaluation.estimate import Estimate


def interval(values: np.ndarray, resamples: int, seed: int = 0) -> tuple[float, float] | tuple[None, None]:
    return percentile_interval(hierarchical_bootstrap({"mean": values}, resamples, seed)["mean"])


def test_one_seed_is_the_ordinary_bootstrap_over_queries() -> None:
    values = np.random.default_rng(0).exponential(size=200)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1), vectorized=True
    ).confidence_interval
    low, high = interval(values, 4000)
    width = theirs.high - theirs.low
    assert low == pytest.approx(theirs.low, abs=0.05 * width)
    assert high == pytest.approx(theirs.high, abs=0.05 * width)


def test_draws_of_seeds_have_the_variance_of_their_mean_and_the_tails_of_t():
    """Values that do not differ between queries: what moves is the mean of the seeds, by t with S − 1 degrees."""
    means = np.random.default_rng(2).normal(size=4)
    draws = hierarchical_bootstrap({"x": np.repeat(means[:, None], 5, axis=1)}, resamples=6000)["x"]
    standard = (draws - means.mean()) / (means.std(ddof=1) / 2)
    assert stats.kstest(standard, stats.t(3).cdf).pvalue > 0.01


def test_draws_of_queries_equal_a_loop():
    values = np.random.default_rng(2).normal(size=20)
    draws = hierarchical_bootstrap({"x": values, "again": values}, resamples=6000)
    rng = np.random.default_rng(3)
    slow = [values[rng.integers(0, 20, 20)].mean() for _ in range(6000)]
    assert draws["x"].std() == pytest.approx(np.std(slow), rel=0.05)
    np.testing.assert_array_equal(draws["x"], draws["again"])


def test_intervals_over_queries_cover_the_mean() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(400):
        low, high = interval(rng.normal(loc=1.0, size=100), 400, seed=trial % 5)
        covered += low <= 1.0 <= high
    assert 0.91 <= covered / 400 <= 0.98


def test_intervals_over_three_seeds_cover_the_mean():
    """Seed, query and residual effects of equal size; the interval of one seed alone misses far more often."""
    rng = np.random.default_rng(4)
    several = single = 0
    for _ in range(300):
        values = 1 + rng.normal(size=(3, 1)) + rng.normal(size=(1, 60)) + rng.normal(size=(3, 60))
        low, high = interval(values, 300)
        several += low <= 1 <= high
        low, high = interval(values[0], 300)
        single += low <= 1 <= high
    assert several / 300 >= 0.92
    assert single / 300 < 0.6


def test_columns_are_paired() -> None:
    """A constant difference has no spread at all, within one call and across calls."""
    values = np.random.default_rng(5).normal(size=(3, 200))
    together = hierarchical_bootstrap({"a": values, "b": values + 0.25})
    np.testing.assert_allclose(together["b"] - together["a"], 0.25, atol=1e-12)
    apart = hierarchical_bootstrap({"c": values - 1})
    np.testing.assert_allclose(together["a"] - apart["c"], 1, atol=1e-12)
    assert together["a"].std() > 0.01


def test_update_gain_has_an_interval() -> None:
    rng = np.random.default_rng(6)
    base = rng.uniform(0.2, 0.4, size=(3, 500))
    columns = {"oo": base, "no": base + 0.1, "reference": base + 0.2 + rng.normal(scale=0.05, size=base.shape)}
    means = hierarchical_bootstrap(columns)
    low, high = percentile_interval(gain_share(means["oo"], means["no"], means["reference"]))
    assert 0.45 < low < 0.5 < high < 0.55


def test_queries_without_a_relevant_item_enter_no_mean() -> None:
    values = np.random.default_rng(7).normal(size=(10, 50))
    holed = values.copy()
    holed[:, 10:20] = np.nan
    means = hierarchical_bootstrap({"all": values, "holed": holed, "ones": np.where(np.isnan(holed), np.nan, 1.0)})
    np.testing.assert_allclose(means["ones"], 1.0)
    np.testing.assert_allclose(means["all"], hierarchical_bootstrap({"all": values})["all"])
    kept = np.delete(values, np.s_[10:20], axis=1)
    assert means["holed"].mean() == pytest.approx(kept.mean(), abs=0.03)
    assert means["holed"].std() == pytest.approx(hierarchical_bootstrap({"x": kept})["x"].std(), rel=0.15)


def test_an_interval_of_nothing_is_none() -> None:
    assert interval_estimate(None, np.ones(10)) == interval_estimate(np.nan, np.ones(10)) == Estimate()


def test_undefined_samples_up_to_the_level_are_left_out() -> None:
    samples = np.arange(100.0)
    samples[:4] = np.nan
    assert percentile_interval(samples) == pytest.approx(np.quantile(np.arange(4.0, 100), [0.025, 0.975]))
    samples[:6] = np.nan
    assert percentile_interval(samples) == (None, None)
