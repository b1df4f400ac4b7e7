"""The file formats of embeddings: each reads and writes named columns, and none of them runs code (no pickle)."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError
from compatbench.storage.bounded_parquet import check_unpacked, item_type, read_bounded

Values = NDArray[Any]
Columns = dict[str, Values]


@dataclass(frozen=True)
class Format:
    """One file format."""

    read: Callable[[Path], Columns]
    """Raises RequestError for a damaged or pickled file."""
    write: Callable[[Path, Path, Columns], None]
    """To the first path, in the name of the second. Raises RequestError for what the format cannot hold."""


def _read_npy(path: Path) -> Columns:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header raises almost anything
        raise _unreadable(path, error) from error
    if not isinstance(array, np.ndarray):
        raise RequestError(f"{path} is an archive of arrays; name it .npz")
    return {"vectors": array}


def _read_npz(path: Path) -> Columns:
    try:
        with zipfile.ZipFile(path) as archive:
            check_unpacked(str(path), path.stat().st_size, sum(entry.file_size for entry in archive.infolist()))
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except RequestError:
        raise
    except Exception as error:  # a damaged archive raises almost anything
        raise _unreadable(path, error) from error


def _read_safetensors(path: Path) -> Columns:
    from safetensors import safe_open

    columns: Columns = {}
    try:
        with safe_open(path, framework="pt") as file:  # checks the header
            for key in file.keys():  # noqa: SIM118 - not a mapping
                if file.get_slice(key).get_dtype() in _MAPPED:
                    columns[key] = _mapped_tensor(path, key)
                else:
                    value = file.get_tensor(key)
                    columns[key] = (value.float() if value.is_floating_point() else value).numpy()
    except Exception as error:  # numpy lacks some of the types
        raise _unreadable(path, error) from error
    return columns


_MAPPED = {"F16": np.float16, "F32": np.float32, "F64": np.float64}
"""Types of safetensors that stay in their file; numpy lacks bfloat16."""


def _mapped_tensor(path: Path, key: str) -> Values:
    """One tensor of a file whose header is sound: its length in 8 bytes, then JSON, then the data."""
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        entry = json.loads(stream.read(size))[key]
    begin, end = entry["data_offsets"]
    if begin == end:  # nothing can be mapped
        return np.empty(entry["shape"], dtype=_MAPPED[entry["dtype"]])
    return np.memmap(path, _MAPPED[entry["dtype"]], "r", 8 + size + begin, tuple(entry["shape"]))


def _read_parquet(path: Path) -> Columns:
    table = read_bounded(path, str(path))
    columns: Columns = {}
    try:
        for key in table.column_names:
            column = table.column(key).combine_chunks()
            if column.null_count:
                raise RequestError(
                    f"{path}: '{key}' has {column.null_count} empty rows; fill them in, or leave them out"
                )
            columns[key] = _matrix(path, key, column) if item_type(column.type) else _plain(path, key, column)
    except RequestError:
        raise
    except Exception as error:  # lists that do not fit their lengths
        raise _unreadable(path, error) from error
    return columns


def _matrix(path: Path, key: str, column: Any) -> Values:
    """Lists of equal length (N, D)."""
    import pyarrow.compute as pc

    lengths = np.unique(pc.list_value_length(column).to_numpy(zero_copy_only=False))
    if len(lengths) != 1:
        raise RequestError(f"{path}: the rows of '{key}' have between {lengths.min()} and {lengths.max()} numbers")
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat).reshape(len(column), int(lengths[0]))


def _plain(path: Path, key: str, column: Any) -> Values:
    """Numbers as they are; text (N,) as wide as its longest."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.DictionaryArray):
        words = column.dictionary.to_pylist()
        widest = max((len(word) for word in words if word is not None), default=0)
        check_unpacked(f"{path}: '{key}'", path.stat().st_size, 4 * widest * len(column))
        column = pc.cast(column, column.type.value_type)
    values = column.to_numpy(zero_copy_only=False)
    return np.array(column.to_pylist(), dtype=str) if values.dtype == object else values


def _write_npy(file: Path, path: Path, columns: Columns) -> None:
    with file.open("wb") as stream:
        np.save(stream, columns["vectors"], allow_pickle=False)


def _write_npz(file: Path, path: Path, columns: Columns) -> None:
    with file.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **columns)


def _write_safetensors(file: Path, path: Path, columns: Columns) -> None:
    from safetensors.numpy import save_file

    for key, values in columns.items():
        if values.dtype.kind == "U":
            raise RequestError(f"{path}: safetensors hold numbers and these {key} are text; write .npz or .parquet")
    save_file({key: np.ascontiguousarray(values) for key, values in columns.items()}, file)


def _write_parquet(file: Path, path: Path, columns: Columns) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    vectors = columns["vectors"]
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    others = {key: pa.array(values.tolist()) for key, values in columns.items() if key != "vectors"}
    pq.write_table(pa.table({**others, "vectors": lists}), file)


def _unreadable(path: Path, error: Exception) -> RequestError:
    if "allow_pickle" in str(error) or "Python objects" in str(error):
        return RequestError(
            f"{path} holds pickled objects, which are never loaded since they can run code; save plain arrays: "
            "np.save(path, np.stack(vectors).astype('float32'))"
        )
    return RequestError(f"{path} cannot be read: {error}")


FORMATS = {
    ".npy": Format(_read_npy, _write_npy),
    ".npz": Format(_read_npz, _write_npz),
    ".safetensors": Format(_read_safetensors, _write_safetensors),
    ".parquet": Format(_read_parquet, _write_parquet),
}
"""By the ending of the file's name."""
