"""Embeddings, classes and judgements in memory, as other libraries have them. Knows none of these libraries.

Vectors (N, D): an array, a tensor of any device and precision, lists, a data frame of numbers, or with more columns a
data frame (pandas, polars, pyarrow, duckdb: whatever exports an Arrow stream) or a mapping of names to columns.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import numpy as np

from compatbench.data.vectors.formats.batches import refuse_empty
from compatbench.data.vectors.formats.format import Columns, Format, Names, Values, is_matrix
from compatbench.data.vectors.formats.numbered import families, refuse_ids
from compatbench.data.vectors.qrels import Judged, checked_grade, columns_of, role_of
from compatbench.errors import RequestError, first_line

JudgementSource = Mapping[str, Mapping[str, float]] | Iterable[tuple[str, str, float]]


def format_in_memory(given: object, name: str) -> Format:
    """`given` as a format, whose columns are read from it and not from a file. Raises RequestError."""
    if _is_frame(given):
        return _of_frame(given, name)
    columns = given if isinstance(given, Mapping) else {"vectors": given}
    arrays = {str(key): to_array(values, f"{name}: '{key}'") for key, values in columns.items()}
    return _of_columns(arrays, index_of_series(given))


def to_array(given: object, name: str) -> Values:
    """One column as an array: vectors (N, D), numbers (N,) or text (N,). Raises RequestError."""
    if hasattr(given, "detach"):
        given = _of_tensor(given, name)
    elif isinstance(given, list | tuple) and given and hasattr(given[0], "detach"):
        given = [_of_tensor(one, name) if hasattr(one, "detach") else one for one in given]
    if isinstance(given, np.ma.MaskedArray):
        given = given.filled(np.nan) if given.dtype.kind == "f" else given
        if np.ma.is_masked(given):
            raise RequestError(f"{name} has masked values; fill them in, or leave these rows out")
    try:
        array = given if isinstance(given, np.ndarray) else np.asarray(given)
        if array.dtype.kind in "OU" and array.ndim == 1 and not (array is given and array.dtype.kind == "U"):
            refuse_empty(name, np.array([_is_missing(one) for one in cast("Iterable[object]", given)], dtype=np.bool_))
        if array.dtype.kind == "O" and array.ndim == 1 and len(array):
            array = _unboxed(array)
    except (ValueError, TypeError, RuntimeError) as error:  # the last one of tensors in a series
        raise RequestError(
            f"{name} is no array ({first_line(error)}); give every row as many numbers as the others"
        ) from error
    if array.dtype.kind == "O" or array.ndim == 0:
        raise RequestError(f"{name} is of type {type(given).__name__}, which is no array; give numbers (N, D)")
    return array


def _of_tensor(tensor: Any, name: str) -> Values:
    try:
        plain = tensor.detach().cpu()
        if str(plain.dtype).startswith(("torch.bfloat16", "torch.float8")):  # numpy lacks these
            plain = plain.float()
        return np.asarray(plain.numpy())
    except (TypeError, RuntimeError) as error:
        raise RequestError(
            f"{name} is a tensor that is no array ({first_line(error)}); give a dense one with numbers in it"
        ) from error


def judgements_in_memory(given: Any) -> Iterator[Judged]:
    """From {query: {document: grade}}, from (query, document, grade) one by one, or from a data frame with these names.

    Raises RequestError for anything else.
    """
    if isinstance(given, Mapping):
        if (wrong := next((one for one in given.items() if not isinstance(one[1], Mapping)), None)) is not None:
            raise RequestError(
                f"the judgements of query {wrong[0]!r} are {reprlib.repr(wrong[1])}; give document: grade"
            )
        given = [(query, one, grade) for query, grades in given.items() for one, grade in grades.items()]
    elif _is_frame(given):
        table = _arrow(given, "the judgements")
        order = columns_of("the judgements", table.column_names, others=True)
        given = zip(*(table.column(order[role]).to_pylist() for role in ("query", "document", "grade")), strict=True)
    elif not isinstance(given, Iterable):
        raise RequestError(f"the judgements are {reprlib.repr(given)}; give {{query: {{document: grade}}}}, or a file")
    for number, row in enumerate(given, start=1):
        try:
            query, document, grade = row
            value = float(grade)
        except (TypeError, ValueError, OverflowError) as error:
            raise RequestError(f"judgement {number} is {reprlib.repr(row)}; give query, document and grade") from error
        yield Judged(number, str(query), str(document), checked_grade(f"judgement {number}", value))


def unused_judgement_columns(given: object) -> list[str]:
    """Columns of a data frame of judgements that are none of a judgement."""
    table: Any = given
    names = getattr(table, "column_names", None) or table.columns if _is_frame(table) else ()
    return [str(one) for one in names if role_of(str(one)) is None]


def _of_columns(arrays: Columns, index: Values | None) -> Format:
    names = {key: is_matrix(values.shape, values.dtype) for key, values in arrays.items()}
    return Format(
        lambda _: names,
        lambda _, wanted: {key: arrays[key] for key in wanted},
        index=lambda _, rows: None if index is None or index.shape != (rows,) else ((), index),
    )


def index_of_series(given: Any) -> Values | None:
    """What a column of pandas has beside its values, if that can name rows."""
    if not hasattr(given, "iloc"):
        return None
    index = to_array(given.index, "the index")
    return index if index.dtype.kind in "iuU" else None


def _of_frame(given: object, name: str) -> Format:
    from compatbench.data.vectors.formats.arrow_columns import dimensions, to_numpy
    from compatbench.data.vectors.formats.pandas_index import index_names, read_index
    from compatbench.storage.bounded_parquet import is_number, item_type, whole_numbers

    table = _arrow(given, name)
    index = index_names(table.schema)
    others = [field for field in table.schema if field.name not in index]
    numbers = [field.name for field in others if is_number(field.type)]
    whole, together = whole_numbers(table.schema), families(numbers)
    if len(numbers) == len(others) and len(numbers) > 1 and len(together) < 2:
        fractional = [one for one in numbers if one not in whole]
        together = {"vectors": next(iter(together.values()), fractional or numbers)}
    for members in together.values():
        refuse_ids(name, members, whole)
    kinds = {field.name: is_number(item_type(field.type)) for field in table.schema}
    names: Names = {key: can for key, can in kinds.items() if key not in together.get("vectors", ())}
    names = {**names, **dict.fromkeys(together, True)}

    def column(key: str, *, vectors: bool = False) -> Values:
        return to_numpy(name, key, table.column(key).combine_chunks(), table.nbytes, vectors=vectors)

    def read(_: Path, wanted: Sequence[str]) -> Columns:
        return {
            key: dimensions(table.column(one).combine_chunks() for one in together[key])
            if key in together
            else column(key, vectors=key == wanted[0])
            for key in wanted
        }

    return Format(lambda _: names, read, index=lambda _, rows: read_index(table.schema, rows, column))


def _is_frame(given: object) -> bool:
    """Of named columns: a single column may export a stream too."""
    return hasattr(given, "__arrow_c_stream__") and (hasattr(given, "columns") or hasattr(given, "column_names"))


def _arrow(given: object, name: str) -> Any:
    import pyarrow as pa

    try:
        return pa.table(given)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise RequestError(f"{name} cannot be read as a table: {first_line(error)}") from error


def _is_missing(value: Any) -> bool:
    """None, NaN, and what pandas writes for a missing value; text never is."""
    return not isinstance(value, str) and np.ndim(value) == 0 and str(value) in ("None", "nan", "<NA>", "NaT")


def _unboxed(array: Values) -> Values:
    """Python objects (N,) as text (UUIDs too), whole numbers, or vectors of one length."""
    if all(isinstance(one, str | UUID) for one in array):
        return array.astype(str)
    return np.stack([np.asarray(one) for one in array])
