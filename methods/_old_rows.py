"""Old class prototypes for classes that the old classifier does not have."""

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.model import OldModel


def old_and_synthesised(old: OldModel, *, rescale: bool) -> tuple[Tensor, Tensor]:
    """All old rows W_o followed by one synthesised row μ_c for each new class that the old model lacks.

    Returns the rows (C_o + U, D_o), U the number of unknown classes, and each new class's row in them (C_n,).
    `rescale` gives every μ_c the mean norm of the old rows. Old features are used only where U > 0.
    """
    unknown = ~old.known
    if not unknown.any():
        return old.weight.clone(), old.rows.clone()
    means = old.class_means()[unknown]
    if rescale:
        means = F.normalize(means) * old.weight.norm(dim=1).mean()
    row_of_class = torch.where(unknown, len(old.weight) + unknown.cumsum(0) - 1, old.rows)
    return torch.cat([old.weight, means.to(old.weight)]), row_of_class
