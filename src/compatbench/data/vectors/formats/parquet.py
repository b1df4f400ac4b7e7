"""A Parquet file: lists of numbers, text vectors or numbered columns, with ids and labels among any other columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compatbench.data.vectors.formats.arrow_columns import to_numpy
from compatbench.data.vectors.formats.format import Columns, Format, Names, unreadable
from compatbench.data.vectors.formats.numbered import families, refuse_ids
from compatbench.errors import RequestError
from compatbench.storage.bounded_parquet import is_number, item_type, read_bounded, read_schema, whole_numbers


def _columns(path: Path) -> Names:
    schema = read_schema(path, str(path))
    together = families(field.name for field in schema if is_number(field.type))
    for members in together.values():
        refuse_ids(str(path), members, whole_numbers(schema))
    return {field.name: is_number(item_type(field.type)) for field in schema} | dict.fromkeys(together, True)


def _read(path: Path, names: Sequence[str]) -> Columns:
    schema = read_schema(path, str(path))
    together = families(field.name for field in schema if is_number(field.type))
    wanted = [one for name in names for one in together.get(name, [name])]
    table = read_bounded(path, str(path), columns=wanted)
    size = path.stat().st_size
    try:
        found = {
            key: to_numpy(str(path), key, table.column(key).combine_chunks(), size, vectors=key == names[0])
            for key in wanted
        }
    except RequestError:
        raise
    except Exception as error:  # lists that do not fit their lengths
        raise unreadable(path, error) from error
    return {
        name: np.stack([found[one] for one in together[name]], axis=1) if name in together else found[name]
        for name in names
    }


def _write(file: Path, path: Path, columns: Columns) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    vectors = columns["vectors"]
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    others = {key: pa.array(values.tolist()) for key, values in columns.items() if key != "vectors"}
    pq.write_table(pa.table({**others, "vectors": lists}), file)


PARQUET = Format(_columns, _read, _write)
