"""The model of one generation: its encoder, its head and its method."""

from __future__ import annotations

from torch import Tensor, nn

from compatbench.encoders import Encoder
from compatbench.heads import Head
from compatbench.method import TrainingMethod


class EmbeddingModel(nn.Module):
    """One generation: its encoder, its head, and its method's map of the encoder's output.

    Documents are embedded as queries are, unless there is a `document_encoder`; head and method are shared.
    """

    def __init__(
        self, encoder: Encoder, head: Head, method: TrainingMethod, document_encoder: Encoder | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.method = method
        self.document_encoder = document_encoder

    @property
    def encoders(self) -> tuple[Encoder, ...]:
        """One encoder, or those of the queries and of the documents."""
        return (self.encoder,) if self.document_encoder is None else (self.encoder, self.document_encoder)

    @property
    def documents(self) -> EmbeddingModel:
        """The model as it embeds documents: itself, or its parts around the encoder of the documents."""
        if self.document_encoder is None:
            return self
        return EmbeddingModel(self.document_encoder, self.head, self.method)

    def embed(self, features: Tensor) -> Tensor:
        """Embeddings (B, D) of encoder outputs (B, E), not normalised."""
        return self.method.embed(features)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (B, D), not normalised."""
        return self.embed(self.encoder(images))
