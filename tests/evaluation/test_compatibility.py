"""Compatibility numbers, computed by hand."""

import math

import numpy as np
import pytest

from compatbench.evaluation.compatibility import (
    average_compatibility,
    chain_numbers,
    compatibility,
    gain_share,
    p_1,
    p_comp,
    p_up,
)
from compatbench.evaluation.means import ratio


def test_an_upgrade_by_hand() -> None:
    assert compatibility(oo=0.40, no=0.46, nn=0.55, reference=0.60) == pytest.approx(
        {"cross_gain": 0.06, "update_gain": 0.3, "tax": -0.05, "criterion": 1.0, "ordering": 1.0}
    )


def test_an_incompatible_upgrade_by_hand() -> None:
    assert compatibility(oo=0.40, no=0.10, nn=0.60, reference=0.60) == pytest.approx(
        {"cross_gain": -0.3, "update_gain": -1.5, "tax": 0.0, "criterion": 0.0, "ordering": 0.0}
    )


@pytest.mark.parametrize("reference", [0.40, 0.35])
def test_update_gain_is_undefined_without_anything_to_gain(reference: float) -> None:
    numbers = compatibility(oo=0.40, no=0.45, nn=0.50, reference=reference)
    assert numbers["update_gain"] is None
    assert numbers["criterion"] == numbers["ordering"] == 1.0


@pytest.mark.parametrize(
    ("oo", "no", "nn", "criterion", "ordering"),
    [
        (0.5, 0.5, 0.6, 0, 0),  # equal is not better
        (0.5, 0.6, 0.6, 1, 0),
        (0.5, 0.7, 0.6, 1, 0),
        (0.5, 0.55, 0.6, 1, 1),
    ],
)
def test_criterion_and_ordering_are_strict(oo: float, no: float, nn: float, criterion: int, ordering: int) -> None:
    numbers = compatibility(oo, no, nn, reference=0.8)
    assert (numbers["criterion"], numbers["ordering"]) == (criterion, ordering)


def test_shares_of_resampled_means() -> None:
    gains = gain_share([0.4, 0.4, 0.5], [0.5, 0.3, 0.5], [0.6, 0.6, 0.5])
    np.testing.assert_allclose(gains, [0.5, -0.5, np.nan])
    np.testing.assert_allclose(gain_share(0.0, [0.1, 0.2], 0.4), [0.25, 0.5])


def test_p_scores_by_hand() -> None:
    """AdvBCT's: nothing lost and nothing gained is 0.5; a cross gain of the whole room is σ(1)."""
    assert (p_up(0.6, 0.6), p_comp(0.4, 0.4, 0.6), p_1(0.4, 0.4, 0.6, 0.6)) == pytest.approx((0.5, 0.5, 0.5))
    sigma_one = 1 / (1 + math.exp(-1))
    assert p_comp(0.4, 0.6, 0.6) == pytest.approx(sigma_one)
    assert p_1(0.4, 0.6, 0.6, 0.6) == pytest.approx(2 * 0.5 * sigma_one / (0.5 + sigma_one))
    assert p_up([0.3, 0.6], [0.4, 0.6]) == pytest.approx([1 / (1 + math.exp(0.25)), 0.5])


def test_p_scores_without_anything_to_gain() -> None:
    assert np.isnan(p_comp(0.5, 0.5, 0.5))
    assert np.isnan(p_1(0.5, 0.5, 0.5, 0.5))
    assert p_up(0.5, 0.5) == pytest.approx(0.5)


@pytest.mark.filterwarnings("error")
def test_p_scores_where_the_room_is_next_to_nothing() -> None:
    assert (p_comp(0.5, 0.1, 0.5 + 1e-6), p_comp(0.5, 0.9, 0.5 + 1e-6)) == (0.0, 1.0)


def test_retention_by_hand() -> None:
    np.testing.assert_allclose(ratio([0.45, 0.3], [0.6, 0.0]), [0.75, np.nan])


NAN = float("nan")
CHAIN = [
    [0.50, NAN, NAN],
    [0.50, 0.60, NAN],
    [0.45, 0.70, 0.80],
]


def test_a_chain_by_hand() -> None:
    """Pairs (1,0) tied, (2,0) below, (2,1) above the older generation's own score."""
    flags = np.zeros((3, 3), dtype=bool)
    assert chain_numbers(CHAIN, flags) == pytest.approx(
        {
            "AC": 2 / 3,
            "AC_strict": 1 / 3,
            "AC_significant": 1.0,
            "AM": (0.50 + 0.50 + 0.60 + 0.45 + 0.70 + 0.80) / 6,
            "BC": ((0.45 - 0.50) + (0.70 - 0.60)) / 2,
            "FC": ((0.50 - 0.60) + (0.70 - 0.80)) / 2,
        }
    )
    flags[2, 0] = True
    flags[0, 2] = True  # above the diagonal: not read
    assert chain_numbers(CHAIN, flags)["AC_significant"] == pytest.approx(2 / 3)
    assert "AC_significant" not in chain_numbers(CHAIN)


def test_two_generations_are_a_chain() -> None:
    assert chain_numbers([[0.5, 0.0], [0.6, 0.8]]) == pytest.approx(
        {"AC": 1, "AC_strict": 1, "AM": 1.9 / 3, "BC": 0.1, "FC": -0.2}
    )


def test_average_compatibility_counts_pairs() -> None:
    violated = np.tril(np.ones((5, 5), dtype=bool))
    assert average_compatibility(violated) == 0
    violated[4, 0] = False
    assert average_compatibility(violated) == pytest.approx(0.1)


@pytest.mark.parametrize("matrix", [[[0.5]], [[0.5, 0.4]], [0.5, 0.4]])
def test_matrices_that_are_no_chain_are_refused(matrix: list) -> None:
    with pytest.raises(ValueError, match="square matrix of at least 2 generations"):
        chain_numbers(matrix)


def test_missing_entries_are_refused() -> None:
    with pytest.raises(ValueError, match="missing entries"):
        chain_numbers([[0.5, 0.0], [NAN, 0.8]])
