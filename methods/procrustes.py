"""Orthogonal Procrustes: the rotation that brings new embeddings nearest to their old ones."""

from torch import Tensor, nn

from compatbench.method import Adapter, Maps, Need, Params

from ._linear_map import in_double, procrustes, set_linear


class Procrustes(Adapter):
    """Orthogonal Procrustes map, Drift-Adapter OP (Vejendla, EMNLP 2025, arXiv 2509.23471; Schönemann 1966).

        q = Rᵀ f_n,  R = argmin ‖A R − B‖_F over RᵀR = I,  R = U Vᵀ with U S Vᵀ = svd(AᵀB)

    A (n, D_n) and B (n, D_o) are the paired new and old embeddings of the training images, of unit length. Where
    D_n ≠ D_o, the narrower side is zero-padded and the queries are cut to D_o dimensions again; that R (D_n, D_o) is
    U Vᵀ of the thin SVD. Only queries pass the map: new embeddings are stored as they are.

    - `scale`: q = diag(s) Rᵀ f_n with s_d = Σ_i (A R)_id B_id / Σ_i (A R)_id², the paper's diagonal scaling, here its
      least-squares solution (ours; there it is learned).
    - `centre`: A and B less their means, which the map takes off and puts on again (ours).

    Both are off by default, which is the plain method.
    """

    name = "procrustes"
    needs = frozenset({Need.OLD_FEATURES})

    class Params(Params):
        centre: bool = False
        scale: bool = False

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(query=nn.Linear(dim, old_dim, bias=self.params.centre))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1])
        a, b = in_double(new, old)
        mean_a, mean_b = a.mean(0), b.mean(0)
        if self.params.centre:
            a, b = a - mean_a, b - mean_b
        matrix = procrustes(a, b)
        if self.params.scale:
            turned = a @ matrix
            matrix = matrix * (turned * b).sum(0) / turned.square().sum(0).clamp(min=1e-12)
        set_linear(maps.query, matrix, mean_b - mean_a @ matrix)
        return maps
