"""The old vectors of the same images in place of the new ones."""

from torch import Tensor, nn


class OldVectors(nn.Module):
    """(f_n, f_o) ↦ f_o."""

    def forward(self, new: Tensor, old: Tensor) -> Tensor:
        return old
