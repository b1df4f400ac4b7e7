"""A .jsonl file: one object a line, with a vector as a list of numbers or as text."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from compatbench.data.vectors.formats.arrow_columns import looks_like_a_vector, to_numpy
from compatbench.data.vectors.formats.batches import join_batches
from compatbench.data.vectors.formats.format import Columns, Format, Names, Values
from compatbench.data.vectors.formats.text import encoding_of, with_remedy
from compatbench.errors import RequestError, first_line

BATCH_CHARACTERS = 2**24
LOOKED_AT = 2**18
"""Characters that tell the columns: the first objects may lack some."""


def _columns(path: Path) -> Names:
    rows = next(_batches(path, LOOKED_AT), None)
    if rows is None:
        raise RequestError(f"{path} cannot be read: it has no rows")
    keys = dict.fromkeys(key for row in rows for key in row)
    found = {key: [row.get(key) for row in rows] for key in keys}
    return {
        key: any(isinstance(one, list) or looks_like_a_vector(one) for one in several) for key, several in found.items()
    }


def _read(path: Path, names: Sequence[str]) -> Columns:
    return join_batches(path, names, _arrays(path, names))


def _arrays(path: Path, names: Sequence[str]) -> Iterator[Mapping[str, Values]]:
    before = 0
    for rows in _batches(path, BATCH_CHARACTERS):
        yield _columns_of(path, names, rows, before)
        before += len(rows)


def _columns_of(path: Path, names: Sequence[str], rows: list[dict[str, Any]], before: int) -> Mapping[str, Values]:
    import pyarrow as pa

    found, size = {}, path.stat().st_size
    for name in names:
        try:
            column = _typed([row.get(name) for row in rows])
        except (pa.ArrowException, OverflowError, ValueError, TypeError) as error:
            said = _different([row.get(name) for row in rows]) or first_line(error)
            raise RequestError(f"{path}: '{name}' differs in kind between lines: {said}") from error
        if pa.types.is_null(column.type) and name == names[0]:
            column = column.cast(pa.list_(pa.float32()))
        found[name] = to_numpy(str(path), name, column, size, vectors=name == names[0], first=before)
    return found


def _typed(values: list[Any]) -> Any:
    """A column of pyarrow, which finds out types, but not that of numbers from 2⁶³ to 2⁶⁴ − 1."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except OverflowError:
        return pa.array(values, pa.uint64())


def _batches(path: Path, characters: int) -> Iterator[list[dict[str, Any]]]:
    """By the standard library, which names the line, and takes no id for a date."""
    number = 0
    try:
        with path.open(encoding=encoding_of(path)) as stream:
            while lines := stream.readlines(characters):
                rows = []
                for line in lines:
                    number += 1
                    if line.strip():
                        rows.append(json.loads(line))
                        if not isinstance(rows[-1], dict):
                            raise ValueError('no object, as in {"id": "a", "embedding": [0.1, 0.2]}')
                if rows:
                    yield rows
    except json.JSONDecodeError as error:
        raise RequestError(f"{path} cannot be read: line {number}: {error.msg}, at character {error.colno}") from error
    except (OSError, UnicodeError) as error:
        raise RequestError(f"{path} cannot be read: {with_remedy(error)}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path} cannot be read: line {number}: {first_line(error)}") from error


def _different(values: list[Any]) -> str:
    """The first two values of different kinds, if there are any."""
    there = [value for value in values if value is not None]
    other = next((value for value in there if _kind(value) is not _kind(there[0])), None)
    return (
        "" if other is None else f"{reprlib.repr(there[0])} and {reprlib.repr(other)}; write all as text, or as numbers"
    )


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)


JSONL = Format(_columns, _read)
