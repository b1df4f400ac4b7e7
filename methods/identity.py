"""A control: the old model as its own upgrade must change nothing at all."""

from torch import Tensor

from compatbench.method import Adapter, Expectation, Maps, Need, Role

from ._old_vectors import OldVectors


class Identity(Adapter):
    """The old model as its own upgrade: every new vector is the old one of the same image (control, ours).

        f_n ← f_o,  for queries and gallery

    The row passes through all that an adapter's row passes through, with vectors of which the outcome is known:
    M(n,o) = M(n,n) = M(o,o), no flips (NFR = PFR = 0), and a backfill curve that is flat. Where it is not, queries and
    gallery, their ids or their masks got mixed up on the way. The new model itself is trained and not used.
    """

    name = "identity"
    role = Role.CONTROL
    needs = frozenset({Need.BOTH_ENCODERS_ONLINE})
    expects = frozenset({Expectation.CROSS_EQUALS_OLD})

    def build(self, dim: int, old_dim: int) -> Maps:
        return Maps(new=OldVectors())

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        return self.build(new.shape[1], old.shape[1])
