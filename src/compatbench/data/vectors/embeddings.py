"""Embeddings in files: read and checked.

Every problem is a RequestError of one line that names the file, the rows and the remedy. Knows nothing of torch.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compatbench.data.vectors.columns import find_columns
from compatbench.data.vectors.formats.format import Columns, Values, is_matrix
from compatbench.data.vectors.formats.registry import FORMATS, WRITTEN, format_of
from compatbench.data.vectors.in_memory import format_in_memory, to_array
from compatbench.data.vectors.notices import Notice
from compatbench.data.vectors.options import DEFAULT, InputOptions, WhichModel
from compatbench.data.vectors.packed_bits import are_bytes, unpacked
from compatbench.data.vectors.stores.address import Address
from compatbench.data.vectors.stores.address import source as addressed
from compatbench.errors import RequestError
from compatbench.storage.files import whole_file

BLOCK_ROWS = 65_536

VectorSource = str | Path | Address | ArrayLike | Mapping[str, ArrayLike]
"""A file, a table of a database, or what `compatbench.data.vectors.in_memory` reads."""


@dataclass(frozen=True, eq=False)
class EmbeddingTable:
    """One vector a row, with its id, its class and its document if known."""

    name: str
    """What messages call it: the file's path."""
    vectors: Values
    """(N, D) numbers as they are stored, possibly mapped from the file and read where they are asked for."""
    ids: Values | None = None
    """(N,) None where rows are known by their position alone."""
    labels: Values | None = None
    """(N,)."""
    group: Values | None = None
    """(N,) the document of each row; None where each row is one."""
    packed_bits: bool = False
    """Each number is a byte, and eight dimensions."""
    dims: int | None = None
    """The first of its dimensions that are used; None: all."""
    notices: tuple[Notice, ...] = ()
    index: Values | None = None
    """(N,) the index of a data frame, or numbers of rows: ids only beside a table that has any, see `index_as_ids`."""

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def stored_dim(self) -> int:
        """Dimensions in the file."""
        return int(self.vectors.shape[1]) * (8 if self.packed_bits else 1)

    @property
    def dim(self) -> int:
        """D."""
        return self.stored_dim if self.dims is None else min(self.dims, self.stored_dim)

    def float32(self) -> NDArray[np.float32]:
        """All vectors (N, D) in memory."""
        return self.gather(np.arange(len(self)))

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """The rows in blocks, for tables larger than the memory."""
        for rows in self._block_rows():
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as that
                block = self.gather(np.arange(rows.start, rows.stop))
            yield rows, block

    def stored_blocks(self) -> Iterator[Values]:
        """The numbers of these blocks as they are stored."""
        for rows in self._block_rows():
            yield self._gather(np.arange(rows.start, rows.stop), self.vectors.dtype)

    def _block_rows(self) -> Iterator[slice]:
        for begin in range(0, len(self), BLOCK_ROWS):
            yield slice(begin, min(begin + BLOCK_ROWS, len(self)))

    def gather(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """The vectors (n, D) of these rows (n,), in memory."""
        if not self.packed_bits:
            return np.ascontiguousarray(self._gather(rows, np.float32)[:, : self.dim])
        return np.ascontiguousarray(unpacked(self._gather(rows, self.vectors.dtype))[:, : self.dim])

    def _gather(self, rows: NDArray[np.intp], dtype: Any) -> Values:
        if not _is_in_a_file(self.vectors):
            return np.array(self.vectors[rows], dtype=dtype)
        # read, not mapped: what a mapping touches stays in memory, with the pages around it
        width = self.vectors.shape[1]
        gathered = np.empty((len(rows), width), dtype=dtype)
        edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        with Path(str(self.vectors.filename)).open("rb") as file:
            for first, last in pairwise(edges):
                file.seek(self.vectors.offset + int(rows[first]) * self.vectors.strides[0] if last > first else 0)
                run = np.fromfile(file, self.vectors.dtype, (last - first) * width)
                gathered[first:last] = run.reshape(last - first, width)
        return gathered


def read_table(source: VectorSource, options: InputOptions = DEFAULT, side: WhichModel = "new") -> EmbeddingTable:
    """The embeddings in a file of any of the FORMATS, or in memory (messages call these by `side`), rows unchecked.

    A .npy file is the matrix alone, mapped into memory. Raises RequestError for a file that is missing, damaged,
    pickled or of another kind, for what holds no vectors, and for columns that do not fit each other.
    """
    source = addressed(source) if isinstance(source, str) else source
    if isinstance(source, Address):
        path, form = Path(source.name), source.format()
    elif isinstance(source, Path):
        path, form = source, format_of(source)
    else:
        path = Path(side)  # what messages call them
        form = format_in_memory(source, str(path))
    columns, notices = find_columns(path, form, options, side)
    columns = {key: values if key == "vectors" else _as_text(str(path), key, values) for key, values in columns.items()}
    vectors, dims = columns["vectors"], options.first_dims(side)
    if not isinstance(source, Address | Path):
        vectors = np.asarray(vectors)  # a mapping of the user's may have changed, or its file be gone
    ids, labels, group, index = (columns.get(key) for key in ("ids", "labels", "group", "index"))
    table = EmbeddingTable(str(path), vectors, ids, labels, group, dims=dims, index=index)
    if options.packed_bits and vectors.ndim == 2 and vectors.dtype.kind in "iuf":
        table = replace(table, packed_bits=are_bytes(table.name, table.stored_blocks()))
    _check_kind_of_vectors(table)
    if isinstance(source, Address) and ids is None:
        raise RequestError(f"{path} has no ids, and its rows no order: name a column by --ids COLUMN")
    for key, values in columns.items():
        if key != "vectors":
            _check_column(table, key, values)
    return replace(table, notices=(*notices, *_said(table, options)))


def _said(table: EmbeddingTable, options: InputOptions) -> Iterator[Notice]:
    if options.packed_bits and not table.packed_bits:
        yield Notice(
            "numbers", 0, f"{table.name}: vectors of {table.vectors.dtype} are no packed bits, and taken as they are"
        )
    if table.vectors.dtype == np.uint8 and not table.packed_bits:
        yield Notice(
            "numbers", 0, f"{table.name}: bytes are taken as numbers from 0 to 255; if they are bits, --packed-bits"
        )
    if table.dim < table.stored_dim:
        yield Notice("dimensions", 0, f"{table.name}: the first {table.dim:,} of {table.stored_dim:,} dimensions")


def write_table(path: Path, table: EmbeddingTable) -> None:
    """Write a table in the format of the path's ending, whole or not at all; .npy takes the vectors alone.

    Raises RequestError for another ending, and for ids or labels that the format cannot hold.
    """
    write = FORMATS[path.suffix].write if path.suffix in FORMATS else None
    if write is None:
        raise RequestError(f"{path}: embeddings are written to {', '.join(WRITTEN)} files")
    columns: Columns = {"vectors": np.asarray(table.vectors)}
    columns |= {key: values for key in ("ids", "labels") if (values := getattr(table, key)) is not None}
    with whole_file(path) as temporary:
        write(temporary, path, columns)


def read_labels(source: str | Path | ArrayLike, rows: int) -> Values:
    """Labels (N,), numbers or text, of `rows` items from a .npy file or in memory. Raises RequestError."""
    path = source if isinstance(source, str | Path) else "labels"
    if not isinstance(source, str | Path):
        labels = to_array(source, "labels")
    elif not Path(source).exists():
        raise RequestError(f"{path} does not exist")
    elif Path(source).suffix != ".npy" or not Path(source).is_file():
        raise RequestError(f"{path}: labels are read from a .npy file with one label a row")
    else:
        labels = np.asarray(FORMATS[".npy"].read(Path(source), ["labels"])["labels"])
    labels = _as_text(str(path), "labels", labels)
    if labels.shape != (rows,):
        raise RequestError(f"{path}: expected one label for each of {rows} rows, got shape {labels.shape}")
    _check_kind(str(path), "labels", labels)
    return labels


def _is_in_a_file(vectors: Values) -> TypeGuard[np.memmap[Any, Any]]:
    """They are a whole matrix that is mapped from a file, row after row."""
    return isinstance(vectors, np.memmap) and isinstance(vectors.base, mmap.mmap) and bool(vectors.flags.c_contiguous)


def _as_text(name: str, key: str, values: Values) -> Values:
    """Bytes, and text of any width, as NumPy's text of one width; all else unchanged, text with gaps too."""
    if values.dtype.kind == "T" and all(isinstance(one, str) for one in values.tolist()):
        return np.array(values.tolist(), dtype=str)
    if values.dtype.kind != "S":
        return values
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"{name}: {key} are bytes that are no UTF-8 ({error.reason}); write them as text") from error


