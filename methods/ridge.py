"""Ridge regression from new embeddings to old ones."""

from torch import Tensor, nn

from compatbench.method import Adapter, Maps, Need, Params, tunable

from ._linear_map import ridge, set_linear


class Ridge(Adapter):
    """Affine query map by ridge regression (ours as an adapter; Hoerl and Kennard, Technometrics 1970).

        q = Xᵀ f_n + b,  X = argmin ‖A_c X − B_c‖² + n ε ‖X‖² = (A_cᵀA_c + n ε I)⁻¹ A_cᵀB_c,  b = μ_B − Xᵀ μ_A

    A_c (n, D_n) and B_c (n, D_o) are the paired new and old embeddings of the training images, of unit length, less
    their means μ_A and μ_B; X (D_n, D_o), any dimensions. ε = 1e-4 (ours), a hundredth of the mean variance of a
    unit vector's coordinate at D = 100. It is the full-rank limit of `low_rank`. Only queries pass the map.
    """

    name = "ridge"
    needs = frozenset({Need.OLD_FEATURES})

    class Params(Params):
        epsilon: float = tunable(1e-4, low=1e-6, high=1e-1, log=True, gt=0)

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(query=nn.Linear(dim, old_dim))

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        maps = self.build(new.shape[1], old.shape[1])
        found = ridge(new, old, self.params.epsilon)
        set_linear(maps.query, found.matrix, found.mean_old - found.mean_new @ found.matrix)
        return maps
