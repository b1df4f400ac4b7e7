"""Small files that stand for a great deal of memory are refused before they take it."""

from __future__ import annotations

import io
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compatbench.data.vectors.formats.registry import FORMATS
from compatbench.errors import RequestError
from compatbench.storage import bounded_parquet
from compatbench.storage.bounded_parquet import FREE_BYTES, MOST_TIMES, check_unpacked, read_bounded

SMALL = 2**24


def parquet(table: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def test_sound_files_come_back_whole() -> None:
    vectors = np.arange(60_000, dtype=np.float32).reshape(20_000, 3)
    columns = {
        "ids": pa.array(range(20_000)),
        "labels": pa.array([f"class {row % 7}" for row in range(20_000)]),
        "vectors": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 3),
        "lists": pa.array([[1.5, row] for row in range(20_000)]),
        "flags": pa.array([row % 2 == 0 for row in range(20_000)]),
    }
    table = read_bounded(parquet(pa.table(columns)), "x")
    assert table.column("ids").to_pylist() == list(range(20_000))
    assert table.column("labels").to_pylist() == columns["labels"].to_pylist()
    assert table.column("lists").to_pylist() == columns["lists"].to_pylist()
    assert np.array_equal(np.array(table.column("vectors").to_pylist(), dtype=np.float32), vectors)
    assert table.column("flags").to_pylist() == columns["flags"].to_pylist()
    assert read_bounded(parquet(pa.table({"ids": pa.array([], pa.int64())})), "x").num_rows == 0


ODD = {
    "struct": pa.array([{"a": 1}]),
    "nested list": pa.array([[[1.0]]]),
    "list of text": pa.array([["a"]]),
    "bytes": pa.array([b"a"]),
    "nothing": pa.nulls(1),
    "time": pa.array([0], pa.timestamp("s")),
}


@pytest.mark.parametrize("column", ODD.values(), ids=ODD)
def test_columns_of_other_kinds_are_refused(column: Any) -> None:
    with pytest.raises(RequestError, match=r"x: 'odd' is .*; give numbers, text or lists of numbers"):
        read_bounded(parquet(pa.table({"odd": column})), "x")


def many_rows() -> bytes:
    """Millions of equal numbers in some kilobytes."""
    sink = io.BytesIO()
    block = pa.table({"ids": pa.array(np.zeros(2**22, np.int64))})
    with pq.ParquetWriter(sink, block.schema, compression="zstd") as writer:
        for _ in range(2):
            writer.write_table(block)
    return sink.getvalue()


def long_text() -> bytes:
    """One long text, which each of many rows points to."""
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2**16, np.int32)), pa.array(["x" * 2**12]))
    return parquet(pa.table({"labels": words}), compression="zstd")


def zip_bomb() -> bytes:
    """Very many zeros."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.npy", _npy_header((2**23,), "<f4") + bytes(2**25))
    return stream.getvalue()


def giant_shape() -> bytes:
    """A header that promises 16 petabytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("vectors.npy", _npy_header((2**32, 2**20), "<f4") + bytes(64))
    return stream.getvalue()


def giant_map() -> bytes:
    """The same in a bare array."""
    return _npy_header((2**32, 2**20), "<f4") + bytes(64)


def _npy_header(shape: tuple[int, ...], kind: str) -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def one_long_row() -> bytes:
    """Millions of equal numbers in one list."""
    lists = pa.ListArray.from_arrays(pa.array([0, 2**23], pa.int32()), pa.array(np.ones(2**23, np.float32)))
    return parquet(pa.table({"vectors": lists}), compression="zstd")


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "one long row": (".parquet", one_long_row),
    "many rows": (".parquet", many_rows),
    "long text": (".parquet", long_text),
    "zip bomb": (".npz", zip_bomb),
    "giant shape": (".npz", giant_shape),
    "giant map": (".npy", giant_map),
}


@pytest.mark.parametrize(("ending", "make"), BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_before_they_go_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, make: Callable[[], bytes]
) -> None:
    """With small bombs, and a bound to match."""
    monkeypatch.setattr(bounded_parquet, "FREE_BYTES", SMALL)
    path = tmp_path / f"bomb{ending}"
    path.write_bytes(make())
    assert MOST_TIMES * path.stat().st_size < SMALL or ending != ".parquet"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RequestError) as caught:
        FORMATS[ending].read(path, list(FORMATS[ending].columns(path)))
    assert len(str(caught.value).splitlines()) == 1
    rose = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert rose < 4 * SMALL


def test_the_bound_is_64_megabytes_or_a_hundredfold() -> None:
    assert FREE_BYTES == 2**26
    check_unpacked("x", 1, FREE_BYTES)
    check_unpacked("x", FREE_BYTES, MOST_TIMES * FREE_BYTES)
    for packed, unpacked in ((1, FREE_BYTES + 1), (FREE_BYTES, MOST_TIMES * FREE_BYTES + 1)):
        with pytest.raises(RequestError, match="unpack to more than"):
            check_unpacked("x", packed, unpacked)


def test_damaged_files_are_refused() -> None:
    sound = parquet(pa.table({"ids": pa.array([1, 2, 3])}))
    for content in (b"", b"PAR1", sound[:-20], b"PAR1" + sound[:4], sound[:10] + b"\xff" * 20 + sound[30:]):
        with pytest.raises(RequestError, match="x cannot be read"):
            read_bounded(content, "x")
