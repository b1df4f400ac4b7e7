"""The influence loss of a method whose queries keep all their dimensions."""

import torch.nn.functional as F
from torch import Tensor

from compatbench.method import to_dim
from compatbench.model import View


def influence(old: View, embeddings: Tensor, rows: Tensor, row_of_label: Tensor) -> Tensor:
    """Cross-entropy (B,) of embeddings (B, D_n) under old class rows (K, D_o), over their first D_o dimensions."""
    return F.cross_entropy(old.score(to_dim(embeddings, rows.shape[1]), rows), row_of_label, reduction="none")
