"""Embeddings in files: read, checked, and paired by id.

Every problem is a RequestError of one line that names the file, the row and the remedy. Knows nothing of torch.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from compatbench.compare.embedding_formats import FORMATS, Columns, Values
from compatbench.data.id_lookup import IdLookup
from compatbench.errors import RequestError
from compatbench.storage.files import whole_file
from compatbench.storage.validation import did_you_mean

COLUMNS = ("ids", "vectors", "labels")
"""What a file may hold, under these names: vectors (N, D), and ids (N,) and labels (N,), numbers or text."""

BLOCK_ROWS = 65_536


@dataclass(frozen=True, eq=False)
class EmbeddingTable:
    """One vector a row, with its id and its class if known."""

    name: str
    """What messages call it: the file's path."""
    vectors: Values
    """(N, D) floating-point numbers, possibly mapped from the file and read where they are asked for."""
    ids: Values | None = None
    """(N,) all different; None where rows are known by their position alone."""
    labels: Values | None = None
    """(N,)."""

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """D."""
        return int(self.vectors.shape[1])

    def float32(self) -> NDArray[np.float32]:
        """All vectors (N, D) in memory."""
        return np.array(self.vectors, dtype=np.float32)

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """The rows in blocks, for tables larger than the memory."""
        for begin in range(0, len(self), BLOCK_ROWS):
            rows = slice(begin, min(begin + BLOCK_ROWS, len(self)))
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as that
                block = self.gather(np.arange(rows.start, rows.stop))
            yield rows, block

    def gather(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """The vectors (n, D) of these rows (n,), in memory."""
        if not _is_in_a_file(self.vectors):
            return np.array(self.vectors[rows], dtype=np.float32)
        # read, not mapped: what a mapping touches stays in memory, with the pages around it
        gathered = np.empty((len(rows), self.dim), dtype=np.float32)
        edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        with Path(str(self.vectors.filename)).open("rb") as file:
            for first, last in pairwise(edges):
                file.seek(self.vectors.offset + int(rows[first]) * self.vectors.strides[0] if last > first else 0)
                run = np.fromfile(file, self.vectors.dtype, (last - first) * self.dim)
                gathered[first:last] = run.reshape(last - first, self.dim)
        return gathered


def read_table(path: Path) -> EmbeddingTable:
    """The embeddings in a .npy, .npz, .safetensors or .parquet file, checked.

    A .npy file is the matrix alone, mapped into memory; the others hold COLUMNS under their names. Raises
    RequestError for a file that is missing, damaged, pickled or of another kind, for columns that do not fit each
    other, for an id that is there twice, and for rows that are NaN, infinite or zero.
    """
    if path.suffix not in FORMATS:
        raise RequestError(f"{path}: embeddings are read from {', '.join(FORMATS)} files")
    if not path.is_file():
        raise RequestError(f"{path} does not exist" if not path.exists() else f"{path} is no file")
    columns = FORMATS[path.suffix].read(path)
    for key in columns:
        if key not in COLUMNS:
            raise RequestError(f"{path}: unknown key '{key}'{did_you_mean(key, COLUMNS)}")
    if "vectors" not in columns:
        raise RequestError(f"{path} has no 'vectors'; known keys are {', '.join(COLUMNS)}")
    table = EmbeddingTable(str(path), columns["vectors"], columns.get("ids"), columns.get("labels"))
    _check_vectors(table)
    for key in ("ids", "labels"):
        if key in columns:
            _check_column(table, key, columns[key])
    if table.ids is not None:
        _check_unique(table, table.ids)
    return table


def write_table(path: Path, table: EmbeddingTable) -> None:
    """Write a table in the format of the path's ending, whole or not at all; .npy takes the vectors alone.

    Raises RequestError for another ending, and for ids or labels that the format cannot hold.
    """
    if path.suffix not in FORMATS:
        raise RequestError(f"{path}: embeddings are written to {', '.join(FORMATS)} files")
    columns: Columns = {"vectors": np.asarray(table.vectors)}
    columns |= {key: values for key in ("ids", "labels") if (values := getattr(table, key)) is not None}
    with whole_file(path) as temporary:
        FORMATS[path.suffix].write(temporary, path, columns)


def read_labels(path: Path, rows: int) -> Values:
    """Labels (N,), numbers or text, of `rows` items from a .npy file. Raises RequestError."""
    if path.suffix != ".npy" or not path.is_file():
        raise RequestError(f"{path}: labels are read from a .npy file with one label a row")
    labels = np.asarray(FORMATS[".npy"].read(path)["vectors"])
    if labels.shape != (rows,):
        raise RequestError(f"{path}: expected one label for each of {rows} rows, got shape {labels.shape}")
    _check_kind(str(path), "labels", labels)
    return labels


def align(table: EmbeddingTable, to: EmbeddingTable) -> EmbeddingTable:
    """The rows of `table` for the rows of `to`, in their order: by id, or by position if neither has ids.

    Raises RequestError where rows have no counterpart.
    """
    rows = matching_rows(table, to)
    if rows is None:
        return table
    ids = None if table.ids is None else table.ids[rows]
    labels = None if table.labels is None else table.labels[rows]
    return replace(table, vectors=table.vectors[rows], ids=ids, labels=labels)


def matching_rows(table: EmbeddingTable, to: EmbeddingTable) -> NDArray[np.intp] | None:
    """The row of `table` (len(to),) for each row of `to`; None if all have the same number.

    Raises RequestError where rows have no counterpart.
    """
    if table.ids is None and to.ids is None:
        if len(table) != len(to):
            raise RequestError(
                f"{table.name} has {len(table)} rows and {to.name} has {len(to)}: without ids, rows are paired by "
                "position, and there must be equally many"
            )
        return None
    if table.ids is None or to.ids is None:
        without, other = (table, to) if table.ids is None else (to, table)
        raise RequestError(f"{other.name} has ids and {without.name} has none: give both of them ids, or neither")
    if (table.ids.dtype.kind == "U") != (to.ids.dtype.kind == "U"):
        raise RequestError(f"the ids of {table.name} and {to.name} differ in kind: numbers in one, text in the other")
    if np.array_equal(table.ids, to.ids):
        return None
    rows = IdLookup(table.ids).rows(to.ids)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise RequestError(
            f"{table.name} has no id {to.ids[missing[0]]!s}, which is row {missing[0]} of {to.name}; "
            f"{len(missing)} of {len(to)} ids are missing: embed these items by both models, or leave them out of "
            f"{to.name}"
        )
    return rows


def _is_in_a_file(vectors: Values) -> TypeGuard[np.memmap[Any, Any]]:
    """They are a whole matrix that is mapped from a file, row after row."""
    return isinstance(vectors, np.memmap) and isinstance(vectors.base, mmap.mmap) and bool(vectors.flags.c_contiguous)


def _check_vectors(table: EmbeddingTable) -> None:
    vectors = table.vectors
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or 0 in vectors.shape:
        raise RequestError(
            f"{table.name}: expected floating-point vectors (N, D), got {vectors.dtype} of shape {vectors.shape}"
        )
    for rows, block in table.blocks():
        with np.errstate(over="ignore"):
            norms = np.linalg.norm(block, axis=1)
        for what, bad in (("NaN or infinite values", ~np.isfinite(norms)), ("nothing but zeros", norms == 0)):
            if bad.any():
                row = rows.start + int(bad.argmax())
                raise RequestError(f"{table.name}: row {row} has {what}; embed that item again, or leave it out")


def _check_column(table: EmbeddingTable, key: str, values: Values) -> None:
    if values.shape != (len(table),):
        raise RequestError(f"{table.name}: {len(table)} vectors and {key} of shape {values.shape}; give one a row")
    _check_kind(table.name, key, values)


def _check_kind(name: str, key: str, values: Values) -> None:
    if values.dtype.kind not in "iuU":
        raise RequestError(f"{name}: {key} are {values.dtype}; give whole numbers or text")


def _check_unique(table: EmbeddingTable, ids: Values) -> None:
    repeated = IdLookup(ids).repeated()
    if len(repeated):
        first, second = np.flatnonzero(ids == repeated[0])[:2]
        raise RequestError(f"{table.name}: id {repeated[0]!s} is there twice, in rows {first} and {second}")
