"""Numbers of a chain with intervals, against loops over the pairs and against bootstraps of single differences."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from compatbench.evaluation.bootstrap import hierarchical_bootstrap, percentile_interval
from compatbench.evaluation.chains import chain_estimates
from compatbench.evaluation.compatibility import chain_numbers

Values = NDArray[np.float64]
Entries = dict[tuple[int, int], Values]


def entries(generations: int, seeds: int = 2, queries: int = 40, seed: int = 0) -> Entries:
    generator = np.random.default_rng(seed)
    ease = generator.random(queries)
    return {
        (q, g): np.clip(ease + generator.normal(0.03 * (q - g), 0.2, (seeds, queries)), 0, 1)
        for q in range(generations)
        for g in range(q + 1)
    }


def by_loop(means: dict[tuple[int, int], float], size: int) -> dict[str, float]:
    pairs = [(i, j) for i in range(size) for j in range(i)]
    return {
        "AC": 1 - sum(means[i, j] < means[j, j] for i, j in pairs) / len(pairs),
        "AC_strict": 1 - sum(means[i, j] <= means[j, j] for i, j in pairs) / len(pairs),
        "AM": sum(means.values()) / len(means),
        "BC": sum(means[size - 1, i] - means[i, i] for i in range(size - 1)) / (size - 1),
        "FC": sum(means[i, i - 1] - means[i, i] for i in range(1, size)) / (size - 1),
    }


@pytest.mark.parametrize("size", [2, 4, 6])
def test_values_and_intervals_are_those_of_a_loop_over_the_pairs_of_every_draw(size: int) -> None:
    scores = entries(size)
    found = chain_estimates(scores).numbers
    assert tuple(found) == ("AC", "AC_strict", "AC_significant", "AM", "BC", "FC")
    means = {at: float(values.mean()) for at, values in scores.items()}
    draws = hierarchical_bootstrap({str(at): values for at, values in scores.items()})
    looped = [by_loop({at: draws[str(at)][b] for at in scores}, size) for b in range(len(draws["(0, 0)"]))]
    for name, value in by_loop(means, size).items():
        assert found[name].value == pytest.approx(value), name
        assert (found[name].low, found[name].high) == pytest.approx(
            percentile_interval([one[name] for one in looped])
        ), name


def test_significant_violations_are_those_whose_paired_interval_lies_below_zero() -> None:
    scores = entries(4, queries=400)
    scores[3, 0] = scores[0, 0] - 0.1  # below for every query
    scores[2, 1] = scores[1, 1] - 1e-4 * np.random.default_rng(1).normal(1, 50, scores[1, 1].shape)  # noise
    counted = 0
    for i in range(4):
        for j in range(i):
            draws = hierarchical_bootstrap({"i": scores[i, j], "j": scores[j, j]})
            _, high = percentile_interval(draws["i"] - draws["j"])
            assert high is not None
            counted += high < 0
    found = chain_estimates(scores).numbers["AC_significant"]
    assert counted >= 1
    assert found.value == pytest.approx(1 - counted / 6)
    assert (found.low, found.high) == (None, None)


def test_ties_violate_the_strict_rule_alone_in_every_draw() -> None:
    """New generations that answer every query as the old ones did: the control that changes nothing."""
    same = np.random.default_rng(0).random((3, 50))
    found = chain_estimates({(q, g): same.copy() for q in range(4) for g in range(q + 1)}).numbers
    for name, value in {"AC": 1, "AC_strict": 0, "BC": 0, "FC": 0}.items():
        assert (found[name].value, found[name].low, found[name].high) == pytest.approx((value,) * 3, abs=1e-12), name
    assert found["AC_significant"].value == 1


def test_queries_without_a_relevant_item_enter_nothing() -> None:
    scores = entries(3, seeds=1)
    with_holes = {at: np.concatenate([values, np.full((1, 1), np.nan)], axis=1) for at, values in scores.items()}
    for name, number in chain_estimates(with_holes).numbers.items():
        assert number.value == pytest.approx(chain_estimates(scores).numbers[name].value), name


def test_many_matrices_at_once_are_each_by_itself() -> None:
    matrices = np.random.default_rng(3).random((5, 4, 4))
    together = chain_numbers(matrices)
    for place, matrix in enumerate(matrices):
        for name, value in chain_numbers(matrix).items():
            assert together[name][place] == pytest.approx(value, rel=1e-12), name
