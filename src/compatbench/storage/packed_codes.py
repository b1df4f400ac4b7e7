"""Files of codes in little room: each column in the order of its most telling one.

What files have in common is kept once, in a pool: the ids of the queries, other columns that hang on the split alone,
and the names and forms of the columns. The bytes of any other column are put in the order of up to two earlier columns
of the same queries, which are known by then where they are unpacked, and LZMA follows how their distribution drifts.
The earlier columns are those that make it shortest.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import zlib
from collections.abc import Iterator, MutableMapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError
from compatbench.storage.coded_columns import MOST_BYTES, Coded, block_bytes, read_block

Pool = MutableMapping[str, bytes]
"""What files have in common, packed, by the first digits of the sha256 of what it is unpacked."""

POOLED = "ids", "relevant", "genuine", "impostors"
"""Columns that hang on the split alone."""
NEAREST = 6
"""Earlier columns that are tried, the last ones before the column itself."""
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**16, "lc": 0, "lp": 0, "pb": 0}]
_HEAD = 4, 8
"""Bytes of the length of the head, and of the name of its layout in the pool."""

Bytes = NDArray[np.uint8]


def pack(content: bytes, pool: Pool, beside: Sequence[bytes] = ()) -> bytes:
    """A file of codes, packed; what it has in common with others goes to `pool`.

    `beside` are unpacked files that whoever unpacks this one has as well: columns that are there are only named.
    """
    there = {_key(one.codes.tobytes()): place for place, one in reversed(list(enumerate(_columns(beside))))}
    layout: list[Any] = []
    parts: list[Any] = []
    streams: list[bytes] = []
    known = _Known(beside)
    for name, columns in read_block(content).items():
        for column, one in columns.items():
            key = _key(one.codes.tobytes())
            layout.append([name, column, one.dtype, one.form, one.codes.dtype.str, len(one.codes)])
            if column in POOLED:
                layout[-1].append(key)
                pool.setdefault(key, _packed(_steps(one.codes)))
            elif key in there:
                parts.append(there[key])
            else:
                parts.append([])
                for plane in _planes(one.codes):
                    by, stream = _shortest(plane, known)
                    parts[-1] += [*by, len(stream)]
                    streams.append(stream)
                    known.add(plane)
            known.next(column, one.codes)
    text = _json(layout)
    pool.setdefault(_key(text), zlib.compress(text, 9))
    head = zlib.compress(_json(parts), 9)
    return b"".join((len(head).to_bytes(_HEAD[0], "little"), bytes.fromhex(_key(text)), head, *streams))


def unpack(packed: bytes, pool: Pool, beside: Sequence[bytes] = ()) -> bytes:
    """The file of codes. Raises RequestError where the bytes are damaged or ask for too much memory."""
    try:
        layout, parts, at = _head(packed, pool)
        sizes = [length * np.dtype(kind).itemsize for *_, kind, length in (one[:6] for one in layout)]
        if min(sizes, default=0) < 0 or sum(sizes) > MOST_BYTES:
            raise ValueError(f"a negative length, or more than {MOST_BYTES:,} bytes")
        there, known = list(_columns(beside)), _Known(beside)
        block: dict[str, dict[str, Coded]] = {}
        for name, column, dtype, form, kind, length, *pooled in layout:
            part: Any = None if pooled else next(parts)
            if pooled:
                codes = _from_steps(pool[pooled[0]], kind, length)
            elif isinstance(part, int):
                codes = there[part].codes
            else:
                planes = []
                for *by, stored in zip(part[::3], part[1::3], part[2::3], strict=True):
                    plane = np.empty(length, np.uint8)
                    plane[known.order(by)] = _unpacked(packed[at : at + stored], length)
                    at += stored
                    known.add(plane)
                    planes.append(plane)
                codes = np.ascontiguousarray(np.stack(planes, axis=1)).view(kind)[:, 0]
            known.next(column, codes)
            block.setdefault(name, {})[column] = Coded(dtype, form, codes)
        if at != len(packed):
            raise ValueError("more bytes than its columns take")
        return block_bytes(block)
    except Exception as error:  # damaged bytes raise almost anything
        raise RequestError(f"damaged arrays ({error or type(error).__name__})") from error


def pool_keys(packed: bytes, pool: Pool) -> set[str]:
    """The parts of the pool that a packed file needs."""
    layout, _, _ = _head(packed, pool)
    return {bytes.hex(packed[_HEAD[0] : sum(_HEAD)]), *(one[6] for one in layout if len(one) > 6)}


class _Known:
    """The columns so far, those of the queries of the array that is packed or unpacked now."""

    def __init__(self, beside: Sequence[bytes]) -> None:
        self._ids: NDArray[Any] = np.empty(0, np.int64)
        self._columns: list[tuple[NDArray[Any], Bytes]] = []
        self._telling: list[bool] = []
        """Not those that ascend: they leave the queries in their order."""
        for columns in chain.from_iterable(read_block(content).values() for content in beside):
            for column, one in columns.items():
                self.next(column, one.codes)
                if column not in POOLED:
                    for plane in _planes(one.codes):
                        self.add(plane)
        self._beside = len(self._columns)

    def next(self, column: str, codes: NDArray[Any]) -> None:
        """Go on after a column: its queries are those of what follows if they are ids."""
        if column == "ids":
            self._ids = codes

    def add(self, plane: Bytes) -> None:
        """Add the bytes (Q,) of a column."""
        self._columns.append((self._ids, plane))
        self._telling.append(bool((np.diff(plane.astype(np.int16)) < 0).any()))

    def order(self, by: Sequence[int]) -> NDArray[np.intp]:
        """The order of the queries by the columns at these two places, the first one counts more; −1 for none."""
        keys = [self._column(place) for place in by if place >= 0]
        return np.lexsort(keys[::-1]) if keys else np.arange(len(self._ids))

    def candidates(self) -> list[int]:
        """The places of the columns that have all of the queries: those beside, and the last ones."""
        last = range(max(self._beside, len(self._columns) - NEAREST), len(self._columns))
        return [
            place
            for place in (*range(self._beside), *last)
            if self._telling[place] and self._has_all(self._columns[place][0])
        ]

    def _column(self, place: int) -> Bytes:
        ids, plane = self._columns[place]
        return plane if np.array_equal(ids, self._ids) else plane[_rows(ids, self._ids)]

    def _has_all(self, ids: NDArray[Any]) -> bool:
        return bool(len(ids) and (np.array_equal(ids, self._ids) or (_rows(ids, self._ids) >= 0).all()))


def _rows(ids: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.intp]:
    """The row of each of `wanted` among `ids`, at least one; -1 if it is missing."""
    order = np.argsort(ids, kind="stable")
    nearest = order[np.searchsorted(ids, wanted, sorter=order).clip(max=len(ids) - 1)]
    return np.where(ids[nearest] == wanted, nearest, -1)


def _shortest(plane: Bytes, known: _Known) -> tuple[tuple[int, int], bytes]:
    """The two columns whose order makes this one shortest, and what is kept of it."""
    candidates = known.candidates()
    tried = {(-1, -1): _packed(plane)}
    tried |= {(-1, place): _packed(plane[known.order((-1, place))]) for place in candidates}
    _, second = min(tried, key=lambda by: len(tried[by]))
    if second >= 0:
        pairs = ((place, second) for place in candidates if place != second)
        tried |= {by: _packed(plane[known.order(by)]) for by in pairs}
    best = min(tried, key=lambda by: len(tried[by]))
    return best, tried[best]


def _head(packed: bytes, pool: Pool) -> tuple[list[Any], Iterator[Any], int]:
    """The layout, what is kept of each column, and where the columns begin."""
    start, size = sum(_HEAD), int.from_bytes(packed[: _HEAD[0]], "little")
    key = packed[_HEAD[0] : start].hex()
    layout, parts = (
        json.loads(zlib.decompressobj().decompress(text, MOST_BYTES))
        for text in (pool[key], packed[start : start + size])
    )
    return layout, iter(parts), start + size


def _columns(files: Sequence[bytes]) -> Iterator[Coded]:
    return chain.from_iterable(columns.values() for content in files for columns in read_block(content).values())


def _key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[: 2 * _HEAD[1]]


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _planes(codes: NDArray[Any]) -> list[Bytes]:
    """The bytes of the codes by their place: the first of all, the second of all, …"""
    split = np.frombuffer(codes.tobytes(), np.uint8).reshape(len(codes), codes.itemsize)
    return [np.ascontiguousarray(split[:, place]) for place in range(codes.itemsize)]


def _steps(codes: NDArray[Any]) -> Bytes:
    """The differences of neighbours, in planes: ids ascend."""
    return np.concatenate(_planes(np.diff(codes, prepend=codes.dtype.type(0))))


def _from_steps(packed: bytes, kind: str, length: int) -> NDArray[Any]:
    dtype = np.dtype(kind)
    steps = _unpacked(packed, length * dtype.itemsize).reshape(dtype.itemsize, length).T
    return np.cumsum(np.ascontiguousarray(steps).view(dtype)[:, 0], dtype=dtype)


def _packed(plane: Bytes) -> bytes:
    return lzma.compress(plane.tobytes(), format=lzma.FORMAT_RAW, filters=_FILTERS)


def _unpacked(stream: bytes, length: int) -> Bytes:
    found = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS).decompress(stream, length) if length else b""
    if len(found) != length:
        raise ValueError("a column is too short")
    return np.frombuffer(found, np.uint8)
