"""Normalisation: from stored uint8 images to the model's input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from compatbench.data.dataset import Split
from compatbench.data.image_files import ImageFiles

SAMPLE = 4096
"""Images that a normalisation is taken from where reading all of them would take hours."""


@dataclass(frozen=True)
class Normalization:
    """`(x − mean) / std` by channel, of pixel values 0 … 255. On its own it is how images are evaluated."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, split: Split) -> Normalization:
        """Mean and (population) standard deviation of all pixels of each channel of `split`.

        Of images that stay in their files, a few thousand evenly spaced ones stand for all. A channel that never
        changes is only centred.
        """
        if isinstance(split.images, ImageFiles) and len(split) > SAMPLE:
            split = split.at(torch.arange(SAMPLE) * len(split) // SAMPLE)
        counts = torch.zeros(split.channels, 256, dtype=torch.int64)
        for block in split.chunks():
            for channel, values in enumerate(block.cpu().transpose(0, 1)):
                counts[channel] += torch.bincount(values.flatten(), minlength=256)
        # Whole numbers up to here, so that the result does not depend on the order of a sum.
        share = counts.double() / counts.sum(1, keepdim=True)
        values = torch.arange(256, dtype=torch.float64)
        mean = share @ values
        std = (share * (values - mean[:, None]) ** 2).sum(1).sqrt()
        return cls(tuple(mean.tolist()), tuple(torch.where(std > 0, std, 1.0).tolist()))

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) uint8, as float32 of zero mean and unit variance over the training set."""
        scale, shift = _scale_and_shift(self, images.device)
        return torch.addcmul(shift, images, scale)


@lru_cache(maxsize=8)
def _scale_and_shift(normalization: Normalization, device: torch.device) -> tuple[Tensor, Tensor]:
    mean = torch.tensor(normalization.mean, dtype=torch.float64)[:, None, None]
    std = torch.tensor(normalization.std, dtype=torch.float64)[:, None, None]
    return (1 / std).float().to(device), (-mean / std).float().to(device)
