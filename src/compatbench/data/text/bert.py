"""BERT as a sentence encoder: the mean of the last layer's tokens. Devlin et al., NAACL 2019, arXiv 1810.04805;
Reimers & Gurevych, EMNLP 2019, arXiv 1908.10084."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

PARTS = {
    "self_attn.out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm2": "output.LayerNorm",
}
"""Parts of PyTorch's layer, and what the authors call them."""
NORM_EPS = 1e-12
TOGETHER = 32
"""Texts of a forward pass."""


@dataclass(frozen=True)
class BertShape:
    """The sizes of a BERT."""

    words: int
    layers: int
    width: int = 384
    heads: int = 12
    positions: int = 512
    kinds: int = 2
    """Of tokens: the first is that of all tokens here."""


class Bert(nn.Module):
    """Tokens (B, T) to vectors (B, width)."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.words = nn.Embedding(shape.words, shape.width)
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.kinds = nn.Embedding(shape.kinds, shape.width)
        self.norm = nn.LayerNorm(shape.width, NORM_EPS)
        layer = nn.TransformerEncoderLayer(
            shape.width, shape.heads, 4 * shape.width, 0.0, "gelu", NORM_EPS, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, shape.layers, enable_nested_tensor=False)

    def forward(self, tokens: Tensor, real: Tensor) -> Tensor:
        """`real` (B, T) bool is False at padding."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        states = self.norm(self.words(tokens) + self.positions(places) + self.kinds.weight[0])
        states = self.encoder(states, src_key_padding_mask=~real)
        weights = real.to(states.dtype)[..., None]
        mean: Tensor = (states * weights).sum(1) / weights.sum(1)
        return mean

    def embed(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Vectors (B, width) of texts as tokens; those of about one length are padded together."""
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        out = torch.empty(len(tokens), self.words.embedding_dim, device=self.norm.weight.device)
        for start in range(0, len(order), TOGETHER):
            rows = order[start : start + TOGETHER]
            out[rows] = self._padded([tokens[row] for row in rows])
        return out

    def _padded(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        device = self.norm.weight.device
        length = max(map(len, tokens))
        padded = torch.tensor([[*one, *[0] * (length - len(one))] for one in tokens], device=device)
        lengths = torch.tensor([len(one) for one in tokens], device=device)
        return self(padded, torch.arange(length, device=device) < lengths[:, None])  # type: ignore[no-any-return]


def fitted(published: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """The state of a Bert from weights under their authors' names (`embeddings.…`, `encoder.layer.0.…`)."""
    state = {
        "words.weight": published["embeddings.word_embeddings.weight"],
        "positions.weight": published["embeddings.position_embeddings.weight"],
        "kinds.weight": published["embeddings.token_type_embeddings.weight"],
    }
    for end in ("weight", "bias"):
        state[f"norm.{end}"] = published[f"embeddings.LayerNorm.{end}"]
        for number in range(layers):
            own, theirs = f"encoder.layers.{number}", f"encoder.layer.{number}"
            parts = [published[f"{theirs}.attention.self.{part}.{end}"] for part in ("query", "key", "value")]
            state[f"{own}.self_attn.in_proj_{end}"] = torch.cat(parts)
            state |= {f"{own}.{mine}.{end}": published[f"{theirs}.{name}.{end}"] for mine, name in PARTS.items()}
    return state
