"""Recipes: learning rates computed by hand, and optimisers against their formulas."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from compatbench.suite.recipe import Recipe


def rates(progress: list[float], **recipe: Any) -> list[float]:
    made = Recipe.model_validate({"epochs": 1, "lr": 0.8, **recipe})
    return [made.rate(share) for share in progress]


def test_constant() -> None:
    assert rates([0.0, 0.5, 0.999], schedule="constant") == [0.8, 0.8, 0.8]


def test_cosine_falls_from_the_full_rate_through_half_to_zero() -> None:
    # 0.8 · (1 + cos(π·p)) / 2 at p = 0, 1/3, 1/2, 2/3, 1
    assert rates([0, 1 / 3, 0.5, 2 / 3, 1], schedule="cosine") == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0], abs=1e-12)


def test_steps_divide_by_ten_from_their_boundary_on() -> None:
    progress = [0.0, 0.3, 1 / 3, 0.6, 2 / 3, 0.99]
    expected = [0.8, 0.8, 0.08, 0.08, 0.008, 0.008]
    assert rates(progress, schedule="step", steps=[1 / 3, 2 / 3]) == pytest.approx(expected)


def test_warmup_rises_from_a_hundredth_to_the_full_rate() -> None:
    # 0.8 · (0.01 + 0.99 · p / 0.2)
    progress = [0.0, 0.1, 0.2 - 1e-12, 0.2, 0.9]
    assert rates(progress, warmup=0.2, schedule="constant") == pytest.approx([0.008, 0.404, 0.8, 0.8, 0.8])


def test_cosine_starts_where_the_warmup_ends() -> None:
    # the 0.8 that are left after the warm-up are the whole of the cosine: half-way at 0.2 + 0.8 / 2
    assert rates([0.2, 0.6, 1.0], warmup=0.2) == pytest.approx([0.8, 0.4, 0.0], abs=1e-12)


@pytest.mark.parametrize("steps", [[0.0], [1.0], [0.6, 0.3], [0.3, 0.3]])
def test_steps_that_do_not_rise_within_the_training_are_refused(steps: list[float]) -> None:
    with pytest.raises(ValidationError, match="steps must rise, each between 0 and 1"):
        Recipe(epochs=1, schedule="step", steps=tuple(steps))
