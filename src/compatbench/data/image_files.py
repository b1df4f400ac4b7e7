"""Images in files, decoded by worker processes batch by batch, while others are in use.

Datasets that do not fit into memory are read through this module; to their users they look like the others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from compatbench.data.image_file import Decoding, decode
from compatbench.data.items import Index, Items, Unread
from compatbench.errors import RequestError

PREFETCHED = 2
"""Batches that each worker keeps ready."""


@dataclass(frozen=True, eq=False)
class ImageFiles(Unread):
    """Images (N, C, S, S) uint8, each in its file. `images[index]` picks rows without reading them, as of a tensor."""

    folder: Path
    paths: NDArray[np.bytes_]
    """(M,) files below `folder`, in UTF-8. One block of memory, so that worker processes share it with this one."""
    hashes: NDArray[np.uint8]
    """(M, 32) sha256 of each file's content."""
    decoding: Decoding
    size: int
    """S."""
    boxes: NDArray[np.int64] | None = None
    """(M, 4) the part of each image that counts: left, top, right, bottom in pixels of the file."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, S, S)."""
        return len(self), self.decoding.channels, self.size, self.size

    def decode(self, row: int) -> Tensor:
        """Image `row` (C, S, S) uint8. Raises RequestError, naming the file, if it can no longer be read."""
        file = int(self.rows[row])
        box = None if self.boxes is None else tuple(self.boxes[file].tolist())
        path = self.folder / self.paths[file].decode()
        try:
            pixels = decode(path.read_bytes(), self.decoding, self.size, box)
        except Exception as error:  # Pillow's decoders raise almost anything on a damaged file
            raise RequestError(f"{path} was sound when the data were checked, and is no more: {error}") from error
        return torch.from_numpy(pixels)

    def batches(self, indices: Sequence[Index], workers: int) -> Iterator[Tensor]:
        """The images (B, C, S, S) at each of `indices` in turn, decoded ahead by `workers` processes.

        No more than PREFETCHED batches a worker are in memory, however many there are.
        """
        # on the CPU before the workers are forked: a forked process cannot use the GPU of the one that it comes from
        indices = [index.cpu() if isinstance(index, Tensor) else index for index in indices]
        loader: DataLoader[Any] = DataLoader(
            _Batches(self, indices),  # type: ignore[arg-type]
            batch_size=None,
            num_workers=min(workers, len(indices)) if len(indices) > 1 else 0,
            prefetch_factor=PREFETCHED if workers and len(indices) > 1 else None,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else it would draw from the training's random numbers
        )
        for batch in loader:
            yield batch.to(self.device, non_blocking=True)

    @property
    def content_sha256(self) -> str:
        """Hash (hex) of the images: the contents of their files, and their decoding."""
        rows = self.rows.numpy()
        state = hashlib.sha256(f"{self.decoding};".encode())
        state.update(self.hashes[rows].tobytes())
        if self.boxes is not None:
            state.update(self.boxes[rows].astype("<i8").tobytes())
        return state.hexdigest()


class _Batches:
    """Batch by batch, for the workers of a DataLoader."""

    def __init__(self, images: ImageFiles, indices: Sequence[Index]) -> None:
        self.images = images
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, number: int) -> Tensor:
        if number >= len(self):
            raise IndexError(number)
        part = self.images[self.indices[number]]
        return torch.stack([part.decode(row) for row in range(len(part))])


def load_all(images: ImageFiles) -> Tensor:
    """All images (N, C, S, S) uint8, decoded by threads of this process, into memory."""
    out = torch.empty(images.shape, dtype=torch.uint8)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for rows in slices(len(images), 1024):
            for row, pixels in enumerate(pool.map(images.decode, range(rows.start, rows.stop)), start=rows.start):
                out[row] = pixels
    return out


Images = Tensor | ImageFiles | Items
"""Images (N, C, S, S) uint8 in memory or in files, or other items: `len`, `shape`, `[index]` and `to` are the same."""


def read_batches(images: Images, indices: Sequence[Index]) -> Iterator[Tensor]:
    """The images (B, C, S, S) uint8 at each of `indices` in turn, on the images' device; other items have none."""
    if isinstance(images, Items):
        raise ValueError("texts and vectors have no pixels")
    if isinstance(images, ImageFiles):
        yield from images.batches(indices, workers=max(1, torch.get_num_threads()))
    else:
        for index in indices:
            yield images.index_select(0, index.to(images.device)) if isinstance(index, Tensor) else images[index]


def read(images: Images, index: Index) -> Tensor:
    """The images (B, C, S, S) uint8 at `index`."""
    return next(read_batches(images, [index]))


def slices(count: int, batch: int) -> list[slice]:
    """Slices of `batch` rows each that cover `count` rows."""
    return [slice(start, min(start + batch, count)) for start in range(0, count, batch)]
