"""Stationary representations: every generation classifies against the same regular simplex."""

from ._simplex import SimplexMethod


class Simplex(SimplexMethod):
    """d-simplex fixed classifier, CoReS (Biondi et al., TPAMI 2023, arXiv 2111.07632).

        L = CE(Vᵀ f, y),   V (K−1, K) with unit columns, pairwise cosine −1/(K−1), never learned

    f (B, K−1) the embedding, not normalised, no scale and no bias; K all classes that may ever come, of which
    class k keeps vertex k in every generation. The vertices of classes not yet seen are reserved: the softmax
    runs over all K. Features are compatible because they are stationary: nothing of the old model is used.
    The encoder ends in K − 1 dimensions whatever the scenario says, and V replaces the scenario's head. (One
    public version divides V by the norm of the whole matrix, about sqrt(K), in place of each column's: the
    same directions, flatter logits.)
    """

    name = "simplex"
