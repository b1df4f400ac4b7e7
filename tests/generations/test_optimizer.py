"""The optimisers of recipes: two steps by hand."""

import math

import pytest
import torch
from torch import nn

from compatbench.generations.optimizer import build_optimizer
from compatbench.suite.recipe import Recipe


def parameter_after_two_steps(recipe: Recipe) -> float:
    parameter = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = build_optimizer(recipe, [parameter])
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
