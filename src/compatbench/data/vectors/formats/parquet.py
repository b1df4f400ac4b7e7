"""A Parquet file: lists of numbers, text vectors or numbered columns, with ids and labels among any other columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compatbench.data.vectors.formats.arrow_columns import dimensions, to_numpy
from compatbench.data.vectors.formats.format import Columns, Format, Names, Values, unreadable
from compatbench.data.vectors.formats.numbered import families, refuse_ids
from compatbench.data.vectors.formats.pandas_index import index_names, read_index
from compatbench.errors import RequestError
from compatbench.storage.bounded_parquet import is_number, item_type, read_bounded, read_schema, whole_numbers


def _columns(path: Path) -> Names:
    schema = read_schema(path, str(path))
    together = _together(schema)
    for members in together.values():
        refuse_ids(str(path), members, whole_numbers(schema))
    return {field.name: is_number(item_type(field.type)) for field in schema} | dict.fromkeys(together, True)


def _read(path: Path, names: Sequence[str]) -> Columns:
    together = _together(read_schema(path, str(path)))
    wanted = [one for name in names for one in together.get(name, [name])]
    table = read_bounded(path, str(path), columns=wanted)
    size = path.stat().st_size
    try:
        found = {key: table.column(key).combine_chunks() for key in wanted}
        return {
            name: dimensions(found[one] for one in together[name])
            if name in together
            else to_numpy(str(path), name, found[name], size, vectors=name == names[0])
            for name in names
        }
    except RequestError:
        raise
    except Exception as error:  # lists that do not fit their lengths
        raise unreadable(path, error) from error


def _index(path: Path, rows: int) -> tuple[list[str], Values] | None:
    def column(name: str) -> Values:
        table = read_bounded(path, str(path), columns=[name])
        return to_numpy(str(path), name, table.column(name).combine_chunks(), path.stat().st_size)

    return read_index(read_schema(path, str(path)), rows, column)


def _together(schema: Any) -> dict[str, list[str]]:
    """The columns of one dimension each; the index is none."""
    index = index_names(schema)
    return families(field.name for field in schema if is_number(field.type) and field.name not in index)


def _write(file: Path, path: Path, columns: Columns) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    vectors = columns["vectors"]
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    others = {key: pa.array(values.tolist()) for key, values in columns.items() if key != "vectors"}
    pq.write_table(pa.table({**others, "vectors": lists}), file)


PARQUET = Format(_columns, _read, _write, index=_index)
