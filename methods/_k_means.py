"""Lloyd's algorithm, from centres that k-means++ spreads."""

import torch
from torch import Tensor

ITERATIONS = 50


def k_means(points: Tensor, clusters: int, start: Tensor | None = None) -> Tensor:
    """Centres (K, D) of points (N, D), K = `clusters` ≤ N, from `start` (K, D) or from points far from one another.

    A centre without points stays where it is. Stops where no point changes its cluster.
    """
    centres, before = (spread(points, clusters) if start is None else start).clone(), None
    for _ in range(ITERATIONS):
        nearest = torch.cdist(points, centres).argmin(dim=1)
        if before is not None and torch.equal(nearest, before):
            break
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        counts = torch.bincount(nearest, minlength=len(centres))[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
        before = nearest
    return centres


def spread(points: Tensor, clusters: int) -> Tensor:
    """K random points (K, D), each drawn in proportion to its squared distance from those before (k-means++)."""
    chosen = [int(torch.randint(len(points), ()))]
    distances = torch.full((len(points),), torch.inf, device=points.device)
    for _ in range(clusters - 1):
        distances = torch.minimum(distances, (points - points[chosen[-1]]).square().sum(dim=1))
        shares = distances.cpu() + 1e-12  # where all points coincide, any will do
        chosen.append(int(torch.multinomial(shares, 1)))
    return points[chosen]
