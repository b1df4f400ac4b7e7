"""Parquet files read within bounds: a few bytes can stand for any number of rows, or for one long text a row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from compatbench.errors import RequestError
from compatbench.storage.parquet_footer import chunks

FREE_BYTES = 2**26
"""What any file may unpack to; whoever reads it may need several times as much."""

MOST_TIMES = 100
"""Beyond that, a file may unpack to this many times its own size: vectors hardly compress."""

BATCH_ROWS = 16_384


def check_unpacked(name: str, packed: int, unpacked: int, free: int | None = None) -> None:
    """Raise RequestError if a file of `packed` bytes asks for too much memory, `unpacked` bytes."""
    if unpacked > max(FREE_BYTES if free is None else free, MOST_TIMES * packed):
        raise RequestError(
            f"{name}: its {packed:,} bytes unpack to more than {unpacked:,}; if it is sound, write it uncompressed"
        )


def read_schema(path: Path, name: str) -> Any:
    """The pyarrow schema of a Parquet file. Raises RequestError, with `name` for the file, for a damaged one."""
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except Exception as error:  # damaged pages raise almost anything
        raise RequestError(f"{name} cannot be read: {error or type(error).__name__}") from error


def read_bounded(
    source: Path | bytes,
    name: str,
    binary: Collection[str] = (),
    free: int | None = None,
    columns: Sequence[str] | None = None,
) -> Any:
    """The pyarrow table in a Parquet file of numbers, text, UUIDs, and lists of numbers; text is kept as a dictionary.

    The columns named by `binary` may hold bytes; `free`, by default FREE_BYTES, is what the file may
    unpack to whatever its size. Of `columns` alone, where they are given, the others may be of any kind.

    Raises RequestError, which calls the file `name`, for a damaged file, other columns, and one that unpacks to far
    more than its size.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    packed = source.stat().st_size if isinstance(source, Path) else len(source)
    try:
        given = source if isinstance(source, Path) else pa.BufferReader(source)
        whole = pq.read_schema(given)
        schema = [field for field in whole if columns is None or field.name in columns]
        texts = [field.name for field in schema if is_text(field.type)]
        for field in schema:
            if field.name in binary and str(field.type) in ("binary", "large_binary"):
                continue
            kind = field.type
            if not (is_number(kind) or is_text(kind) or is_uuid(kind) or is_number(item_type(kind))):
                raise RequestError(f"{name}: '{field.name}' is {kind}; give numbers, text or lists of numbers")
        file = pq.ParquetFile(source if isinstance(source, Path) else pa.BufferReader(source), read_dictionary=texts)
        check_unpacked(name, packed, file.metadata.num_rows * max(1, len(schema)), free)
        check_unpacked(name, packed, _declared_bytes(source, {field.name for field in schema}), free)
        read = pa.schema([field for field in file.schema_arrow if columns is None or field.name in columns])
        batches, unpacked = [], 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[field.name for field in schema]):
            unpacked += batch.nbytes
            check_unpacked(name, packed, unpacked, free)
            batches.append(batch)
        return pa.Table.from_batches(batches, read).unify_dictionaries().combine_chunks()
    except RequestError:
        raise
    except Exception as error:  # damaged pages raise almost anything
        raise RequestError(f"{name} cannot be read: {error or type(error).__name__}") from error


def _declared_bytes(source: Path | bytes, columns: Collection[str]) -> int:
    """What the values of numeric columns take, by the counts in the footer, before any is read."""
    return sum(one.values * _WIDTHS.get(one.kind, 1) for one in chunks(source) if one.name in columns)


_WIDTHS = {"INT32": 1, "INT64": 8, "FLOAT": 4, "DOUBLE": 8}
"""Bytes a value; bytes are stored as 32 bits."""


def is_number(kind: Any) -> bool:
    """Whole numbers, floating-point ones, and truth values."""
    import pyarrow.types as kinds

    return kind is not None and bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind))


def whole_numbers(schema: Any) -> list[str]:
    """The columns of whole numbers."""
    import pyarrow.types as kinds

    return [field.name for field in schema if kinds.is_integer(field.type)]


def is_uuid(kind: Any) -> bool:
    """Whether a type is a UUID, or 16 bytes of any meaning."""
    return str(kind) in ("extension<arrow.uuid>", "fixed_size_binary[16]")


def is_text(kind: Any) -> bool:
    """Text in any of its layouts, views and dictionaries among them."""
    import pyarrow.types as kinds

    if kinds.is_dictionary(kind):
        kind = kind.value_type
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or str(kind) == "string_view")


def item_type(kind: Any) -> Any:
    """The type of a list's items; None for any other type."""
    import pyarrow.types as kinds

    is_list = kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)
    return kind.value_type if is_list else None
