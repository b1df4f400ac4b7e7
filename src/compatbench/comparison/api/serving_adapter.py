"""A fitted adapter as Python users have it: any kind of vectors in, one-line errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compatbench.data.vectors.in_memory import to_array
from compatbench.data.vectors.pairing import SHORTEST
from compatbench.errors import RequestError
from compatbench.generations.adapters import FittedAdapter
from compatbench.vocabulary import Need, Similarity

_LISTED = 10


class ServingAdapter(FittedAdapter):
    """Maps vectors: `query(new)`, `gallery(old)`, `new(new)` and `order(old)` take (N, D) arrays, tensors or lists."""

    @classmethod
    def of(cls, fitted: FittedAdapter) -> ServingAdapter:
        """The same maps."""
        return cls(**{one.name: getattr(fitted, one.name) for one in fields(FittedAdapter)})

    def query(self, new: Any, old: Any = None, *, similarity: str = "cosine") -> Tensor:
        """Map new queries (N, D_n) for the old index: unit vectors, or by `dot` and `l2` of the usual old length."""
        return self._as_long(super().query(new, old), "query", new, similarity)

    def gallery(self, old: Any, *, similarity: str = "cosine") -> Tensor:
        """Stored old vectors (N, D_o), rewritten: unit vectors, or by `dot` and `l2` each as long as it was."""
        return self._as_long(super().gallery(old), "gallery", old, similarity)

    def new(self, new: Any, old: Any = None, *, similarity: str = "cosine") -> Tensor:
        """New vectors (N, D_n) as they are stored: unit vectors, or by `dot` and `l2` each as long as it was."""
        return self._as_long(super().new(new, old), "new", new, similarity)

    def _as_long(self, mapped: Tensor, side: str, given: Any, similarity: str) -> Tensor:
        if similarity not in list(Similarity):
            raise RequestError(f"similarity={similarity!r}: there are {', '.join(Similarity)}")
        return mapped if similarity == Similarity.COSINE else self.with_length(mapped, side, given)

    def _apply(self, module: nn.Module | None, new: Tensor, old: Any) -> Tensor:
        if old is not None and Need.BOTH_ENCODERS_ONLINE in self.needs:
            old = self._tensor(old, self.old_dim, "old")
            if len(old) != len(new):
                raise RequestError(f"{len(new):,} new vectors and {len(old):,} old ones: give the same items by both")
        return super()._apply(module, new, old)

    def save(self, path: str | Path) -> None:
        """Write the adapter to a .safetensors file, for `load` and the command line. Raises RequestError."""
        if Path(path).suffix != ".safetensors":
            raise RequestError(f"{path}: an adapter is saved as a .safetensors file")
        super().save(Path(path))

    def _tensor(self, matrix: Any, dim: int, side: str) -> Tensor:
        vectors = as_tensor(matrix, side)
        if vectors.ndim == 1:
            raise RequestError(f"{side} vectors are rows (N, D): give a single one as vector[None]")
        vectors = super()._tensor(vectors, dim, side)
        norms = torch.linalg.vector_norm(vectors, dim=1)
        bad = torch.nonzero(~(norms.isfinite() & (norms > SHORTEST))).flatten().tolist()
        if bad:
            raise RequestError(
                f"{len(bad):,} of {len(vectors):,} {side} vectors are NaN, infinite or zero (shorter than "
                f"{SHORTEST:g}): rows {_listed(bad)}; embed these again, or leave them out"
            )
        return vectors


def as_tensor(matrix: Any, name: str) -> Tensor:
    """Numbers of any kind as a float32 tensor without gradient, on the device of a tensor. Raises RequestError."""
    if isinstance(matrix, Tensor) and matrix.layout is torch.strided and not (matrix.is_quantized or matrix.is_meta):
        return matrix.detach().float()
    array = to_array(matrix, name)
    if array.dtype.kind not in "fiu":
        raise RequestError(f"{name} vectors are {array.dtype}; give numbers (N, D)")
    return torch.from_numpy(array.astype("float32", order="C"))


def _listed(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:_LISTED])) + (f" and {len(rows) - _LISTED:,} more" if len(rows) > _LISTED else "")
