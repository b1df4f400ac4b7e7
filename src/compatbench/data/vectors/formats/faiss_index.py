"""A Faiss index file: flat, IVF-flat, or either with ids, read by its layout and bounded by the file's length.

Faiss's own reader is not asked: it trusts the sizes that a file declares. The layout is that of `index_write.cpp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compatbench.data.vectors.formats.format import Columns, Format, Names, Values
from compatbench.errors import RequestError

_FLAT, _IVF_FLAT, _WITH_IDS = (b"IxFI", b"IxF2", b"IxFl"), (b"IwFl",), (b"IxMp", b"IxM2")


@dataclass
class _Reader:
    """Takes parts of the file one after the other; none can reach beyond its end."""

    path: Path
    content: Values
    at: int = 0

    def take(self, kind: Any, count: int = 1) -> Values:
        size = np.dtype(kind).itemsize * count
        if count < 0 or self.at + size > len(self.content):
            raise RequestError(f"{self.path} cannot be read: it ends before its index does")
        part: Values = self.content[self.at : self.at + size].view(kind)
        self.at += size
        return part

    def number(self, kind: Any = np.int64) -> int:
        return int(self.take(kind)[0])

    def word(self) -> bytes:
        return bytes(self.take(np.uint8, 4))


def _index(reader: _Reader, depth: int = 0) -> tuple[Values, Values | None]:
    """Vectors (N, D), and the ids (N,) of an index that has them."""
    kind = reader.word()
    if kind not in (*_FLAT, *_IVF_FLAT, *_WITH_IDS) or depth > 2:
        raise RequestError(
            f"{reader.path}: an index of kind '{kind.decode('latin-1')}' is not read; flat and IVF-flat ones are "
            "(IndexFlat, IndexIVFFlat, IndexIDMap). Of others save what they keep: "
            "np.save('vectors.npy', index.reconstruct_n(0, index.ntotal))"
        )
    dim, items = reader.number(np.int32), reader.number()
    reader.take(np.uint8, 17)  # two numbers without meaning, and whether it is trained
    if reader.number(np.int32) > 1:
        reader.take(np.float32)  # the argument of its metric
    if dim < 1 or items < 0:
        raise RequestError(f"{reader.path} cannot be read: it has {items} vectors of {dim} dimensions")
    if kind in _FLAT:
        if (size := reader.number()) != items * dim:
            raise RequestError(f"{reader.path} cannot be read: it has {size} numbers for {items} × {dim}")
        return reader.take(np.float32, size).reshape(items, dim), None
    if kind in _WITH_IDS:
        vectors, _ = _index(reader, depth + 1)
        return vectors, reader.take(np.int64, reader.number())
    return _inverted_lists(reader, dim, depth)


def _inverted_lists(reader: _Reader, dim: int, depth: int) -> tuple[Values, Values]:
    reader.take(np.int64, 2)  # lists, and lists visited
    _index(reader, depth + 1)  # the quantiser
    reader.take(np.uint8)
    reader.take(np.int64, reader.number())  # where each vector is
    if (word := reader.word()) != b"ilar":
        raise RequestError(f"{reader.path}: its inverted lists are kept elsewhere ('{word.decode('latin-1')}')")
    lists, code_size, form = reader.number(), reader.number(), reader.word()
    sizes = np.array(reader.take(np.int64, reader.number()))
    if form == b"sprs":
        sizes = sizes[1::2]
    elif len(sizes) != lists:
        raise RequestError(f"{reader.path} cannot be read: {len(sizes)} sizes of {lists} lists")
    if code_size != 4 * dim:
        raise RequestError(f"{reader.path} cannot be read: {code_size} bytes for {dim} dimensions")
    vectors, ids = [np.empty((0, dim), np.float32)], [np.empty(0, np.int64)]
    for size in sizes.tolist():
        if size:
            vectors.append(reader.take(np.float32, size * dim).reshape(size, dim))
            ids.append(reader.take(np.int64, size))
    order = np.argsort(found := np.concatenate(ids), kind="stable")
    return np.concatenate(vectors)[order], found[order]


def _read(path: Path, names: Sequence[str]) -> Columns:
    if not path.stat().st_size:
        raise RequestError(f"{path} cannot be read: it is empty")
    vectors, ids = _index(_Reader(path, np.memmap(path, np.uint8, "r")))
    if ids is None:
        return {"vectors": vectors}
    positions = np.array_equal(ids, np.arange(len(vectors)))  # which every index gives where it is given none
    return {"vectors": vectors, "index" if positions else "ids": ids}


def _columns(path: Path) -> Names:
    return {"vectors": True}


FAISS = Format(_columns, _read, named=False)
