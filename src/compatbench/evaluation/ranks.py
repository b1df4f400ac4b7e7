"""Per-query numbers from the ranks of the relevant items: their means are the protocol's metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DEPTH = 10
"""Ranks that nDCG@10 and recall@10 read."""
CUT = 100
"""Ranks that mAP@100 and recall@100 read."""


def rank_numbers(
    ahead: Tensor,
    relevant: NDArray[np.integer],
    *,
    trapezoid: bool = False,
    cut: bool = False,
    grades: Tensor | None = None,
) -> dict[str, NDArray[Any]]:
    """Numbers of B queries, (B,) each, by the fields of `QueryResults`; NaN, or 0, if a query has no relevant item.

    `ahead` (B, P) counts the irrelevant items ahead of each relevant one, the lowest-ranked first, as `count_ahead`
    does. A query has `relevant` (B,) of them, R ≤ P: the last R columns of its row, and the others mean nothing. With
    a_i items ahead of it the i-th relevant item has rank r_i = i + a_i, and AP = mean_i i / r_i. AP@R takes only ranks
    up to R.

    With `trapezoid` the AP is the area under the precision-recall curve by the trapezoidal rule: mean_i (i/r_i +
    (i−1)/(r_i−1)) / 2 with 0/0 = 1, as the authors of the revisited Oxford and Paris buildings compute it (Radenović
    et al., CVPR 2018).

    With `cut` also AP@100 = Σ_{r_i ≤ 100} (i / r_i) / min(R, 100), as in the second Google landmarks benchmark (Weyand
    et al., CVPR 2020). With `grades` (B, P) of the relevant items in the order of `ahead`, 0 where there is none, also
    how many of them are in the first 10 and in the first 100, and nDCG@10 with the gain of an item its grade and the
    discount 1 / log2(1 + r_i), over that of the best order (Järvelin and Kekäläinen, 2002), as trec_eval has it.
    """
    number = torch.from_numpy(relevant).to(ahead.device)
    order = torch.arange(ahead.shape[1], 0, -1, device=ahead.device)
    ranks = order + ahead
    precision = order.double() / ranks
    precision.masked_fill_(order > number[:, None], 0)
    ap = (_trapezoids(precision, order, ranks) if trapezoid else precision).sum(dim=1) / number
    precision.masked_fill_(ranks > number[:, None], 0)
    ap_at_r = precision.sum(dim=1) / number
    found = {
        "first_rank": (ranks[:, -1] * (number > 0)).int(),
        "average_precision": ap.float(),
        "ap_at_r": ap_at_r.float(),
    }
    real = order <= number[:, None]
    if cut:
        first = slice(-CUT, None)  # the i-th relevant item has no rank below i
        found["ap_at_100"] = _cut_precision(order[first], ranks[:, first], real[:, first], number).float()
    if grades is not None:
        for depth in (DEPTH, CUT):
            found[f"found_at_{depth}"] = (real & (ranks <= depth)).sum(dim=1).int()
        found["ndcg_at_10"] = _gain_share(grades * real, ranks).float()
    return {name: values.cpu().numpy() for name, values in found.items()}


def _cut_precision(order: Tensor, ranks: Tensor, real: Tensor, number: Tensor) -> Tensor:
    """AP@100 (B,); NaN if nothing is relevant."""
    precision = torch.where(real & (ranks <= CUT), order.double() / ranks, 0.0)
    return precision.sum(dim=1) / number.clamp(max=CUT)


def _gain_share(gains: Tensor, ranks: Tensor) -> Tensor:
    """nDCG@10 (B,) of items with these gains (B, P) at these ranks; NaN if there is no gain."""
    best = gains.topk(min(DEPTH, gains.shape[1]), dim=1).values.double()
    discounts = torch.log2(torch.arange(2, 2 + best.shape[1], device=gains.device, dtype=torch.float64))
    gained = torch.where(ranks <= DEPTH, gains.double() / torch.log2(1.0 + ranks.double()), 0.0)
    return gained.sum(dim=1) / (best / discounts).sum(dim=1)


def _trapezoids(precision: Tensor, order: Tensor, ranks: Tensor) -> Tensor:
    """(B, P) mean of the precision at each relevant item and of that just ahead of it, 1 at the very top."""
    ahead = torch.where(ranks > 1, (order - 1).double() / (ranks - 1).clamp(min=1), 1.0)
    return torch.where(precision > 0, (precision + ahead) / 2, 0.0)
