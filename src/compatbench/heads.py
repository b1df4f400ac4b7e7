"""Classification heads: embeddings (B, D) and labels (B,) to logits (B, C) and a loss.

A head is separate from the encoder because compatibility methods freeze it, share it, or replace it.
"""

import math
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compatbench.vocabulary import HeadName


class Head(nn.Module):
    """A classifier over embeddings: `forward` gives the logits, `loss` the training loss.

    `weight` (C, D) holds one row a class; heads whose rows are not learned keep them as a buffer.
    """

    weight: Tensor

    def logits(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """Logits (B, K) of embeddings (B, D) and any class rows (K, D), scored as this kind of head does."""
        raise NotImplementedError

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (B, C) of embeddings (B, D) against the head's own rows."""
        return self.logits(embeddings, self.weight)

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the logits, a scalar; heads with a margin override this."""
        return F.cross_entropy(self(embeddings), labels)


class SoftmaxHead(Head):
    """`W f` without bias, so that a row of W is a class prototype in the embedding space."""

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, dim))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # the initialiser of nn.Linear

    def logits(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """Logits (B, K): inner products with the class rows (K, D)."""
        return F.linear(embeddings, rows)


class CosineHead(Head):
    """Normalised softmax: `scale · cos(f, w_k)`."""

    def __init__(self, dim: int, num_classes: int, scale: float = 16.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, dim))
        nn.init.xavier_normal_(self.weight)
        self.scale = scale

    def logits(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """Logits (B, K): scaled cosines with the class rows (K, D)."""
        return self.scale * F.linear(F.normalize(embeddings), F.normalize(rows))


class ArcFaceHead(CosineHead):
    """Additive angular margin (Deng et al., CVPR 2019, arXiv 1801.07698, eq. 3).

    `loss` is the cross-entropy of `s·cos(θ_y + m)` against `s·cos θ_j`; where θ_y + m would pass π, the
    monotone continuation `cos θ_y − m·sin m` of the authors' code takes over. `forward` has no margin.
    """

    def __init__(self, dim: int, num_classes: int, scale: float = 64.0, margin: float = 0.5) -> None:
        super().__init__(dim, num_classes, scale)
        self.margin = margin

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy with the margin on the target's angle."""
        cosines = self(embeddings) / self.scale
        return F.cross_entropy(arcface_logits(cosines, labels, self.scale, self.margin), labels)


def arcface_logits(cosines: Tensor, labels: Tensor, scale: float, margin: float) -> Tensor:
    """ArcFace logits (B, C) from cosines (B, C): margin `margin` (radians) added to the target's angle."""
    target = cosines.gather(1, labels[:, None]).clamp(-1 + 1e-7, 1 - 1e-7)
    angle = torch.acos(target)
    shifted = torch.where(angle + margin < math.pi, torch.cos(angle + margin), target - margin * math.sin(margin))
    return scale * cosines.scatter(1, labels[:, None], shifted)


def build_head(name: HeadName, dim: int, num_classes: int) -> Head:
    """The head of a generation's `loss`."""
    heads: dict[HeadName, type[Head]] = {
        HeadName.SOFTMAX: SoftmaxHead,
        HeadName.NORMALIZED_SOFTMAX: CosineHead,
        HeadName.ARCFACE: ArcFaceHead,
    }
    return heads[name](dim, num_classes)


@torch.no_grad()
def posterior_entropy(head: Head, embeddings: Tensor) -> Tensor:
    """Entropy (B,) in nats of the head's class posterior at embeddings (B, D): 0 if it is certain, ln C at most."""
    # an order is made of it: in float32, where the vectors lie in memory would decide between near ties
    log_posterior = deepcopy(head).double()(embeddings.double()).log_softmax(dim=1)
    entropy: Tensor = -(log_posterior.exp() * log_posterior).sum(dim=1)
    return entropy