def _check_kind_of_vectors(table: EmbeddingTable) -> None:
    vectors = table.vectors
    if vectors.dtype.kind == "V" and vectors.dtype.names is None:
        raise RequestError(
            f"{table.name}: vectors are {vectors.dtype}, which NumPy does not know as numbers (bfloat16?); make them "
            "float32 before they are saved or given: vectors.astype('float32')"
        )
    if not (table.packed_bits or is_matrix(vectors.shape, vectors.dtype)) or 0 in vectors.shape:
        raise RequestError(
            f"{table.name}: expected floating-point vectors (N, D), or int8 or uint8 ones, got {vectors.dtype} of "
            f"shape {vectors.shape}; convert them: vectors.astype('float32').reshape(N, D)"
        )
    if table.dims is not None and table.dims > table.stored_dim:
        raise RequestError(f"{table.name} has {table.stored_dim} dimensions, and {table.dims} are asked for")


def _check_column(table: EmbeddingTable, key: str, values: Values) -> None:
    if values.shape != (len(table),):
        raise RequestError(f"{table.name}: {len(table)} vectors and {key} of shape {values.shape}; give one a row")
    _check_kind(table.name, key, values)


def _check_kind(name: str, key: str, values: Values) -> None:
    if values.dtype.kind == "O":
        raise RequestError(f"{name}: {key} are Python objects; write them as text: {key}.astype(str)")
    if values.dtype.kind not in "iuU":
        raise RequestError(f"{name}: {key} are {values.dtype}; give whole numbers or text")
