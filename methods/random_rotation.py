"""A control: rotating the whole new space must change nothing within it and everything across."""

import torch
from torch import Tensor, nn

from compatbench.method import Adapter, Expectation, Maps, Role

from ._linear_map import set_linear


class RandomRotation(Adapter):
    """The independent new model behind a random rotation (control, ours).

        f ← Q f,  Q (D_n, D_n) Haar-distributed, Qᵀ Q = I

    Q is the orthogonal factor of a Gaussian matrix with the signs of R's diagonal moved into it (Mezzadri,
    Notices of the AMS 2007, arXiv math-ph/0609050). M(n,n) must stay the independent model's to float
    precision, and the cross-test at chance.
    """

    name = "random_rotation"
    role = Role.CONTROL
    expects = frozenset({Expectation.CROSS_AT_CHANCE, Expectation.SELF_EQUALS_INDEPENDENT})

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(new=nn.Linear(dim, dim, bias=False))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        dim = new.shape[1]
        factor, triangle = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64))
        maps = self.build(dim, old.shape[1])
        set_linear(maps.new, factor * triangle.diagonal().sign())
        return maps
