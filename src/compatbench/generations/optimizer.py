"""The optimiser of a recipe."""

from __future__ import annotations

from torch import nn, optim

from compatbench.suite.recipe import Recipe


def build_optimizer(recipe: Recipe, parameters: list[nn.Parameter]) -> optim.Optimizer:
    """The optimiser of `recipe` over `parameters`."""
    if recipe.optimizer == "adamw":
        return optim.AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay)
    return optim.SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )
