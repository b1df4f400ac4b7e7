"""A .csv or .tsv file: text vectors, or one column of numbers a dimension, with a heading or without one."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np

from compatbench.data.vectors.formats.arrow_columns import dimensions, looks_like_a_vector, to_numpy
from compatbench.data.vectors.formats.batches import join_batches, numbers_where_all_are, refuse_empty
from compatbench.data.vectors.formats.format import Columns, Format, Names, Values
from compatbench.data.vectors.formats.numbered import FIRST, families, refuse_unnamed_ids
from compatbench.data.vectors.formats.text import encoding_of, looks_like_a_number, with_remedy
from compatbench.errors import RequestError

BLOCK_BYTES = 2**24
"""A row may be no longer."""
LOOKED_AT = 20
"""Rows that tell the layout: the first ones may lack a vector."""
FEWEST_SHUFFLED = 4
"""Numbers of a first row that are those of dimensions by no chance, though not in their order."""
_DECIMAL_COMMA = re.compile(r"\s*[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?\s*")
"""As spreadsheets write numbers in much of Europe, with semicolons between cells."""


@dataclass(frozen=True)
class _Layout:
    names: list[str]
    delimiter: str
    has_heading: bool
    first: list[str]
    """The first filled cell of each column, of the first rows of data."""
    decimal: str = "."

    @property
    def together(self) -> dict[str, list[str]]:
        numeric = [
            name for name, cell in zip(self.names, self.first, strict=False) if looks_like_a_number(cell) or not cell
        ]
        return families(numeric)


def _columns(path: Path) -> Names:
    layout = _layout(path)
    cells = dict(zip(layout.names, layout.first, strict=False))
    alone = {name: looks_like_a_vector(cells.get(name, "")) for name in layout.names}
    return alone | dict.fromkeys(layout.together, True)


def _read(path: Path, names: Sequence[str]) -> Columns:
    layout = _layout(path)
    columns = join_batches(path, names, _batches(path, layout, names))
    if names[0] == "*":  # nobody said what the columns are
        refuse_unnamed_ids(str(path), columns[names[0]])
    for name in names[1:]:
        refuse_empty(f"{path}: '{name}'", np.char.strip(columns[name].astype(str)) == "")
    return columns | {name: numbers_where_all_are(columns[name]) for name in names[1:]}


def _batches(path: Path, layout: _Layout, names: Sequence[str]) -> Iterator[Mapping[str, Values]]:
    import pyarrow as pa
    from pyarrow import csv as arrow

    members = layout.together.get(names[0])
    types = {name: pa.string() for name in names} | dict.fromkeys(members or (), pa.float32())
    wanted = [*(members or names[:1]), *names[1:]]
    try:
        reader = arrow.open_csv(
            path,
            arrow.ReadOptions(
                block_size=BLOCK_BYTES,
                column_names=layout.names,
                skip_rows=int(layout.has_heading),
                encoding=encoding_of(path).removesuffix("-sig"),
            ),
            arrow.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True),
            arrow.ConvertOptions(
                include_columns=wanted,
                column_types=types,
                strings_can_be_null=False,
                decimal_point=layout.decimal,
            ),
        )
        where, size, rows = str(path), path.stat().st_size, 0
        for batch in reader:
            if batch.num_rows:
                columns = {
                    name: to_numpy(where, name, batch.column(name), size, vectors=name == names[0], first=rows)
                    for name in names[1 if members else 0 :]
                }
                if members:
                    columns[names[0]] = dimensions(batch.column(one) for one in members)
                rows += batch.num_rows
                yield columns
    except RequestError:
        raise
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise RequestError(f"{path} cannot be read: {with_remedy(error)}") from error


def _layout(path: Path) -> _Layout:
    """From the first rows: the separators of cells and of decimals, and whether the first row is a heading."""
    try:
        with path.open(encoding=encoding_of(path), newline="") as stream:
            head = stream.readline(BLOCK_BYTES)
            found = [one for one in _outside_quotes(head) if one in "\t;,"] or [","]
            delimiter = "\t" if path.suffix.lower() == ".tsv" and "\t" in found else found[0]
            stream.seek(0)
            rows = list(islice(csv.reader(stream, delimiter=delimiter), LOOKED_AT))
    except (OSError, UnicodeError, csv.Error) as error:
        raise RequestError(f"{path} cannot be read: {with_remedy(error)}") from error
    if not rows or not rows[0]:
        raise RequestError(f"{path} cannot be read: it has no rows")
    names, decimal = [cell.strip() for cell in rows[0]], "."
    if delimiter != "," and any(_DECIMAL_COMMA.fullmatch(cell) for row in rows for cell in row):
        rows = [[cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in row] for row in rows]
        decimal = ","
    has_heading = _is_heading([cell.strip() for cell in rows[0]], rows[1:])
    first = [next(filter(None, column), "").strip() for column in zip_longest(*rows[has_heading:], fillvalue="")]
    if not has_heading:
        if looks_like_a_vector(first[-1]) and len(first) <= 2:
            names = [FIRST, "vectors"][-len(first) :]
        else:
            ids = [FIRST] if _has_ids(path, list(zip_longest(*rows, fillvalue=""))) else []
            names = [*ids, *map(str, range(len(first) - len(ids)))]
    return _Layout(names, delimiter, has_heading, first, decimal)


def _has_ids(path: Path, columns: Sequence[Sequence[str]]) -> bool:
    """Text, or different whole numbers beside fractional ones, are ids in the first column. Raises RequestError."""
    first, *others = [[cell.strip() for cell in column if cell.strip()] for column in columns]
    if not all(map(looks_like_a_number, first)):
        return True
    fractional = sum(not _are_whole(column) for column in others)
    if not _are_whole(first) or 2 * fractional <= len(others):
        return False
    different = len(set(map(float, first)))
    if 1 < different < len(first):
        raise RequestError(
            f"{path} has no heading, and its first column has whole numbers, some of them several times, beside "
            "fractional ones: give a heading that says what it is, such as id,dim_0,dim_1 or label,dim_0,dim_1"
        )
    return different == len(first)


def _are_whole(cells: Iterable[str]) -> bool:
    return all(looks_like_a_number(cell) and float(cell).is_integer() for cell in cells)


def _is_heading(cells: list[str], rows: Sequence[Sequence[str]]) -> bool:
    """No cell is a number, or the numbers are those of dimensions, in order.

    Of several dimensions they may be in another order, and with gaps if the cells below are fractional.
    """
    numbers = [cell for cell in cells if looks_like_a_number(cell)]
    if any(looks_like_a_vector(cell) for cell in cells):
        return False
    if not numbers or len(set(numbers)) < len(numbers) or not all(map(str.isdigit, numbers)):
        return not numbers
    below = [row[place] for place, cell in enumerate(cells) if cell in numbers for row in rows if place < len(row)]
    fractional = sum(not _are_whole([cell]) for cell in below if cell.strip())
    ordered = families(numbers).get("*", [])
    several = len(numbers) >= FEWEST_SHUFFLED and (bool(ordered) or 2 * fractional > len(below))
    return numbers == ordered or several


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


DELIMITED = Format(_columns, _read)
