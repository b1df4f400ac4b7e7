"""Loss curves against means by hand, and the first term that is not finite."""

from __future__ import annotations

import pytest
import torch

from compatbench.errors import InvalidResultError
from compatbench.generations.loss_log import LossLog


def filled(epochs: list[list[dict[str, float]]], look_every: int = 2) -> LossLog:
    log = LossLog()
    for steps in epochs:
        for number, terms in enumerate(steps, 1):
            log.add({name: torch.tensor(value, requires_grad=True) for name, value in terms.items()})
            if number % look_every == 0 or number == len(steps):
                log.look()
        log.end_epoch()
    return log


@pytest.mark.parametrize("look_every", [1, 2, 100])
def test_means_by_epoch(look_every: int) -> None:
    epochs = [[{"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 2.5}, {"a": 6.0, "b": 3.0}], [{"a": 0.5, "b": -1.0}]]
    assert filled(epochs, look_every).curves == {"a": [3.0, 0.5], "b": [2.5, -1.0]}


def test_a_term_that_comes_late_or_goes_counts_as_zero_where_it_is_not() -> None:
    epochs = [[{"a": 1.0}, {"a": 1.0, "early": 3.0}], [{"a": 1.0}], [{"a": 1.0, "late": 5.0}]]
    assert filled(epochs).curves == {"a": [1.0, 1.0, 1.0], "early": [1.5, 0.0, 0.0], "late": [0.0, 0.0, 5.0]}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_the_first_bad_term_is_named_though_others_followed_before_the_look(bad: float) -> None:
    good = {"classification": 1.0, "extra": 1.0}
    spoiled = {"classification": 1.0, "extra": bad}
    nothing_left = {"classification": float("nan"), "extra": float("nan")}
    with pytest.raises(InvalidResultError, match=f"loss term 'extra' is {bad} in epoch 2, step 3"):
        filled([[good], [good, good, spoiled, nothing_left]], look_every=4)


def test_opposite_infinities_do_not_cancel() -> None:
    with pytest.raises(InvalidResultError, match="step 1"):
        filled([[{"a": float("inf")}, {"a": float("-inf")}]])
