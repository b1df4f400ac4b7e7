"""How an index ranks: by cosine, inner product or distance, each as inner products of other vectors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Similarity(StrEnum):
    """A similarity for ranking, with its name in a sentence."""

    COSINE = "cosine"
    DOT = "dot"
    L2 = "l2"

    @property
    def words(self) -> str:
        """As in "search items by …"."""
        return {"cosine": "cosine", "dot": "inner product", "l2": "Euclidean distance"}[self]


class FitOn(StrEnum):
    """The pairs for fitting adapters."""

    DOCUMENTS = "documents"
    QUERIES = "queries"
    BOTH = "both"


@dataclass(frozen=True)
class Ranking:
    """Maps queries and gallery vectors so that their inner product, in [−1, 1], ranks by the similarity.

    All systems share the two lengths, so that one threshold means the same in each.
    """

    similarity: Similarity
    query_length: float
    """The greatest of any query; unused by cosine, and so is the next."""
    gallery_length: float
    """The greatest of any gallery vector."""

    def query(self, directions: Tensor, lengths: Tensor) -> Tensor:
        """From unit vectors (Q, D) and lengths (Q,): as they are, q / R, or (2q, 1, −|q|²) / (R + S)²."""
        if self.similarity is Similarity.COSINE:
            return directions
        vectors = directions * lengths[:, None]
        if self.similarity is Similarity.DOT:
            return vectors / self.query_length
        return _beside(2 * vectors, lengths.new_ones(len(lengths)), -(lengths**2)) / self._farthest

    def gallery(self, directions: Tensor, lengths: Tensor) -> Tensor:
        """From unit vectors (n, D) and lengths (n,): as they are, g / S, or (g, −|g|², 1)."""
        if self.similarity is Similarity.COSINE:
            return directions
        vectors = directions * lengths[:, None]
        if self.similarity is Similarity.DOT:
            return vectors / self.gallery_length
        return _beside(vectors, -(lengths**2), lengths.new_ones(len(lengths)))

    @property
    def _farthest(self) -> float:
        return (self.query_length + self.gallery_length) ** 2


def _beside(vectors: Tensor, first: Tensor, second: Tensor) -> Tensor:
    import torch

    return torch.cat((vectors, first[:, None], second[:, None]), dim=1)
