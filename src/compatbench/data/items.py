"""Items, read on demand; among them texts and the vectors of others."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Index = Tensor | slice
CPU = torch.device("cpu")
CHUNK = 4096
"""Vectors that are hashed at a time."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Picked:
    """N of the items in memory or in files. `[index]` picks some of them without reading any, as of a tensor."""

    rows: Tensor
    """(N,) int64: which of those in memory or in files, in order."""
    device: torch.device = CPU
    """Where batches go."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Index) -> Self:
        return replace(self, rows=self.rows[index.cpu() if isinstance(index, Tensor) else index])

    def to(self, device: str | torch.device) -> Self:
        """The same items; their batches go to `device`."""
        return replace(self, device=torch.device(device))


class Unread(Picked, ABC):
    """Items that stand for a tensor of images."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, S, S)."""

    @property
    def ndim(self) -> int:
        """4, as for a tensor of images."""
        return len(self.shape)

    @property
    def dtype(self) -> torch.dtype:
        """uint8, as for a tensor of images."""
        return torch.uint8

    @property
    @abstractmethod
    def content_sha256(self) -> str:
        """Hash (hex) of the items, in order."""


class Items(Unread):
    """Those that only frozen trunks read: only their features ever are on a device."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, 0, 0, 0): no channels and no pixels."""
        return len(self), 0, 0, 0

    @property
    def brought(self) -> Mapping[str, int]:
        """Dimensions F of each trunk, by its name, whose features come with the items."""
        return {}


@dataclass(frozen=True, eq=False, kw_only=True)
class Texts(Items):
    """Texts, such as verses or documents."""

    strings: Sequence[str]
    role: Literal["query", "passage"] = "query"
    """What a trunk with two prefixes takes them as; in a symmetric task all are queries, as E5's authors advise."""

    @classmethod
    def of(cls, strings: Sequence[str], role: Literal["query", "passage"] = "query") -> Texts:
        """All of `strings`, in order."""
        return cls(rows=torch.arange(len(strings)), strings=strings, role=role)

    def read(self) -> list[str]:
        """The texts, in order."""
        return [self.strings[row] for row in self.rows.tolist()]

    @property
    def content_sha256(self) -> str:
        """Over their role and their bytes in UTF-8."""
        state = hashlib.sha256(f"texts, {self.role};".encode())
        for text in self.read():
            state.update(f"{len(text)}:{text};".encode())
        return state.hexdigest()


class FeatureMatrix(Protocol):
    """Vectors (M, F), in memory or in a file."""

    @property
    def dim(self) -> int:
        """F."""

    def gather(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """The vectors (n, F) of these rows (n,)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrunkVectors(Items):
    """Vectors by the name of the trunk that computed them."""

    matrices: Mapping[str, FeatureMatrix]

    @classmethod
    def of(cls, matrices: Mapping[str, FeatureMatrix], count: int) -> TrunkVectors:
        """All `count` rows of `matrices`."""
        return cls(rows=torch.arange(count), matrices=matrices)

    def read(self, trunk: str) -> NDArray[np.float32]:
        """Vectors (N, F) of `trunk`."""
        return self.matrices[trunk].gather(self.rows.numpy())

    @property
    def brought(self) -> Mapping[str, int]:
        """F of each trunk."""
        return {name: matrix.dim for name, matrix in self.matrices.items()}

    @property
    def content_sha256(self) -> str:
        """Over every trunk's vectors as float32."""
        state = hashlib.sha256(b"vectors;")
        for trunk in sorted(self.matrices):
            state.update(f"{trunk};".encode())
            for start in range(0, len(self), CHUNK):
                state.update(self[start : start + CHUNK].read(trunk).astype("<f4").tobytes())
        return state.hexdigest()
