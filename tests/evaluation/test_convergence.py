"""The gate of convergence: by hand, against a curve in closed form, and on curves of real trainings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatbench.evaluation.convergence import is_converged, loss_fall, verdicts

TWINS = {
    # training accuracy by epoch of heads on frozen features; the points of held-out mAP that twice the epochs added
    "4 epochs": ([0.138, 0.448, 0.661, 0.752], 2.8),
    "8 epochs": ([0.109, 0.417, 0.655, 0.797, 0.894, 0.938, 0.964, 0.971], 0.7),
    "a small rate, 16 epochs": (
        [0.004, 0.057, 0.194, 0.309, 0.386, 0.439, 0.488, 0.525, 0.554, 0.584, 0.602, 0.61, 0.624, 0.637, 0.632, 0.639],
        4.0,
    ),
}


def test_the_tenths_at_the_end_and_before_the_last_third_are_compared_by_hand() -> None:
    three = [3.0, 2.0, 1.5]
    assert loss_fall({"classification": three}) == pytest.approx(0.5 / 2)
    thirty = [9.0] * 17 + [2.0, 3.0, 4.0] + [9.0] * 7 + [1.0, 2.0, 3.0]
    assert loss_fall({"classification": thirty}) == pytest.approx((3 - 2) / 3)
    ten = [9.0] * 5 + [3.0, 2.4, 9.0, 9.0, 1.2]  # epochs 5⅔ to 6⅔: a third of the sixth, two of the seventh
    assert loss_fall({"a": ten}) == pytest.approx((2.6 - 1.2) / 2.6)


def test_all_terms_count_and_may_be_negative() -> None:
    assert loss_fall({"a": [2.0] * 9 + [1.0], "b": [2.0] * 10}) == pytest.approx(0.25)
    assert loss_fall({"a": [1.0] * 10, "b": [-1.0] * 10}) == 0.0
    assert loss_fall({"a": [-1.0] * 9 + [-1.2]}) == pytest.approx(0.2)


def test_two_epochs_tell_nothing() -> None:
    assert loss_fall({"a": [2.0, 1.0]}) is None
    assert loss_fall({}) is None
    assert not is_converged({"a": [1.0, 1.0]}, [0.5, 0.5])
    assert is_converged({"a": [1.0]}, [0.95])


@pytest.mark.parametrize("epochs", [3, 8, 10, 30, 45])
@pytest.mark.parametrize("rate", [0.1, 0.5, 2.0])
def test_it_is_the_fall_of_an_exponential(epochs: int, rate: float) -> None:
    """exp(-rate·t) over training time t in [0, 1] falls by 1 − exp(−rate/3) over a third, between equal widths."""
    edges = np.exp(-rate * np.linspace(0, 1, epochs + 1))
    by_epoch = (edges[:-1] - edges[1:]) * epochs / rate
    assert loss_fall({"a": by_epoch.tolist()}) == pytest.approx(1 - np.exp(-rate / 3), rel=0.02 * rate + 0.01)


def test_the_gate() -> None:
    falling, flat = {"a": [2.0] * 9 + [1.95]}, {"a": [2.0] * 9 + [1.97]}
    rising, level = [0.5] * 9 + [0.52], [0.5] * 9 + [0.509]
    assert not is_converged(flat, rising)
    assert is_converged(falling, level)
    assert is_converged(falling, [0.1] * 9 + [0.91])
    assert not is_converged(falling, [0.1] * 9 + [0.9])
    assert is_converged(falling, [0.95] * 9 + [0.5]), "it gets no better"
    assert is_converged(flat, [])
    assert not is_converged(falling, [])


@pytest.mark.parametrize("name", TWINS)
def test_whoever_gains_by_a_longer_training_has_not_converged(name: str) -> None:
    accuracy, gained = TWINS[name]
    assert is_converged({"a": [1.0] * len(accuracy)}, accuracy) == (gained < 1)


LOSSES = st.floats(-1e6, 1e6).map(lambda loss: loss if abs(loss) > 1e-100 else 0.0)  # half of the least float is 0


@given(st.lists(LOSSES, min_size=3, max_size=40), st.floats(0.01, 100))
def test_the_unit_of_a_loss_does_not_matter(curve: list[float], unit: float) -> None:
    one, other = loss_fall({"a": curve}), loss_fall({"a": [unit * value for value in curve]})
    assert one == pytest.approx(other, rel=1e-6, abs=1e-9)


@given(
    st.lists(st.floats(0.39, 0.41), min_size=3, max_size=30),
    st.floats(0.97, 1.03),
    st.sampled_from([0.0, 0.498]),
)
def test_rounding_leaves_a_verdict_possible(course: list[float], rise: float, shift: float) -> None:
    """Curves near both edges of the gate: 2% within the last third, and 90% at the end."""
    third = len(course) - len(course) // 3
    exact = [value * (1 if epoch < third else rise) + shift for epoch, value in enumerate(course)]
    assert is_converged({}, exact) in verdicts([round(value, 3) for value in exact], 5e-4)


def test_far_from_the_edges_rounding_changes_nothing() -> None:
    for course, _ in TWINS.values():
        assert verdicts(course, 5e-4) == {is_converged({}, course)}


def test_a_rise_of_two_percent_after_the_first_half_is_within_rounding() -> None:
    course = [0.376, 0.381, 0.386, 0.387, 0.39, 0.391, 0.394, 0.392, 0.396, 0.396, 0.398, 0.401]
    assert verdicts(course, 5e-4) == {True, False}
