"""A .npz archive: one member a column; a pickled member is never loaded, and is an error if it is needed."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compatbench.data.vectors.formats.format import Columns, Format, Names, is_matrix, unreadable
from compatbench.errors import RequestError
from compatbench.storage.bounded_parquet import check_unpacked

MOST_MEMBERS = 20_000


def _columns(path: Path) -> Names:
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > MOST_MEMBERS:
                raise RequestError(
                    f"{path}: has {len(archive.infolist()):,} members; at most {MOST_MEMBERS:,} are read"
                )
            check_unpacked(str(path), path.stat().st_size, sum(entry.file_size for entry in archive.infolist()))
            return {name.removesuffix(".npy"): _is_matrix(archive, name) for name in archive.namelist()}
    except RequestError:
        raise
    except Exception as error:  # a damaged archive raises almost anything
        raise unreadable(path, error) from error


def _is_matrix(archive: zipfile.ZipFile, name: str) -> bool:
    """By the header of the member alone."""
    with archive.open(name) as member:
        if member.read(6) != np.lib.format.MAGIC_PREFIX:
            return False
        version = member.read(2)
        header = {b"\1\0": np.lib.format.read_array_header_1_0, b"\2\0": np.lib.format.read_array_header_2_0}
        if version not in header:
            return False
        shape, _, dtype = header[version](member)
    return is_matrix(shape, dtype)


def _read(path: Path, names: Sequence[str]) -> Columns:
    columns: Columns = {}
    for name in names:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                columns[name] = arrays[name]
        except Exception as error:
            raise unreadable(path, error, name, vectors=name == names[0]) from error
        if not isinstance(columns[name], np.ndarray):
            raise RequestError(f"{path}: '{name}' is no array; save it by np.savez")
    return columns


def _write(file: Path, path: Path, columns: Columns) -> None:
    with file.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **columns)


NPZ = Format(_columns, _read, _write)
