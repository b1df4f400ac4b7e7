"""A .npy file: the matrix alone, mapped into memory and read row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import MAGIC_PREFIX

from compatbench.data.vectors.formats.format import Columns, Format, Names, unreadable
from compatbench.errors import RequestError


def _columns(path: Path) -> Names:
    return {"vectors": True}


def _read(path: Path, names: Sequence[str]) -> Columns:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header raises almost anything
        said = error if _is_npy(path) else ValueError("it is no .npy file")
        raise unreadable(path, said, vectors=names[0] == "vectors") from error
    if not isinstance(array, np.ndarray):
        raise RequestError(f"{path} is an archive of arrays; name it .npz")
    return {names[0]: array}


def _is_npy(path: Path) -> bool:
    """Whether it begins as one; NumPy takes anything else for pickled objects."""
    with path.open("rb") as file:
        return file.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX


def _write(file: Path, path: Path, columns: Columns) -> None:
    with file.open("wb") as stream:
        np.save(stream, columns["vectors"], allow_pickle=False)


NPY = Format(_columns, _read, _write, named=False)
