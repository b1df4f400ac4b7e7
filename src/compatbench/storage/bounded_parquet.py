"""Parquet files read within bounds: a few bytes can stand for any number of rows, or for one long text a row."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from compatbench.errors import RequestError

FREE_BYTES = 2**30
"""What any file may unpack to."""

MOST_TIMES = 100
"""Beyond that, a file may unpack to this many times its own size: vectors hardly compress."""

BATCH_ROWS = 16_384


def check_unpacked(name: str, packed: int, unpacked: int, free: int | None = None) -> None:
    """Raise RequestError if a file of `packed` bytes asks for too much memory, `unpacked` bytes."""
    if unpacked > max(FREE_BYTES if free is None else free, MOST_TIMES * packed):
        raise RequestError(
            f"{name}: its {packed:,} bytes unpack to more than {unpacked:,}; if it is sound, write it uncompressed"
        )


def read_bounded(source: Path | bytes, name: str, binary: Collection[str] = (), free: int | None = None) -> Any:
    """The pyarrow table in a Parquet file of numbers, text, and lists of numbers; text is kept as a dictionary.

    The columns named by `binary` may hold bytes; `free`, by default FREE_BYTES, is what the file may
    unpack to whatever its size.

    Raises RequestError, which calls the file `name`, for a damaged file, other columns, and one that unpacks to far
    more than its size.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    packed = source.stat().st_size if isinstance(source, Path) else len(source)
    try:
        given = source if isinstance(source, Path) else pa.BufferReader(source)
        schema = pq.read_schema(given)
        texts = [field.name for field in schema if _is_text(field.type)]
        for field in schema:
            if field.name in binary and str(field.type) in ("binary", "large_binary"):
                continue
            if not (_is_number(field.type) or _is_text(field.type) or _is_number(item_type(field.type))):
                raise RequestError(f"{name}: '{field.name}' is {field.type}; give numbers, text or lists of numbers")
        file = pq.ParquetFile(source if isinstance(source, Path) else pa.BufferReader(source), read_dictionary=texts)
        check_unpacked(name, packed, file.metadata.num_rows * max(1, len(schema)), free)
        batches, unpacked = [], 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            unpacked += batch.nbytes
            check_unpacked(name, packed, unpacked, free)
            batches.append(batch)
        return pa.Table.from_batches(batches, file.schema_arrow).unify_dictionaries().combine_chunks()
    except RequestError:
        raise
    except Exception as error:  # damaged pages raise almost anything
        raise RequestError(f"{name} cannot be read: {error or type(error).__name__}") from error


def _is_number(kind: Any) -> bool:
    import pyarrow.types as kinds

    return kind is not None and bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind))


def _is_text(kind: Any) -> bool:
    import pyarrow.types as kinds

    if kinds.is_dictionary(kind):
        kind = kind.value_type
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind))


def item_type(kind: Any) -> Any:
    """The type of a list's items; None for any other type."""
    import pyarrow.types as kinds

    is_list = kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)
    return kind.value_type if is_list else None
