"""Tests keep their level, the one rule of significance by hand: against enumeration, simulation and worked examples."""

import itertools

import numpy as np
import pytest

from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.significance import corrected_p_values, holm, paired_permutation_test, sign


@pytest.mark.parametrize(
    ("difference", "p_value", "expected"),
    [
        (Estimate(0.1, 0.05, 0.2), None, 1),
        (Estimate(-0.1, -0.2, -0.05), None, -1),
        (Estimate(0.1, -0.05, 0.2), None, 0),
        (Estimate(0.1, 0.0, 0.2), None, 0),
        (Estimate(1e-16, 1e-17, 1e-15), None, 0),
        (Estimate(0.1), None, 0),
        (Estimate(), None, 0),
        (Estimate(0.1, 0.05, 0.2), 0.04, 1),
        (Estimate(0.1, 0.05, 0.2), 0.05, 0),
        (Estimate(-0.1, -0.2, -0.05), 0.01, -1),
        (Estimate(-0.1, -0.2, -0.05), 0.5, 0),
        (Estimate(0.1, -0.05, 0.2), 0.001, 0),
        (Estimate(0.1, 0.05, 0.2), float("nan"), 0),
    ],
)
def test_a_difference_is_significant_where_its_interval_and_its_p_value_say_so(difference, p_value, expected):
    assert sign(difference, p_value) == expected


def test_p_values_are_corrected_within_their_family() -> None:
    """Over seeds a query's difference is averaged; families of two and of one by hand with Holm's factors."""
    rng = np.random.default_rng(15)
    differences = {(family, name): rng.normal(0.3, 1, (2, 40)) for family, name in ("xa", "xb", "ya")}
    found = corrected_p_values(differences, family=lambda key: key[0])
    raw = {key: float(paired_permutation_test(values, 0.0)) for key, values in differences.items()}
    low, high = sorted([raw["x", "a"], raw["x", "b"]])
    assert found["y", "a"] == raw["y", "a"]
    assert sorted([found["x", "a"], found["x", "b"]]) == pytest.approx([2 * low, max(2 * low, high)])
    together = corrected_p_values(differences)
    assert list(together.values()) == pytest.approx(list(holm(list(raw.values()))))
    assert corrected_p_values({"one": differences["x", "a"].mean(axis=0)}) == {"one": raw["x", "a"]}
    assert corrected_p_values({}) == {}


def exact_p(differences: np.ndarray) -> float:
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=len(differences))]
    return float(np.mean(np.array(sums) >= abs(differences.sum()) - 1e-12))


@pytest.mark.parametrize("shift", [0.0, 0.4, 1.0])
def test_permutation_p_equals_enumeration(shift: float) -> None:
    rng = np.random.default_rng(8)
    first, second = rng.normal(size=(3, 12)) + shift, rng.normal(size=(3, 12))
    exact = exact_p((first - second).mean(axis=0))
    tolerance = 4 * np.sqrt(exact * (1 - exact) / 10_000) + 1e-4
    assert paired_permutation_test(first, second) == pytest.approx(exact, abs=tolerance)


def test_permutation_p_of_tied_hits_equals_enumeration() -> None:
    """Hit differences are multiples of 1/3, whose sums tie: rounding must not split the ties."""
    rng = np.random.default_rng(9)
    first, second = rng.integers(0, 2, (3, 11)), rng.integers(0, 2, (3, 11))
    exact = exact_p((first - second).mean(axis=0))
    assert paired_permutation_test(first, second) == pytest.approx(exact, abs=0.02)


def test_permutation_tests_share_signs_and_skip_missing_queries() -> None:
    rng = np.random.default_rng(10)
    first, second = rng.normal(size=(4, 2, 30)) + 0.2, rng.normal(size=(2, 30))
    first[1, :, 5:9] = np.nan
    together = paired_permutation_test(first, second)
    assert together.shape == (4,)
    np.testing.assert_allclose(together, [paired_permutation_test(one, second) for one in first])
    kept = [np.delete(side, np.s_[5:9], axis=-1) for side in (first[1], second)]
    assert together[1] == pytest.approx(paired_permutation_test(*kept), abs=0.03)


def test_equal_rows_are_not_significant_and_distant_ones_are() -> None:
    values = np.random.default_rng(11).normal(size=(1, 300))
    assert paired_permutation_test(values, values) == 1.0
    assert paired_permutation_test(values + 1, values) == pytest.approx(1 / 10_001)


def test_permutation_keeps_its_level() -> None:
    rng = np.random.default_rng(12)
    p_values = paired_permutation_test(rng.normal(size=(500, 1, 40)), rng.normal(size=(500, 1, 40)), 1000)
    assert 0.02 <= (p_values <= 0.05).mean() <= 0.08


def test_holm_by_hand() -> None:
    """0.01·4 = 0.04, 0.02·3 = 0.06, 0.03·2 = 0.06, 0.04·1 = 0.04 → raised to 0.06."""
    np.testing.assert_allclose(holm([0.02, 0.01, 0.04, 0.03]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.6]), [1.0, 1.0])
    np.testing.assert_allclose(holm([0.03]), [0.03])
    assert holm([]).shape == (0,)
