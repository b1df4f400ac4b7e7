"""A table of LanceDB in a folder: `lancedb:///FOLDER?table=NAME`, or `lancedb://FOLDER?table=NAME` beside you."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from compatbench.data.vectors.formats.format import Columns, Format, Names
from compatbench.data.vectors.stores.address import Address
from compatbench.data.vectors.stores.pages import ROWS, from_pages, in_one_line
from compatbench.storage.bounded_parquet import is_number, item_type


def opened(address: Address) -> Format:
    """The table as a format."""

    def columns(_: Path) -> Names:
        with in_one_line(address):
            return {field.name: is_number(item_type(field.type)) for field in _table(address).schema}

    def read(_: Path, names: Sequence[str]) -> Columns:
        with in_one_line(address):
            return from_pages(address, names, _pages(_table(address), names))

    return Format(columns, read)


def _table(address: Address) -> Any:
    import lancedb

    return lancedb.connect(address.url.netloc + address.url.path).open_table(address.table)


def _pages(table: Any, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for batch in table.search().select(list(names)).to_batches(batch_size=ROWS):
        yield {name: batch.column(name) for name in names}
