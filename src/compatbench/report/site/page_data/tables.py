"""Tables as JSON: every column once for all tables of the page, every cell as short as its content."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.report.render.table import Column, Row, Table, TableCell, Unit
from compatbench.report.site.page_data.numbers import Json, shown
from compatbench.report.site.page_data.terms import Terms
from compatbench.report.tables.published import MARK

HIDDEN = frozenset(
    {"mean_rank", "ordering", "seeds", "seen", "unseen", "chance", "cmc1", "cmc1_gain", "l2", "reference", "phi"}
    | {"P_up", "P_comp", "P_1", "retention", "old_retention", "oracle_mean", "shared_gain"}
)
"""Keys of columns that are shown on demand only, so that the others fit a screen."""


class PageColumns:
    """The columns of all tables, each under a number; their descriptions become terms."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._numbers: dict[Column, int] = {}

    def number(self, column: Column) -> int:
        """Position of `column` in `as_json`."""
        return self._numbers.setdefault(column, len(self._numbers))

    def as_json(self) -> list[Json]:
        """`[key, title, unit, anchor of its definition]` of each."""
        return [
            [column.key, column.title, column.unit.value, self._terms.define(column.title, column.description)]
            for column in self._numbers
        ]


def table_json(table: Table, columns: PageColumns, labels: Sequence[str]) -> Json:
    """`table` with its rows as `[row of the scenario or null, cells]`; `labels` are those of the scenario's rows."""
    numbers: dict[str, Json] = {label: number for number, label in enumerate(labels)}
    groups: list[Json] = [
        [
            group.title,
            [[_row_number(row, table, numbers), [_cell(row, one) for one in table.columns]] for row in group.rows],
        ]
        for group in table.groups
    ]
    return {
        "title": table.title,
        "caption": table.caption,
        "columns": [columns.number(column) for column in table.columns],
        "hidden": [column.key for column in table.columns if column.key in HIDDEN],
        "groups": groups,
        "footnotes": [[mark, text] for mark, text in table.footnotes.items()],
    }


def _row_number(row: Row, table: Table, numbers: dict[str, Json]) -> Json:
    """A row of the scenario that the line tells of; null for the status quo and for what others published."""
    label = row.cell(table.label)
    return numbers.get(label.value) if isinstance(label.value, str) and MARK not in label.marks else None


def _cell(row: Row, column: Column) -> Json:
    """A number, a text or null; `[value, low, high]` with an interval; with emphasis or marks, an object."""
    cell = row.cell(column)
    value = _value(cell, column.unit)
    if cell.bold or cell.marks:
        return {"v": value, "b": int(cell.bold), "m": list(cell.marks)}
    return value


def _value(cell: TableCell, unit: Unit) -> Json:
    if cell.value is None or isinstance(cell.value, str):
        return cell.value
    if cell.low is None or cell.high is None:
        return shown(cell.value, unit)
    return [shown(cell.value, unit), shown(cell.low, unit), shown(cell.high, unit)]
