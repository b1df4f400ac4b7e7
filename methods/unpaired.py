"""A rotation from new to old vectors of different items: no pairs at all."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import quadratic_assignment
from torch import Tensor, nn

from compatbench.method import Adapter, Field, Maps, Need, Params

from ._k_means import k_means
from ._linear_map import procrustes, set_linear


class Unpaired(Adapter):
    """Alignment without pairs, mini-vec2vec (Dar, 2025, arXiv 2510.02348).

        q = s · Wᵀ (f_n − μ_n) / ‖f_n − μ_n‖ + μ_o,   W (D_n, D_o) orthogonal

    f_n (n, D_n) and f_o (m, D_o) are embeddings of *different* items, of unit length, less their means μ_n and μ_o and
    scaled to unit length again: a and b. s is the mean length of f_o − μ_o. As in the authors' notebook:

    1. anchors, `rounds` times: k-means with `clusters` centres on either side, old centres permuted so that both
       sides' inner products agree best (quadratic assignment by 2-opt, the best of `restarts`);
    2. each item is described by its cosines with all anchors; its pseudo-pair is the mean of the k old vectors whose
       descriptions are most similar; W by Procrustes on these;
    3. `refinements` times: 1,000 random a, each paired with the mean of the k old vectors nearest to a W; W ← ½ (W +
       Procrustes of these); once with the centres of k-means on a, and on b from where W puts those.

    rounds = restarts = 30, clusters = 20, k = 50, 100 refinements, 500 final centres as there, fewer where there are
    few items (ours: k at most a twentieth and centres at most a tenth of them). Scale s and means are ours, since the
    old vectors stay as they are stored. What comes out is a guess by structure alone: where classes lie alike it can
    be any symmetry of theirs.
    """

    name = "unpaired"
    needs = frozenset({Need.OLD_FEATURES, Need.UNPAIRED})

    class Params(Params):
        rounds: int = Field(30, ge=1)
        restarts: int = Field(30, ge=1)
        clusters: int = Field(20, ge=2)
        neighbours: int = Field(50, ge=1)
        refinements: int = Field(100, ge=0)
        final_clusters: int = Field(500, ge=0)

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(query=CentredMap(dim, old_dim))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1]).to(new.device)
        means = new.mean(dim=0), old.mean(dim=0)
        a, b = F.normalize(new - means[0]), F.normalize(old - means[1])
        matrix = self.refined(self.first_guess(a, b), a, b)
        scale = (old - means[1]).norm(dim=1).mean()
        maps.query.mean.copy_(means[0])
        set_linear(maps.query.linear, scale * matrix, means[1])
        return maps

    def first_guess(self, a: Tensor, b: Tensor) -> Tensor:
        """W (D_n, D_o) by anchors and pseudo-pairs."""
        anchors = [self.matched_centres(a, b) for _ in range(self.params.rounds)]
        described_a, described_b = (
            F.normalize(side @ F.normalize(torch.cat(centres)).T)
            for side, centres in zip((a, b), zip(*anchors, strict=True), strict=True)
        )
        return procrustes(a, self.pseudo_pairs(described_a @ described_b.T, b)).to(a)

    def matched_centres(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Centres of either side (K, D_n) and (K, D_o), in one order."""
        clusters = min(self.params.clusters, len(a), len(b))
        centres = k_means(a, clusters), k_means(b, clusters)
        kernels = [gram(side).cpu().double().numpy() for side in centres]
        best = None
        for _ in range(self.params.restarts):
            options = {"maximize": True, "rng": np.random.default_rng(int(torch.randint(2**31, ())))}
            found = quadratic_assignment(*kernels, method="2opt", options=options)
            best = found if best is None or found.fun > best.fun else best
        assert best is not None
        return centres[0], centres[1][torch.from_numpy(best.col_ind).to(b.device)]

    def pseudo_pairs(self, similarity: Tensor, b: Tensor) -> Tensor:
        """Mean (A, D_o) of the k old vectors most similar to each item, given similarities (A, m)."""
        count = max(1, min(self.params.neighbours, len(b) // 20))
        return b[similarity.topk(count, dim=1).indices].mean(dim=1)

    def refined(self, matrix: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """W (D_n, D_o) after the refinements."""
        for _ in range(self.params.refinements):
            sample = a[torch.randperm(len(a))[:1000].to(a.device)]
            found = procrustes(sample, self.pseudo_pairs(sample @ matrix @ b.T, b))
            matrix = (matrix + found.to(a)) / 2
        clusters = min(self.params.final_clusters, len(a) // 10, len(b) // 10)
        if clusters:
            centres = k_means(a, clusters)
            found = procrustes(centres, k_means(b, clusters, centres @ matrix))
            matrix = (matrix + found.to(a)) / 2
        return matrix


class CentredMap(nn.Module):
    """x ↦ X (x − μ) / ‖x − μ‖ + b."""

    mean: Tensor

    def __init__(self, dim: int, old_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.linear = nn.Linear(dim, old_dim)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.linear(F.normalize(vectors - self.mean))


def gram(centres: Tensor) -> Tensor:
    """Inner products (K, K) of centres (K, D) less their mean."""
    centred = centres - centres.mean(dim=0)
    return centred @ centred.T
