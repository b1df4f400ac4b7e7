"""Intervals cover: against simulation, scipy and worked examples."""

import numpy as np
import pytest
from scipy import stats

from compatbench.evaluation.bootstrap import (
    Bootstrap,
    hierarchical_bootstrap,
    interval_estimate,
    mean_estimate,
    percentile_interval,
)
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


def test_resampled_means_equal_a_loop_over_draws() -> None:
    """The variance of resampled means is that of the two-way design: draw seeds, draw queries, average."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3, 1)) + rng.normal(size=(1, 20)) + rng.normal(size=(3, 20))
    slow = []
    for _ in range(6000):
        queries = rng.integers(0, 20, 20)
        slow.append(np.mean([values[seed][queries].mean() for seed in rng.integers(0, 3, 3)]))
    fast = hierarchical_bootstrap({"x": values}, resamples=6000)["x"]
    assert fast.std() == pytest.approx(np.std(slow), rel=0.05)
    assert fast.mean() == pytest.approx(values.mean(), abs=4 * fast.std() / np.sqrt(6000))
    np.testing.assert_allclose(np.quantile(fast, [0.1, 0.9]), np.quantile(slow, [0.1, 0.9]), atol=0.08 * np.std(slow))


def test_intervals_over_queries_cover_the_mean() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(400):
        low, high = interval(rng.normal(loc=1.0, size=100), 400, seed=trial % 5)
        covered += low <= 1.0 <= high
    assert 0.91 <= covered / 400 <= 0.98


def test_intervals_over_seeds_and_queries_cover_the_mean() -> None:
    """Seed, query and residual effects of equal size. Ten seeds leave a little undercoverage; the interval of one
    seed alone, which knows of no other seed, misses far more often."""
    rng = np.random.default_rng(4)
    hierarchical = single = 0
    for _ in range(300):
        values = 1 + rng.normal(size=(10, 1)) + rng.normal(size=(1, 60)) + rng.normal(size=(10, 60))
        low, high = interval(values, 300)
        hierarchical += low <= 1 <= high
        low, high = interval(values[0], 300)
        single += low <= 1 <= high
    assert 0.86 <= hierarchical / 300 <= 0.98
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
    values = np.random.default_rng(7).normal(size=(2, 50))
    holed = values.copy()
    holed[:, 10:20] = np.nan
    means = hierarchical_bootstrap({"all": values, "holed": holed, "ones": np.where(np.isnan(holed), np.nan, 1.0)})
    np.testing.assert_allclose(means["ones"], 1.0)
    np.testing.assert_allclose(means["all"], hierarchical_bootstrap({"all": values})["all"])
    kept = np.delete(values, np.s_[10:20], axis=1)
    assert means["holed"].mean() == pytest.approx(kept.mean(), abs=0.03)
    assert means["holed"].std() == pytest.approx(hierarchical_bootstrap({"x": kept})["x"].std(), rel=0.15)


def test_an_interval_of_nothing_is_none() -> None:
    assert mean_estimate(np.empty(0)) == Estimate()
    assert mean_estimate([np.nan, np.nan]) == Estimate()
    assert interval_estimate(None, np.ones(10)) == interval_estimate(np.nan, np.ones(10)) == Estimate()


def test_undefined_samples_up_to_the_level_are_left_out() -> None:
    samples = np.arange(100.0)
    samples[:4] = np.nan
    assert percentile_interval(samples) == pytest.approx(np.quantile(np.arange(4.0, 100), [0.025, 0.975]))
    samples[:6] = np.nan
    assert percentile_interval(samples) == (None, None)


def test_a_number_of_several_columns_has_a_paired_interval() -> None:
    """Columns of other shapes are drawn by themselves; those of one shape share the draws, whatever else is asked."""
    rng = np.random.default_rng(13)
    values, short = rng.normal(size=(3, 80)), rng.normal(size=(2, 80))
    found = Bootstrap({"a": values, "short": short, ("b", 1): values - 0.5})
    assert found.estimate(np.subtract, "a", ("b", 1)) == Estimate(*(pytest.approx(0.5, abs=1e-12) for _ in range(3)))
    draws = hierarchical_bootstrap({"short": short})["short"]
    low, high = np.percentile(draws, [2.5, 97.5])
    assert found.mean("short") == Estimate(pytest.approx(short.mean()), pytest.approx(low), pytest.approx(high))
    assert mean_estimate(short) == found.mean("short")


def test_queries_without_a_value_enter_neither_the_mean_nor_its_interval() -> None:
    values = np.random.default_rng(14).normal(size=40)
    values[3:9] = np.nan
    found = mean_estimate(values)
    assert found.value == pytest.approx(np.delete(values, np.s_[3:9]).mean())
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
