"""The one rule of significance, against scipy and by hand; test_error_rates.py simulates it."""

import numpy as np
import pytest
from scipy import stats

from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.significance import behind_the_first, corrected_p_values, holm, sign, verdict


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


def test_a_verdict_is_the_sign():
    above, below = Estimate(0.1, 0.05, 0.2), Estimate(-0.1, -0.2, -0.05)
    assert [verdict(above), verdict(above, 0.04), verdict(above, 0.05)] == ["compatible", "compatible", "undecided"]
    assert [verdict(below), verdict(below, 0.06), verdict(Estimate(0.1, 0.0, 0.2))] == [
        "not compatible", "undecided", "undecided",
    ]  # fmt: skip


def test_p_values_of_one_seed_are_those_of_scipy_corrected_within_their_family() -> None:
    rng = np.random.default_rng(15)
    differences = {(family, name): rng.normal(0.3, 1, 40) for family, name in ("xa", "xb", "ya")}
    found = corrected_p_values(differences, family=lambda key: key[0])
    raw = {key: stats.ttest_1samp(values, 0).pvalue for key, values in differences.items()}
    low, high = sorted([raw["x", "a"], raw["x", "b"]])
    assert found["y", "a"] == pytest.approx(raw["y", "a"])
    assert sorted([found["x", "a"], found["x", "b"]]) == pytest.approx([2 * low, max(2 * low, high)])
    assert list(corrected_p_values(differences).values()) == pytest.approx(list(holm(list(raw.values()))))
    assert corrected_p_values({}) == {}


def constant(*means: float, queries: int = 20) -> np.ndarray:
    """(S, Q) of queries that agree."""
    return np.repeat(np.array(means)[:, None], queries, axis=1)


def test_in_a_family_seeds_vary_at_least_as_much_as_usual() -> None:
    """Two of three seeds agree: alone they are certain; with another difference the mean of both variances counts.

    Seeds 0, 1 and 2 have the variance 1, so the usual one is 1/2, on 2 + 2 degrees of freedom; the mean of three
    varies by 1/6.
    """
    agreed, varied = constant(0.5, 0.5, 0.5), constant(0.0, 1.0, 2.0)
    assert corrected_p_values({"agreed": agreed}) == {"agreed": 0}
    found = corrected_p_values({"agreed": agreed, "varied": varied})
    own = 2 * stats.t.sf(0.5 / np.sqrt(1 / 6), 4)
    # half of the other's variance is usual, half is beyond
    other = stats.t.sf(np.sqrt(3), 4) + stats.t.sf(np.sqrt(3), 2)
    assert [found["agreed"], found["varied"]] == pytest.approx(
        [max(own, 2 * other) if other < own else 2 * own, 2 * other if other < own else max(2 * own, other)]
    )


def test_rows_behind_the_first_are_corrected_for_all_pairs() -> None:
    """Three rows of one seed: Holm over the two comparisons with the first, times 3 / 2 for three pairs."""
    rng = np.random.default_rng(3)
    base = rng.normal(size=(1, 200))
    noise = stats.zscore(rng.normal(size=(2, 1, 200)), axis=2)
    rows = {"a": base + 0.0, "b": base - noise[0] - 0.145, "c": base - noise[1] - 0.6}
    seeds = dict.fromkeys(rows, (0,))
    raw = [stats.ttest_1samp((rows["a"] - rows[key])[0], 0).pvalue for key in "bc"]
    assert raw[0] < 0.05 < 1.5 * raw[0]
    assert behind_the_first(rows, seeds) == {"c"}
    assert behind_the_first({key: rows[key] for key in "ab"}, seeds) == {"b"}


def test_rows_are_compared_on_the_seeds_that_they_share() -> None:
    rows = {"a": constant(0.5, 0.6, 0.5), "b": constant(0.2, 0.3, 0.2)}
    assert behind_the_first(rows, {"a": (0, 1, 2), "b": (0, 1, 2)}) == {"b"}
    assert behind_the_first(rows, {"a": (0, 1, 2), "b": (3, 4, 5)}) == set()
    assert behind_the_first(rows, {"a": (0, 1, 2), "b": (1, 2, 3)}) == set()  # 0.4 and 0.2
    assert behind_the_first({"a": rows["a"]}, {"a": (0, 1, 2)}) == set()


def test_holm_by_hand() -> None:
    """0.01·4 = 0.04, 0.02·3 = 0.06, 0.03·2 = 0.06, 0.04·1 = 0.04 → raised to 0.06."""
    np.testing.assert_allclose(holm([0.02, 0.01, 0.04, 0.03]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.6]), [1.0, 1.0])
    np.testing.assert_allclose(holm([0.03]), [0.03])
    assert holm([]).shape == (0,)
