"""Columns of pyarrow to numpy: lists and text vectors to matrices, numbers and text unchanged, UUIDs as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from compatbench.data.vectors.formats.format import Values
from compatbench.errors import RequestError
from compatbench.storage.bounded_parquet import check_unpacked, is_text, is_uuid, item_type

ArrowColumn = Any
"""A pyarrow array; its stubs know less than it can."""


def to_numpy(
    where: str, key: str, column: ArrowColumn, packed: int, *, vectors: bool = False, first: int = 0
) -> Values:
    """A column of `packed` bytes as (N, D) numbers, or as (N,) numbers or text.

    A row without a vector becomes NaN. Text is parsed as vectors where `vectors` says so. Raises RequestError, which
    calls the file `where`, and the first row of the column `first`.
    """
    if kinds.is_dictionary(column.type):
        words = column.dictionary.to_pylist()
        widest = max((len(word) for word in words if isinstance(word, str)), default=0)
        check_unpacked(f"{where}: '{key}'", packed, 4 * widest * len(column))
        column = pc.cast(column, column.type.value_type)
    if item_type(column.type):
        return _matrix(where, key, column)
    if vectors and is_text(column.type):
        return _matrix(where, key, _parsed(where, key, column, first))
    if column.null_count:
        raise RequestError(f"{where}: '{key}' has {column.null_count} empty rows; fill them in, or leave them out")
    if is_uuid(column.type):
        return _uuids(column)
    if is_text(column.type):
        widest = pc.max(pc.utf8_length(column.cast(pa.large_string()))).as_py() or 0
        check_unpacked(f"{where}: '{key}'", packed, 4 * widest * len(column))
        return np.array(column.to_pylist(), dtype=str)
    if vectors or kinds.is_nested(column.type):
        wanted = "vectors as lists of numbers" if vectors else "one number or text a row"
        raise RequestError(f"{where}: '{key}' has values of type {column.type}; give {wanted}")
    return np.asarray(column.to_numpy(zero_copy_only=False))


def dimensions(columns: Iterable[ArrowColumn]) -> Values:
    """One column of numbers a dimension as (N, D); what is empty becomes NaN."""
    return np.stack([np.asarray(one.to_numpy(zero_copy_only=False)) for one in columns], axis=1)


def looks_like_a_vector(text: object) -> bool:
    """Text such as "[0.1, 0.2]" or "{0.1,0.2}", as databases and spreadsheets give vectors."""
    return isinstance(text, str) and text.lstrip()[:1] in ("[", "{", "(")


def _matrix(where: str, key: str, column: ArrowColumn) -> Values:
    """Lists of equal length (N, D); NaN for a row that is empty."""
    sizes = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    there = sizes > 0
    lengths = np.unique(sizes[there])
    if len(lengths) != 1:
        said = f"between {lengths.min()} and {lengths.max()} numbers" if len(lengths) else "no numbers"
        raise RequestError(f"{where}: the rows of '{key}' have {said}; give all of one length, of one model")
    numbers, kind = column.drop_null().flatten(), item_type(column.type)
    try:
        if not (kinds.is_integer(kind) or kinds.is_floating(kind)):  # such as text
            numbers = numbers.cast(pa.float32())
    except pa.ArrowException as error:
        raise RequestError(f"{where}: '{key}' has values of type {column.type}; give lists of numbers") from error
    flat = np.asarray(numbers.to_numpy(zero_copy_only=False)).reshape(-1, int(lengths[0]))
    if there.all():
        return flat
    whole = np.full((len(column), flat.shape[1]), np.nan, dtype=flat.dtype if flat.dtype.kind == "f" else np.float32)
    whole[there] = flat
    return whole


def _parsed(where: str, key: str, column: ArrowColumn, first: int) -> ArrowColumn:
    """Lists from text, with any brackets, the numbers separated by commas, blanks or line breaks."""
    plain = column.cast(pa.large_string())
    bare = pc.replace_substring_regex(pc.utf8_trim(plain, " \t\r\n[](){}"), r"[\s,;]+", ",")
    words = pc.split_pattern(pc.if_else(pc.equal(bare, ""), pa.scalar(None, pa.large_string()), bare), ",")
    try:
        numbers = words.values.cast(pa.float32())
    except pa.ArrowInvalid as error:
        row = next(row for row in range(len(words)) if not _are_numbers(words[row]))
        raise RequestError(
            f"{where}: '{key}' is text such as '{str(plain[row])[:40]}' that is no vector (row {first + row}); give "
            "every number, as in '[0.1, 0.2]'"
        ) from error
    kind = pa.LargeListArray if kinds.is_large_list(words.type) else pa.ListArray
    return kind.from_arrays(words.offsets, numbers, mask=words.is_null())


def _are_numbers(words: Any) -> bool:
    """Of one row, or of a row without a vector."""
    try:
        return not words.is_valid or words.values.cast(pa.float32()) is not None
    except pa.ArrowInvalid:
        return False


def _uuids(column: ArrowColumn) -> Values:
    raw = column.storage if isinstance(column, pa.ExtensionArray) else column
    text = (one.hex() for one in raw.to_pylist())
    return np.array([f"{t[:8]}-{t[8:12]}-{t[12:16]}-{t[16:20]}-{t[20:]}" for t in text], dtype=str)
