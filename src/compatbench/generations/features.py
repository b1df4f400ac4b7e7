"""Features of a frozen trunk: the input of its embedding head, in place of images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compatbench.data.image_files import Images
from compatbench.data.items import CPU, Index


@dataclass(frozen=True, eq=False)
class Features:
    """Features (N, F) of images, memory-mapped. `len`, `shape`, `[index]` and `to` are those of images."""

    matrix: NDArray[np.float16]
    """(M, F) of more images than these."""
    rows: Tensor
    """(N,) int64: which of them, in the order of the images."""
    rate: float
    """Images per second when they were computed."""
    device: torch.device = CPU
    """Where batches go."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Index) -> Features:
        return replace(self, rows=self.rows[index.cpu() if isinstance(index, Tensor) else index])

    def to(self, device: str | torch.device) -> Features:
        """The same features; their batches go to `device`."""
        return replace(self, device=torch.device(device))

    @property
    def shape(self) -> tuple[int, int]:
        """(N, F)."""
        return len(self), self.matrix.shape[1]

    def read(self, index: Index) -> Tensor:
        """The features (B, F) float32 at `index`."""
        return torch.from_numpy(self.matrix[self[index].rows.numpy()]).to(self.device).float()


Inputs = Images | Features
"""What an encoder takes: images, or their features where its trunk is frozen."""
