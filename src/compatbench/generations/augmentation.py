"""Random crops and flips of the training images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.suite.recipe import Augmentation


def augment(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Images (B, C, H, W) uint8, augmented, drawn only from `generator`, on their device.

    The order of the draws: vertical and horizontal offsets (2, B) in 0 … 2·padding, then flips (B,).
    """
    count, height, width = len(images), images.shape[2], images.shape[3]
    device, padding = images.device, augmentation.crop_padding
    if padding:
        top, left = torch.randint(2 * padding + 1, (2, count), generator=generator, device=device)
        windows = F.pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)
        images = windows[torch.arange(count, device=device), :, top, left]
    if augmentation.horizontal_flip:
        flip = torch.rand(count, generator=generator, device=device) < 0.5
        images = torch.where(flip[:, None, None, None], images.flip(3), images)
    return images
