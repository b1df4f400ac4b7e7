"""Gradient reversal: the identity forwards, the opposite direction backwards."""

from typing import Any

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, coefficient: float) -> Tensor:
        ctx.coefficient = coefficient
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.coefficient * gradient, None


def reverse_gradient(features: Tensor, coefficient: float) -> Tensor:
    """`features` (any shape) unchanged, whose gradient is multiplied by −`coefficient` on its way back.

    Ganin and Lempitsky, ICML 2015, arXiv 1409.7495, eq. 8: what follows learns to tell the features apart,
    and what made the features learns to prevent it.
    """
    reversed_features: Tensor = _Reversal.apply(features, coefficient)
    return reversed_features
