"""What the stores share: pages of columns, and one-line errors without secrets."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from compatbench.data.vectors.formats.arrow_columns import to_numpy
from compatbench.data.vectors.formats.batches import join_batches
from compatbench.data.vectors.formats.format import Columns
from compatbench.data.vectors.stores.address import Address
from compatbench.errors import RequestError, one_line

ROWS = 2000
"""Of a page."""

_SECRETS = "PGPASSWORD", "QDRANT_API_KEY"


def from_pages(address: Address, names: Sequence[str], pages: Iterable[dict[str, Any]]) -> Columns:
    """The columns of all pages, each a list or a pyarrow column by name; the first of `names` are the vectors."""

    def arrays(page: dict[str, Any]) -> Columns:
        found = {}
        for name in names:
            column = page[name] if isinstance(page[name], pa.Array) else pa.array(_alike(page[name]))
            if pa.types.is_null(column.type) and name == names[0]:
                column = column.cast(pa.list_(pa.float32()))
            found[name] = to_numpy(address.name, name, column, sys.maxsize, vectors=name == names[0])
        return found

    return join_batches(Path(address.name), names, map(arrays, pages), size=sys.maxsize)


def _alike(values: list[Any]) -> list[Any]:
    """Identifiers of several kinds, as numbers and UUIDs, all as text."""
    kinds = {type(one) for one in values if one is not None}
    return values if len(kinds) < 2 or list in kinds else [None if one is None else str(one) for one in values]


@contextmanager
def in_one_line(address: Address) -> Iterator[None]:
    """Turn any error of a client into a RequestError, without secrets."""
    try:
        yield
    except RequestError:
        raise
    except Exception as error:  # each client raises classes of its own
        text = one_line(str(error)) or type(error).__name__
        for secret in filter(None, map(os.environ.get, _SECRETS)):
            text = text.replace(secret, "…")
        raise RequestError(f"{address.name} cannot be read: {text[:300]}") from None


def as_rows(vectors: list[Any]) -> list[list[float] | None]:
    """Vectors of a client as lists; None where a row has none."""
    return [None if one is None else np.asarray(one, dtype=np.float32).tolist() for one in vectors]
