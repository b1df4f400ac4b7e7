"""Checks of the index before any verdict: is OLD what it is said to be? Warnings, from a sample of the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from compatbench.comparison.inputs import PairedItems
from compatbench.data.vectors.notices import Notice

SAMPLE = 4000
"""Rows that are looked at."""
SAME = 0.999
"""Cosine from which an old vector is a new one: rounding to 8 bits keeps more."""
APART = 4.5
"""Ashman's D of two heaps. Two halves of one normal distribution have 2.7, of a uniform one 3.5."""
FEWEST = 20
"""Rows, and hundredths of the sample, that make a heap."""


def index_notices(items: PairedItems, seed: int) -> Iterator[Notice]:
    """Warnings: rows of OLD that are those of NEW, and rows that another model seems to have made."""
    rows = np.sort(np.random.default_rng([seed, 2]).permutation(len(items))[:SAMPLE])
    new, old = items.new_vectors(rows).double(), items.old_vectors(rows).double()
    if new.shape == old.shape:
        same = int(((new * old).sum(dim=1) > SAME).sum())
        if same:
            yield Notice(
                "index",
                same,
                f"{same:,} of {len(rows):,} rows looked at are (nearly) the same in {items.old.name} and in "
                f"{items.new.name}: is a part of the old index re-embedded already, or are both by one model? Gains "
                "are too small by as much",
            )
            if same == len(rows):
                return
    different = np.sort(list({row.tobytes(): place for place, row in enumerate(old.numpy())}.values()))
    if len(different) < 2 * FEWEST:
        return
    far = other_heap(_agreement(new[different], old[different]))
    if far:
        yield Notice(
            "index",
            far,
            f"{far:,} of {len(different):,} different rows looked at lie apart from the others when new vectors are "
            "mapped to old ones by ridge regression: two models, or two versions of the texts, seem to have made "
            f"{items.old.name}",
        )


def _agreement(new: torch.Tensor, old: torch.Tensor) -> NDArray[np.float64]:
    """(n,) cosine of each old vector with its new one, mapped by a ridge regression of the other half."""
    halves = torch.arange(len(new)) % 2 == 0
    found = torch.empty(len(new), dtype=torch.float64)
    for held_out in (halves, ~halves):
        x, y = new[~held_out], old[~held_out]
        mean_x, mean_y = x.mean(0), y.mean(0)
        gram = (x - mean_x).T @ (x - mean_x) + 1e-3 * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
        matrix = torch.linalg.solve(gram, (x - mean_x).T @ (y - mean_y))
        mapped = (new[held_out] - mean_x) @ matrix + mean_y
        found[held_out] = torch.nn.functional.cosine_similarity(mapped, old[held_out])
    return found.numpy()


def other_heap(values: NDArray[np.float64]) -> int:
    """How many of `values` (n,) are in the smaller of two heaps that lie apart; 0 if there is one heap.

    The cut is Otsu's, of the greatest variance between the two sides. They lie apart if Ashman's D, the distance of
    the means over the root mean square of the standard deviations, exceeds APART (Ashman, Bird and Zepf, Astronomical
    Journal 108, 1994).
    """
    ascending = np.sort(values)
    size = len(ascending)
    left = np.arange(1, size)
    sums, squares = np.cumsum(ascending)[:-1], np.cumsum(ascending**2)[:-1]
    right, means = size - left, (sums / left, (ascending.sum() - sums) / (size - left))
    between = left * right * (means[0] - means[1]) ** 2
    cut = int(between.argmax())
    smaller = int(min(left[cut], right[cut]))
    if smaller < max(FEWEST, FEWEST * size // 2000):
        return 0
    spread = (squares[cut] / left[cut] - means[0][cut] ** 2) + (
        ((ascending**2).sum() - squares[cut]) / right[cut] - means[1][cut] ** 2
    )
    apart = (means[1][cut] - means[0][cut]) / np.sqrt(max(spread / 2, 1e-12))
    return smaller if apart > APART else 0
