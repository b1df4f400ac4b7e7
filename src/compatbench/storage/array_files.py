"""Parquet files of several named arrays: a row has an array's name and the values of its columns.

A reference is `<sha256>#<name>`, or `<sha256>` alone for a file of one array, as the first records have them.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError
from compatbench.storage.bounded_parquet import read_bounded
from compatbench.storage.files import write_whole
from compatbench.storage.group_sums import read_sums, sums_path

NAME = "array"
"""The column with the names."""
ArrayColumns = Mapping[str, NDArray[Any]]
"""(N,) each, by name."""


class ArrayFiles:
    """The arrays of a cell, until they are written: its own in one file, and in another what cells share.

    Shared are those of models that all methods of a scenario and seed have in common: every such cell writes the same
    file.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, dict[str, ArrayColumns]] = {"own": {}, "shared": {}}

    def put(self, name: str, columns: ArrayColumns, *, shared: bool = False) -> str:
        """Add an array, and return its reference, which `save` turns into the lasting one."""
        part = "shared" if shared else "own"
        if name in self._arrays[part]:
            raise ValueError(f"there are two arrays '{name}'")
        self._arrays[part][name] = columns
        return f"{part}#{name}"

    def save(self, folder: Path) -> dict[str, str]:
        """Write both files, if they contain any array, to `folder`; their sha256 by the reference's first part."""
        return {part: write_arrays(folder, arrays) for part, arrays in self._arrays.items() if arrays}


def write_arrays(folder: Path, arrays: Mapping[str, ArrayColumns]) -> str:
    """Write named arrays to `folder/<sha256>.parquet`, whole or not at all, and return the sha256 of its bytes.

    Columns of one name have one type. Equal arrays give equal bytes under one version of pyarrow.
    """
    import pyarrow as pa

    sizes = {name: len(next(iter(columns.values()))) for name, columns in arrays.items()}
    names = pa.DictionaryArray.from_arrays(
        pa.array(np.repeat(np.arange(len(sizes), dtype=np.int32), list(sizes.values()))), pa.array(list(sizes))
    )
    table = {NAME: names}
    for column in dict.fromkeys(column for columns in arrays.values() for column in columns):
        kind = pa.from_numpy_dtype(next(one[column].dtype for one in arrays.values() if column in one))
        parts = [
            pa.array(columns[column], kind) if column in columns else pa.nulls(sizes[name], kind)
            for name, columns in arrays.items()
        ]
        table[column] = pa.concat_arrays(parts)
    return _write(folder, table)


def write_columns(folder: Path, columns: ArrayColumns) -> str:
    """Write one array without a name, see `write_arrays`."""
    import pyarrow as pa

    return _write(folder, {name: pa.array(values) for name, values in columns.items()})


def _write(folder: Path, table: Mapping[str, Any]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(
        pa.table(dict(table)),
        sink,
        compression="zstd",
        compression_level=9,
        use_dictionary=[NAME],
        write_statistics=False,
        store_schema=False,
        # one stream a byte: what arrays of the same queries repeat, such as their ids, then takes hardly any room
        column_encoding={name: "BYTE_STREAM_SPLIT" for name in table if name != NAME},
    )
    content = sink.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    write_whole(array_path(folder, sha256), content)  # also over a file of this name, which may be damaged
    return sha256


def read_columns(folder: Path, reference: str) -> dict[str, NDArray[Any]]:
    """The columns of an array by its reference, from a Parquet file or one of sums.

    Raises RequestError if its file is missing, has another hash, or lacks the array.
    """
    sha256, _, name = reference.partition("#")
    if (sums := sums_path(folder, sha256)).is_file():
        return read_sums(sums, name)
    path = array_path(folder, sha256)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: per-query arrays not readable ({error.strerror}); run the cell again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise RequestError(f"{path}: per-query arrays were changed after they were written; run the cell again")
    table = _table(content, str(path))
    if not name:
        return {column: table[column].to_numpy() for column in table.column_names}
    rows = _rows(table, path).get(name)
    if rows is None:
        raise RequestError(f"{path}: contains no array '{name}'")
    found = {}
    for column in table.column_names:
        part = table[column].slice(rows.start, rows.stop - rows.start)
        if column != NAME and part.null_count == 0:
            found[column] = part.to_numpy()
    return found


@functools.lru_cache(maxsize=8)
def _table(content: bytes, name: str) -> Any:
    """A record's arrays are read one after the other."""
    return read_bounded(content, name)


def _rows(table: Any, path: Path) -> dict[str, slice]:
    """The rows of each array."""
    if NAME not in table.column_names:
        raise RequestError(f"{path}: has no column '{NAME}'")
    names = table[NAME].combine_chunks()
    codes = names.indices.to_numpy(zero_copy_only=False)
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    return {
        names.dictionary[int(codes[start])].as_py(): slice(start, stop)
        for start, stop in pairwise(edges)
        if stop > start
    }


def array_path(folder: Path, reference: str) -> Path:
    """Path of the file of an array in `folder`."""
    return folder / f"{reference.partition('#')[0]}.parquet"
