"""Features of a frozen trunk: the input of its embedding head, in place of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compatbench.data.image_files import Images
from compatbench.data.items import Index, Picked


@dataclass(frozen=True, eq=False, kw_only=True)
class Features(Picked):
    """Features (N, F) of images. `len`, `shape`, `[index]` and `to` are those of images."""

    matrix: NDArray[np.float16] | Tensor
    """(M, F) float16 of more images than these: memory-mapped, or on the GPU."""
    rate: float
    """Images per second when they were computed."""

    @property
    def shape(self) -> tuple[int, int]:
        """(N, F)."""
        return len(self), self.matrix.shape[1]

    def read(self, index: Index) -> Tensor:
        """The features (B, F) float32 at `index`."""
        return self.stored(index).float()

    def stored(self, index: Index) -> Tensor:
        """The features (B, F) float16 at `index`."""
        rows = self[index].rows
        if isinstance(self.matrix, Tensor):
            return self.matrix[rows.to(self.matrix.device, non_blocking=True)]
        return torch.from_numpy(self.matrix[rows.numpy()]).to(self.device)


EncoderInputs = Images | Features
"""What an encoder takes: images, or their features where its trunk is frozen."""
