"""Bilinear, antialiased resizing of many small images at once, with the same bytes on every machine.

The arithmetic is Pillow's (`Image.resize` with `Resampling.BILINEAR`): weights in units of 2⁻²², first along
the width, then along the height, each rounded to uint8. Products with such weights are exact in float64 in
whatever order a BLAS adds them up, so a dataset's fingerprint does not depend on the machine.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from compatbench.data.dataset import Dataset, Split

PRECISION = 22
"""Bits of a weight behind the binary point, as in Pillow for 8-bit images."""
CHUNK = 128
"""Images at a time: their float64 copy should stay in the cache of one core."""


def resized(dataset: Dataset, size: int) -> Dataset:
    """The dataset with images of `size`; images in files have this size already, and other items none."""

    def of(split: Split) -> Split:
        images = split.images
        return replace(split, images=resize(images, size)) if isinstance(images, Tensor) else split

    query = of(dataset.query)
    gallery = query if dataset.gallery is dataset.query else of(dataset.gallery)
    return replace(dataset, train=of(dataset.train), query=query, gallery=gallery)


def resize(images: Tensor, size: int) -> Tensor:
    """Square images (N, C, S, S) uint8 on the CPU, resized to (N, C, size, size) uint8."""
    if images.shape[-1] == size:
        return images
    share = weights(images.shape[-1], size)
    out = images.new_empty(*images.shape[:2], size, size)
    for start in range(0, len(images), CHUNK):
        wide = (images[start : start + CHUNK].double() @ share.T).add_(0.5).floor_()
        out[start : start + CHUNK] = (share @ wide).add_(0.5)  # to uint8 it is cut off
    return out


def weights(source: int, target: int) -> Tensor:
    """(target, source) float64: the share of each source pixel in a target pixel, in units of 2⁻²²."""
    scale = source / target
    support = max(1.0, scale)
    out = np.zeros((target, source))
    for pixel in range(target):
        centre = (pixel + 0.5) * scale
        first, last = max(0, int(centre - support + 0.5)), min(source, int(centre + support + 0.5))
        distance = np.abs((np.arange(first, last) + 0.5 - centre) / support)
        triangle = np.maximum(0.0, 1.0 - distance)
        out[pixel, first:last] = np.floor(triangle / triangle.sum() * 2**PRECISION + 0.5) / 2**PRECISION
    return torch.from_numpy(out)
