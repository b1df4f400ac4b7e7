"""A nearly orthogonal map of the new embeddings, and a free one of the old ones, fitted together."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from compatbench.method import Adapter, Field, Maps, Need, Params, Task, to_dim, tunable
from compatbench.model import mean_by_class

from ._adam import minimise
from ._linear_map import procrustes
from ._rotation import rotation
from ._similarity import cosines


class ClassMeanDistance(nn.Module):
    """1 − max_c cos(x, μ_c) (B,): how far stored vectors x (B, D) lie from the nearest class mean."""

    means: Tensor

    def __init__(self, num_classes: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(num_classes, dim))

    def forward(self, vectors: Tensor) -> Tensor:
        return 1 - cosines(vectors, self.means).amax(dim=1)


class LambdaOrthogonal(Adapter):
    """λ-orthogonality regularisation (Ricci et al., NeurIPS 2025, arXiv 2509.16664).

        L = w₁ mean_i ‖F h_o,i − B h_n,i‖² + w₂ mean_i ‖B h_n,i − h_o,i‖² + w₃ L_C + σ(a (n − λ)) · n,  n = ‖W Wᵀ − I‖_F
        L_C = −mean_i mean_{p: y_p = y_i} log e^{s_ip/τ} / Σ_j e^{s_ij/τ},  s_ij = cos(B h_n,i, F h_o,j)

    h_n (n, D_n) and h_o (n, D_o) are the paired embeddings of the training images, of unit length. B = W x maps every
    new vector, queries and gallery; F, affine and free, rewrites the stored old ones. n is the distance of W from
    orthogonal, which costs nothing while it is below λ; so M(n,n) keeps most of the new model's geometry.

    - `relaxed` (default): as above with λ = 12;
    - `strict`: W is orthogonal at every step, so that M(n,n) is M(*,*); no fourth term.
    - `rewrite = false`: the old gallery stays as it is, F is the identity, and the first term falls away.

    The backfill goes by distance from the class mean, farthest first. Ours, since not published in what was read:
    w₁ = w₂ = w₃ = 1, a = 10, τ = 0.1; Adam 1e-3 falling along a cosine, 50 epochs, batches of 256, W from the
    Procrustes map and F from the identity; L_C across the two models; the strict W by the Cayley map in place of the
    matrix exponential; unequal dimensions zero-padded to the larger; and in the order the nearest class mean, since
    no stored item's class is known.
    """

    name = "lambda_orthogonal"
    needs = frozenset({Need.OLD_FEATURES, Need.LABELS, Need.GALLERY_REWRITE})
    quick: ClassVar = {"steps": 400}

    class Params(Params):
        variant: Literal["relaxed", "strict"] = "relaxed"
        rewrite: bool = True
        threshold: float = tunable(12.0, low=0.5, high=30, log=True, variants=("relaxed",), ge=0)
        sharpness: float = Field(10.0, gt=0)
        forward_weight: float = Field(1.0, ge=0)
        backward_weight: float = tunable(1.0, low=0.1, high=10, log=True, ge=0)
        contrast_weight: float = tunable(1.0, low=0.01, high=10, log=True, ge=0)
        temperature: float = tunable(0.1, low=0.02, high=1, log=True, gt=0)
        epochs: int = Field(50, ge=1)
        batch_size: int = Field(256, ge=1)
        lr: float = Field(1e-3, gt=0)

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        if not params.rewrite:
            self.needs = frozenset({Need.OLD_FEATURES, Need.LABELS})

    def build(self, dim: int, old_dim: int) -> Maps:
        common = max(dim, old_dim)
        gallery = nn.Linear(old_dim, common) if self.params.rewrite else None
        order = ClassMeanDistance(self.task.num_classes, common if self.params.rewrite else old_dim)
        return Maps(new=nn.Linear(dim, common, bias=False), gallery=gallery, order=order)

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1]).to(new.device)
        common = maps.new.out_features
        new, padded_old = to_dim(new, common), to_dim(old, common)
        backward = self.backward_map(procrustes(new, padded_old).T.to(new))
        forward = maps.gallery or nn.Identity()
        if self.params.rewrite:
            nn.init.eye_(forward.weight)
            nn.init.zeros_(forward.bias)

        def loss(rows: Tensor) -> Tensor:
            rewritten = to_dim(forward(old[rows]), common)
            terms = self.terms(backward(new[rows]), rewritten, padded_old[rows], labels[rows], backward.weight)
            return torch.stack(list(terms.values())).sum()

        parameters = [*backward.parameters(), *forward.parameters()]
        minimise(loss, parameters, len(new), **self.params.model_dump(include={"epochs", "batch_size", "lr"}))
        with torch.no_grad():
            maps.new.weight.copy_(backward.weight[:, : maps.new.in_features])
            maps.order.means.copy_(mean_by_class(forward(old), labels, self.task.num_classes))
        return maps

    def backward_map(self, start: Tensor) -> nn.Linear:
        """B with W (D, D) at `start`, ready to be trained."""
        dim = len(start)
        strict = self.params.variant == "strict"
        linear = (rotation(dim) if strict else nn.Linear(dim, dim, bias=False)).to(start.device)
        linear.weight = start if strict else nn.Parameter(start)
        return linear

    def terms(
        self, mapped: Tensor, rewritten: Tensor, old: Tensor, labels: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """The weighted terms of mapped B h_n, rewritten F h_o and old h_o (B, D), labels (B,) and W (D, D)."""
        same_class = labels[:, None] == labels[None, :]
        log_shares = (cosines(mapped, rewritten) / self.params.temperature).log_softmax(dim=1)
        contrast = -((log_shares * same_class).sum(dim=1) / same_class.sum(dim=1)).mean()
        terms = {
            "backward": self.params.backward_weight * (mapped - old).square().sum(dim=1).mean(),
            "contrast": self.params.contrast_weight * contrast,
        }
        if self.params.rewrite:
            terms["forward"] = self.params.forward_weight * (rewritten - mapped).square().sum(dim=1).mean()
        if self.params.variant == "relaxed":
            distance = (weight @ weight.T - torch.eye(len(weight), device=weight.device)).square().sum()
            distance = (distance + 1e-12).sqrt()  # the gradient of the norm is infinite at 0
            terms["orthogonality"] = (
                torch.sigmoid(self.params.sharpness * (distance - self.params.threshold)) * distance
            )
        return terms
