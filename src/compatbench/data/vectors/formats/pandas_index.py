"""The index of a pandas data frame, by what pandas writes beside the columns of a table of pyarrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from compatbench.data.vectors.formats.format import Values
from compatbench.storage.bounded_parquet import is_number, is_text, is_uuid

LEVEL = "__index_level_"
"""How pandas calls the columns of an index without a name."""


def index_names(schema: Any) -> list[str]:
    """The columns of the index; none where rows are merely counted, or pandas did not write the table."""
    return [one for one in _described(schema) if isinstance(one, str)]


def read_index(schema: Any, rows: int, column: Callable[[str], Values]) -> tuple[list[str], Values] | None:
    """The columns of the index, and its values (N,), those of several levels as one text. `column` reads one of them.

    None where there is no index, and where it is of dates or of other values that do not name rows.
    """
    described = _described(schema)
    names = index_names(schema)
    if not names:
        return _counted(described, rows)
    if not all(is_number(kind) or is_text(kind) or is_uuid(kind) for kind in (schema.field(one).type for one in names)):
        return None
    levels = [column(one) for one in names]
    if len(levels) == 1:
        return names, levels[0] if levels[0].dtype.kind in "iuU" else levels[0].astype(str)
    return names, np.array([", ".join(map(str, row)) for row in zip(*(one.tolist() for one in levels), strict=True)])


def _described(schema: Any) -> list[Any]:
    try:
        found = (schema.pandas_metadata or {}).get("index_columns", [])
        named = [one for one in found if not isinstance(one, str) or schema.get_field_index(one) >= 0]
    except (ValueError, TypeError, AttributeError):  # anyone can write anything there
        named = []
    return named or [one for one in schema.names if one.startswith(LEVEL)]


def _counted(described: list[Any], rows: int) -> tuple[list[str], Values] | None:
    """The numbers of a range that has a number for each row: whoever filters a table may keep its old description."""
    try:
        found = range(*(described[0][key] for key in ("start", "stop", "step")))
        fits = len(found) == rows and abs(found.start) < 2**62 > abs(found.stop)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return None
    return ([], np.arange(found.start, found.stop, found.step)) if fits else None
