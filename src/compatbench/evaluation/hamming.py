"""Cosines of packed bits that are equal where Hamming distances are.

A unit vector of D signs has ±1/√D, which float32 rounds: sums of such products depend on their order, and ties break.
Here a stored vector has ±s, s a power of two, and a query 1/s√D times its own numbers, so that the product is still the
cosine. If the query is signs too, its number 1/sD is cut to so few bits that every sum is exact; all cosines are then
multiplied by one factor, which differs from 1 by less than D/2²⁴.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_BITS = 24
"""Of a float32's significand."""


def stored_signs(vectors: Tensor) -> Tensor:
    """(N, D) vectors of signs, of any length, as they are stored."""
    return torch.sign(vectors) * _step(vectors.shape[1])


def queries_of_signs(unit: Tensor) -> Tensor:
    """Unit vectors (Q, D) as they ask vectors of `stored_signs`."""
    dim = unit.shape[1]
    least, greatest = map(float, unit.abs().aminmax())
    if greatest > (1 + 1e-6) * least:
        return unit / (_step(dim) * math.sqrt(dim))
    significand, exponent = math.frexp(1 / (_step(dim) * dim))
    bits = _BITS - dim.bit_length()
    return torch.sign(unit) * math.ldexp(round(math.ldexp(significand, bits)), exponent - bits)


def _step(dim: int) -> float:
    """A power of two next to 1/√D."""
    return 2.0 ** -math.ceil(math.log2(dim) / 2)
