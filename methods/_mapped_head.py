"""A classifier that sees the embedding through a linear map."""

from torch import Tensor, nn

from compatbench.heads import Head


class MappedHead(Head):
    """A head over A f, for embeddings f (B, D) and A (D', D) the `weight` of the module `linear`.

    Its rows live in the space that A leads to.
    """

    def __init__(self, inner: Head, linear: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.map = linear

    @property
    def weight(self) -> Tensor:
        """W A (C, D): the rows as the space of f sees them, exact for inner products."""
        return self.inner.weight if isinstance(self.map, nn.Identity) else self.inner.weight @ self.map.weight

    def logits(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        return self.inner.logits(embeddings, rows)

    def forward(self, embeddings: Tensor) -> Tensor:
        return self.inner(self.map(embeddings))

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return self.inner.loss(self.map(embeddings), labels)
