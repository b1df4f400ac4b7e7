"""The footers of Parquet files: every column's counts as pyarrow tells them, and broken ones refused."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compatbench.storage.parquet_footer import chunks


def written(**options: Any) -> bytes:
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(300, np.float32)), 3)
    columns = {
        "ids": pa.array(range(100)),
        "é": pa.array([f"w{n % 7}" for n in range(100)]).dictionary_encode(),
        "vectors": lists,
        "ragged": pa.array([[1.5] * (n % 4) for n in range(100)]),
        "nested": pa.array([{"a": n, "b": [n > 3]} for n in range(100)]),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=30, **options)
    return sink.getvalue()


@pytest.mark.parametrize("options", [{}, {"compression": "zstd", "version": "1.0"}, {"write_page_index": True}])
def test_counts_are_those_of_pyarrow(tmp_path: Path, options: dict[str, Any]) -> None:
    content = written(**options)
    metadata = pq.ParquetFile(pa.BufferReader(content)).metadata
    parts = [metadata.row_group(group).column(at) for group in range(4) for at in range(metadata.num_columns)]
    expected = [(part.path_in_schema.partition(".")[0], part.physical_type, part.num_values) for part in parts]
    assert [(one.name, one.kind, one.values) for one in chunks(content)] == expected
    (tmp_path / "a.parquet").write_bytes(content)
    assert list(chunks(tmp_path / "a.parquet")) == list(chunks(content))


def test_broken_footers_are_refused_or_read() -> None:
    content, chance = written(), random.Random(0)
    length = int.from_bytes(content[-8:-4], "little")
    refused = 0
    for _ in range(500):
        changed = bytearray(content)
        changed[len(content) - 8 - chance.randrange(length)] = chance.randrange(256)
        try:
            list(chunks(bytes(changed)))
        except (ValueError, LookupError, TypeError, AttributeError):
            refused += 1
    assert 0 < refused < 500
