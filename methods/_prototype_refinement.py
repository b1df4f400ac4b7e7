"""Old class prototypes refined by a graph of the new embeddings within each class."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 1e-6
BLOCK = 1024


def refined_prototypes(
    old: Tensor, new: Tensor, labels: Tensor, num_classes: int, damping: float, temperature: float
) -> Tensor:
    """Prototypes (C, D_o) of old features (N, D_o), refined by new features (N, D_n) of the same images.

    The mean over each class of F' = (1 − a) (I − a E)⁻¹ F_o, E as in `edges`, a = `damping` < 1. Zero where a
    label has no image.
    """
    prototypes = old.new_zeros(num_classes, old.shape[1])
    counts = torch.bincount(labels, minlength=num_classes).tolist()
    for label, members in enumerate(labels.argsort(stable=True).split(counts)):
        if len(members) > 0:
            weights = member_weights(F.normalize(new[members]), damping, temperature)
            prototypes[label] = weights @ old[members]
    return prototypes


def member_weights(features: Tensor, damping: float, temperature: float) -> Tensor:
    """Share (n,) of each member in its class's refined prototype, given new unit features (n, D).

    mean_i F'_i = wᵀ F_o with wᵀ = (1 − a)/n · 1ᵀ (I − a E)⁻¹: the PageRank of the members, of sum 1. It is the
    fixed point of w ← (1 − a)/n + a Eᵀ w; each step divides the error, in ‖·‖₁ at most 2, by 1/a, so that the
    number of steps follows from the tolerance. No inverse, and n² numbers (144 MB for 6,000 members). A lone
    member, which has no neighbour for E to weigh, is its class's prototype.
    """
    members = len(features)
    weights = features.new_full((members,), 1 / members)
    if members == 1 or damping == 0:
        return weights
    transposed = edges(features, temperature).T
    for _ in range(math.ceil(math.log(TOLERANCE / 2) / math.log(damping))):
        weights = (1 - damping) / members + damping * (transposed @ weights)
    return weights


def edges(features: Tensor, temperature: float) -> Tensor:
    """E (n, n) of unit features (n, D): softmax over j ≠ i of f̂_i · f̂_j / τ, so that each row sums to 1.

    Rows and not columns: where columns sum to 1, 1ᵀE = 1ᵀ, the weights are 1/n and nothing is refined.
    """
    similarity = features @ features.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    for block in similarity.split(BLOCK):
        block.copy_(block.softmax(dim=1))
    return similarity
