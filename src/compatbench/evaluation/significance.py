"""The one rule for a significant difference, and its tests. Knows nothing of torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.evaluation.estimate import Estimate

ERROR_RATE = 0.05
"""Of a family of comparisons, after Holm's correction."""
ROUNDING = 1e-12
"""Fractions closer to 0 than this differ from it by the order of summation only."""
PERMUTATIONS = 10_000
_BLOCK_VALUES = 2**19
"""Signs as float64 at once: 4 MiB, which stays in the processor's cache."""

Key = TypeVar("Key", bound=Hashable)


def sign(difference: Estimate, p_value: float | None = None) -> Literal[-1, 0, 1]:
    """1 if a difference is significantly above 0, −1 below, else 0.

    Its 95% interval must exclude 0, and where it is one of a family, its corrected p-value must be below ERROR_RATE
    too: the permutation test knows of the other comparisons, and the interval of the spread over seeds.
    """
    if p_value is not None and not p_value < ERROR_RATE:
        return 0
    if difference.low is not None and difference.low > ROUNDING:
        return 1
    return -1 if difference.high is not None and difference.high < -ROUNDING else 0


def corrected_p_values(
    differences: Mapping[Key, ArrayLike], family: Callable[[Key], Hashable] = lambda key: None
) -> dict[Key, float]:
    """p-values of mean = 0 of each difference (S, Q), or (Q,) for one seed; Holm-corrected within its `family`.

    By the paired permutation test, on signs that all differences share.
    """
    if not differences:
        return {}
    over_seeds = [np.atleast_2d(values).mean(axis=0, keepdims=True) for values in differences.values()]
    raw = dict(zip(differences, paired_permutation_test(np.stack(over_seeds), 0.0), strict=True))
    families: dict[Hashable, list[Key]] = defaultdict(list)
    for key in differences:
        families[family(key)].append(key)
    return {
        key: float(value)
        for members in families.values()
        for key, value in zip(members, holm([raw[key] for key in members]), strict=True)
    }


def paired_permutation_test(
    first: ArrayLike, second: ArrayLike, permutations: int = PERMUTATIONS, seed: int = 0
) -> NDArray[np.float64]:
    """Two-sided p-values of mean(first) = mean(second), for per-query values (…, S, Q); the result is (…).

    A query's difference is averaged over the seeds; under the null hypothesis its sign is a fair coin, so the sum
    of differences is compared with sums of randomly flipped ones: p = (1 + #{|T*| ≥ |T|}) / (1 + permutations).
    A query that is NaN on one side is left out. Leading dimensions are several tests on shared signs, which costs
    hardly more than one.
    """
    pairs = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    differences = np.nan_to_num(pairs.mean(axis=-2))
    flat = differences.reshape(-1, differences.shape[-1])
    total = flat.sum(axis=1)
    reached = np.abs(total) - 1e-12 * np.abs(flat).sum(axis=1)  # equal sums differ by rounding
    extreme = np.zeros(len(flat))
    generator = np.random.default_rng(seed)
    height = max(1, _BLOCK_VALUES // flat.shape[1])
    for begin in range(0, permutations, height):
        coins = generator.integers(0, 2, size=(min(height, permutations - begin), flat.shape[1]), dtype=np.uint8)
        extreme += (np.abs(2 * (coins.astype(np.float64) @ flat.T) - total) >= reached).sum(axis=0)
    return ((1 + extreme) / (1 + permutations)).reshape(differences.shape[:-1])


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjusted p-values (n,), in the order given: reject those below the wished error rate.

    Holm, Scandinavian Journal of Statistics 6 (1979): the i-th smallest of n is multiplied by n − i + 1, made
    non-decreasing and cut at 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1)
    return adjusted
