"""Many files of sums in one stream: the columns of one name together, file after file, so that LZMA finds what repeats.

The stream is a line of JSON (the layouts of the files, and for each file its sha256 and the number of its layout), and
then for each column of each layout the bytes of all files, least significant bytes first.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.storage.group_sums import MOST_BYTES, read_block

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0}]


def pack(files: Mapping[str, bytes]) -> bytes:
    """Files of sums by sha256, packed."""
    layouts: dict[str, list[str]] = {}
    for sha256, content in files.items():
        layouts.setdefault(content[: content.index(b"\n")].decode(), []).append(sha256)
    head = json.dumps([[json.loads(layout), names] for layout, names in layouts.items()], separators=(",", ":"))
    planes = [plane for layout, names in layouts.items() for plane in _planes([files[name] for name in names])]
    return lzma.compress(b"".join((head.encode(), b"\n", *planes)), filters=_FILTERS)


def unpack(packed: bytes) -> dict[str, bytes]:
    """The files of sums by sha256. Raises ValueError, LZMAError, KeyError or TypeError where the bytes are damaged."""
    content = decompressed(packed)
    at = content.index(b"\n") + 1
    files: dict[str, bytes] = {}
    for layout, names in json.loads(content[: at - 1]):
        columns = []
        for kind, length, _ in (one for array in layout.values() for one in array.values()):
            size = np.dtype(kind).itemsize
            if length < 0 or at + length * size * len(names) > len(content):
                raise ValueError("its columns are longer than it is")
            stored = np.frombuffer(content, np.uint8, length * size * len(names), at)
            at += len(stored)
            columns.append(stored.reshape(size, len(names), length).transpose(1, 2, 0).reshape(len(names), -1))
        head = json.dumps(layout, separators=(",", ":")).encode() + b"\n"
        for place, sha256 in enumerate(names):
            files[sha256] = head + b"".join(column[place].tobytes() for column in columns)
            if hashlib.sha256(files[sha256]).hexdigest() != sha256:
                raise ValueError(f"what is called '{str(sha256)[:64]}' has another sha256")
    if at != len(content):
        raise ValueError("more bytes than its columns take")
    return files


def decompressed(packed: bytes) -> bytes:
    """The content of one xz stream. Raises ValueError or LZMAError where it is damaged, too large or not alone."""
    decompressor = lzma.LZMADecompressor()
    content = decompressor.decompress(packed, MOST_BYTES)
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("is cut off, too large, or followed by something else")
    return content


def _planes(contents: list[bytes]) -> Iterator[bytes]:
    """The bytes of each column of files of one layout: first the lowest byte of every number of every file."""
    blocks = [read_block(content) for content in contents]
    for name, columns in blocks[0].items():
        for column in columns:
            stored: NDArray[Any] = np.stack([block[name][column].stored for block in blocks])
            split = np.frombuffer(stored.tobytes(), np.uint8).reshape(*stored.shape, stored.itemsize)
            yield np.ascontiguousarray(split.transpose(2, 0, 1)).tobytes()
