"""A .safetensors file: one tensor a column; large ones stay in the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compatbench.data.vectors.formats.format import Columns, Format, Names, Values, unreadable
from compatbench.errors import RequestError

_MAPPED = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I8": np.int8, "U8": np.uint8}
"""Types of safetensors that stay in their file; numpy lacks bfloat16."""

_VECTORS = (*_MAPPED, "BF16")


def _columns(path: Path) -> Names:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:  # checks the header
            parts = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            return {key: len(one.get_shape()) == 2 and one.get_dtype() in _VECTORS for key, one in parts.items()}
    except Exception as error:
        raise unreadable(path, error) from error


def _read(path: Path, names: Sequence[str]) -> Columns:
    from safetensors import safe_open

    columns: Columns = {}
    try:
        with safe_open(path, framework="pt") as file:
            for key in names:
                if file.get_slice(key).get_dtype() in _MAPPED:
                    columns[key] = _mapped_tensor(path, key)
                else:
                    value = file.get_tensor(key)
                    columns[key] = (value.float() if value.is_floating_point() else value).numpy()
    except Exception as error:  # numpy lacks some of the types
        raise unreadable(path, error) from error
    return columns


def _mapped_tensor(path: Path, key: str) -> Values:
    """One tensor of a file whose header is sound: its length in 8 bytes, then JSON, then the data."""
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        entry = json.loads(stream.read(size))[key]
    begin, end = entry["data_offsets"]
    if begin == end:  # nothing can be mapped
        return np.empty(entry["shape"], dtype=_MAPPED[entry["dtype"]])
    return np.memmap(path, _MAPPED[entry["dtype"]], "r", 8 + size + begin, tuple(entry["shape"]))


def _write(file: Path, path: Path, columns: Columns) -> None:
    from safetensors.numpy import save_file

    for key, values in columns.items():
        if values.dtype.kind == "U":
            raise RequestError(f"{path}: safetensors contain numbers and these {key} are text; write .npz or .parquet")
    save_file({key: np.ascontiguousarray(values) for key, values in columns.items()}, file)


SAFETENSORS = Format(_columns, _read, _write)
