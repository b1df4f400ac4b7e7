"""Old prototypes of every new class on the unit sphere, as a classifier that nothing trains."""

import torch.nn.functional as F
from torch import Tensor

from compatbench.model import OldModel, mean_by_class


def pseudo_classifier(old: OldModel) -> Tensor:
    """C (C_n, D_o): row c is the mean of the old unit embeddings of class c over the new training set."""
    return mean_by_class(F.normalize(old.train_embeddings), old.train_labels, len(old.rows))


def pseudo_logits(embeddings: Tensor, classifier: Tensor) -> Tensor:
    """Logits (B, C_n) of embeddings (B, D_o) scaled to unit length.

    They lie in [−1, 1] and get no scale, so that their cross-entropy never comes near 0.
    """
    return F.normalize(embeddings) @ classifier.T
