"""Pairs of images of the same thing or of different ones, for pair verification. Knows nothing of torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of sample ids. All arrays are (P,)."""

    first: NDArray[np.int64]
    """Sample ids of the probes: embedded by the model of the queries."""
    second: NDArray[np.int64]
    """Sample ids of the enrolled images: embedded by the model of the gallery."""
    same: NDArray[np.bool_]
    """Whether both show the same identity."""
    fold: NDArray[np.int64]
    """Part of the list that each pair belongs to, from 0."""

    def __post_init__(self) -> None:
        if not len(self.first) == len(self.second) == len(self.same) == len(self.fold):
            raise ValueError("first, second, same and fold must be equally long")
        if self.same.all() or not self.same.any():
            raise ValueError("a list of pairs needs both same and different ones")

    def __len__(self) -> int:
        return len(self.first)

    @property
    def sha256(self) -> str:
        """Hash (hex) of the list."""
        state = hashlib.sha256()
        for column in (self.first, self.second, self.same, self.fold):
            state.update(column.astype("<i8").tobytes())
        return state.hexdigest()
