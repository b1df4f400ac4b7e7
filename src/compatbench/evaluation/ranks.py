"""Per-query numbers from the ranks of the relevant items: their means are the protocol's metrics."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def rank_numbers(
    ahead: Tensor, relevant: NDArray[np.integer], *, trapezoid: bool = False
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """First rank, AP and AP@R of B queries, (B,) each; 0 and NaN if a query has no relevant item.

    `ahead` (B, P) counts the irrelevant items ahead of each relevant one, the lowest-ranked first, as `count_ahead`
    does. A query has `relevant` (B,) of them, R ≤ P: the last R columns of its row, and the others mean nothing. With
    a_i items ahead of it the i-th relevant item has rank r_i = i + a_i, and AP = mean_i i / r_i. AP@R takes only ranks
    up to R.

    With `trapezoid` the AP is the area under the precision-recall curve by the trapezoidal rule: mean_i (i/r_i +
    (i−1)/(r_i−1)) / 2 with 0/0 = 1, as the authors of the revisited Oxford and Paris buildings compute it (Radenović
    et al., CVPR 2018).
    """
    number = torch.from_numpy(relevant).to(ahead.device)
    order = torch.arange(ahead.shape[1], 0, -1, device=ahead.device)
    ranks = order + ahead
    precision = order.double() / ranks
    precision[order > number[:, None]] = 0
    ap = (_trapezoids(precision, order, ranks) if trapezoid else precision).sum(dim=1) / number
    precision[ranks > number[:, None]] = 0
    ap_at_r = precision.sum(dim=1) / number
    first_rank = ranks[:, -1] * (number > 0)
    return first_rank.int().cpu().numpy(), ap.float().cpu().numpy(), ap_at_r.float().cpu().numpy()


def _trapezoids(precision: Tensor, order: Tensor, ranks: Tensor) -> Tensor:
    """(B, P) mean of the precision at each relevant item and of that just ahead of it, 1 at the very top."""
    ahead = torch.where(ranks > 1, (order - 1).double() / (ranks - 1).clamp(min=1), 1.0)
    return torch.where(precision > 0, (precision + ahead) / 2, 0.0)
