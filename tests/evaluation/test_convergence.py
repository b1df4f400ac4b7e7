"""The gate of convergence: by hand, and against a loss curve in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatbench.evaluation.convergence import is_converged, loss_fall


def test_the_last_tenth_is_compared_with_the_one_before_by_hand() -> None:
    ten = [3.0, 2.5, 2.0, 1.6, 1.4, 1.3, 1.2, 1.1, 1.0, 0.9]
    assert loss_fall({"classification": ten}) == pytest.approx((1.0 - 0.9) / 1.0)
    twenty = [5.0] * 16 + [2.0, 1.0, 1.2, 0.9]
    assert loss_fall({"classification": twenty}) == pytest.approx((1.5 - 1.05) / 1.5)
    fifteen = [5.0] * 12 + [4.0, 3.0, 2.0]  # tenths of 1.5 epochs: 4 and half of 3; half of 3 and 2
    assert loss_fall({"a": fifteen}) == pytest.approx((5.5 / 1.5 - 3.5 / 1.5) / (5.5 / 1.5))


def test_all_terms_count() -> None:
    assert loss_fall({"a": [2.0] * 9 + [1.0], "b": [2.0] * 10}) == pytest.approx(0.25)
    assert loss_fall({"a": [1.0] * 10, "b": [-1.0] * 10}) == 0.0
    assert loss_fall({"a": [-1.0] * 9 + [-1.2]}) == pytest.approx(0.2), "a loss may be negative"


def test_few_epochs_count_in_proportion() -> None:
    assert loss_fall({"a": [2.0, 1.0]}) == pytest.approx(0.5 * 0.2)
    assert loss_fall({"a": [9.0, 2.0, 2.0, 1.6, 1.2]}) == pytest.approx(0.25 * 0.5)
    assert loss_fall({"a": [1.0]}) is None
    assert loss_fall({}) is None


@pytest.mark.parametrize("epochs", [5, 8, 10, 30, 45])
@pytest.mark.parametrize("rate", [0.1, 0.5, 2.0])
def test_it_is_the_fall_of_an_exponential(epochs: int, rate: float) -> None:
    """exp(-rate·t) over training time t in [0, 1] falls by 1 − exp(−rate/10) over any tenth."""
    edges = np.exp(-rate * np.linspace(0, 1, epochs + 1))
    by_epoch = (edges[:-1] - edges[1:]) * epochs / rate
    assert loss_fall({"a": by_epoch.tolist()}) == pytest.approx(1 - np.exp(-rate / 10), rel=0.1 * rate + 0.01)


def test_the_gate() -> None:
    falling, flat = {"a": [2.0] * 9 + [1.8]}, {"a": [2.0] * 9 + [1.91]}
    assert not is_converged(falling, [0.1] * 9 + [0.9])
    assert is_converged(falling, [0.1] * 9 + [0.91])
    assert not is_converged(falling, [0.95] * 9 + [0.5])
    assert is_converged(flat, [0.1] * 10)
    assert is_converged(flat, [])
    assert not is_converged(falling, [])
    assert not is_converged({"a": [1.0]}, [0.5])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.floats(0.01, 100))
def test_the_unit_of_a_loss_does_not_matter(curve: list[float], unit: float) -> None:
    one, other = loss_fall({"a": curve}), loss_fall({"a": [unit * value for value in curve]})
    assert one == pytest.approx(other, rel=1e-6, abs=1e-9)
