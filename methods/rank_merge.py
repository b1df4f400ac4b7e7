"""Two searches, one ranking: old queries on old vectors, new queries on new ones."""

from torch import Tensor

from compatbench.method import Adapter, Maps, Need

from ._old_vectors import OldVectors


class RankMerge(Adapter):
    """Distance rank merge for online backfilling (Seo et al., WACV 2025, arXiv 2301.03767).

        score(q, i) = cos(q_o, g_o,i) while item i holds its old vector, cos(q_n, g_n,i) once it holds its new one

    Every query is embedded by both models; each vector searches the items that its own model embedded, and the two
    lists are merged by distance. Nothing is trained. Before the backfill M(n,o) is M(o,o) by construction, hence
    Γ = 0, and after it M(n,n) is M(*,*): what the method is about lies between them, in the backfill curve M(β).
    It is the curve's own rule, scoring each item by the query vector of its generation, with q = q_o for old items.

    The two models' cosines are compared as they are; the paper's further steps, a reverse query transform and
    metric-compatible training, which make them comparable, are not part of this.
    """

    name = "rank_merge"
    needs = frozenset({Need.BOTH_ENCODERS_ONLINE})

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(query=OldVectors())

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        return self.build(new.shape[1], old.shape[1])
