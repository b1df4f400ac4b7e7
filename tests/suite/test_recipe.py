"""Recipes: learning rates computed by hand, and optimisers against their formulas."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

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


def parameter_after_two_steps(recipe: Recipe) -> float:
    parameter = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = recipe.build_optimizer([parameter])
    for gradient in (1.0, -0.5):
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    return parameter.item()


def test_sgd_is_nesterovs_with_weight_decay_in_the_gradient() -> None:
    # Sutskever et al. 2013 as torch writes it: g += λp; v = μv + g; p −= η (g + μv)
    position, velocity = 2.0, 0.0
    for gradient in (1.0, -0.5):
        decayed = gradient + 0.01 * position
        velocity = 0.9 * velocity + decayed
        position -= 0.1 * (decayed + 0.9 * velocity)
    recipe = Recipe(epochs=1, lr=0.1, momentum=0.9, weight_decay=0.01)
    assert parameter_after_two_steps(recipe) == pytest.approx(position, rel=1e-12)


def test_adamw_decays_weights_beside_the_gradient() -> None:
    # Loshchilov & Hutter 2019, algorithm 2, β = (0.9, 0.999), ε = 1e-8
    position, first, second = 2.0, 0.0, 0.0
    for step, gradient in enumerate((1.0, -0.5), 1):
        position -= 0.1 * 0.01 * position
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        position -= 0.1 * (first / (1 - 0.9**step)) / (math.sqrt(second / (1 - 0.999**step)) + 1e-8)
    recipe = Recipe(epochs=1, optimizer="adamw", lr=0.1, weight_decay=0.01)
    assert parameter_after_two_steps(recipe) == pytest.approx(position, rel=1e-9)


def test_plain_sgd_without_momentum() -> None:
    recipe = Recipe(epochs=1, lr=0.1, momentum=0.0, weight_decay=0.0)
    assert parameter_after_two_steps(recipe) == pytest.approx(2.0 - 0.1 * (1.0 - 0.5), rel=1e-12)
