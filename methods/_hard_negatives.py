"""Contrast with the negatives that are hardest to tell from the positive."""

import torch
from torch import Tensor


def hardest_negatives(similarity: Tensor, same_class: Tensor, top_k: int) -> Tensor:
    """The `top_k` largest similarities of each row to other classes: (A, k), k = min(top_k, B).

    Takes similarities (A, B) and where both are of one class (A, B, bool). Rows with fewer negatives than k
    end in −inf, which no softmax and no hinge takes notice of.
    """
    return similarity.masked_fill(same_class, -torch.inf).topk(min(top_k, similarity.shape[1]), dim=1).values


def contrast(positive: Tensor, *negatives: Tensor) -> Tensor:
    """−log e^p / (e^p + Σ e^n) of each row, (A,): logits of the positive p (A,) and of negatives n (A, k) each."""
    return torch.cat([positive[:, None], *negatives], dim=1).logsumexp(dim=1) - positive
