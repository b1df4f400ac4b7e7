"""The one table object: typed cells in groups of rows. Four renderers turn it into text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf

NOT_SIGNIFICANT = "n.s."
"""The mark of a bold value that is not the best itself, and not significantly below it."""

UNDEFINED = "–"
"""How a number that does not exist is shown: undefined, or not measured."""


class Place(StrEnum):
    """Narrow places with some columns of a table only."""

    COMPACT = "compact"
    """The terminal, and papers."""
    README = "readme"
    """The README of the leaderboard."""
    FRONT = "front"
    """The README of the project."""


class Unit(StrEnum):
    """The unit of a column; it decides how its numbers are written."""

    TEXT = "text"
    COUNT = "count"
    PLACE = "place"
    """A rank: whole, or with the half that equal rows share."""
    POINTS = "points"
    """Percent points, 0 to 100: one decimal."""
    SHARE = "share"
    """A fraction: two decimals."""
    TIMES = "times"
    """A factor, `×1.25`."""
    AMOUNT = "amount"
    """A physical quantity (seconds, images/s, bytes): three significant digits, digits grouped."""


@dataclass(frozen=True)
class Column:
    """One column: `key` names it for machines, `title` for readers, `description` explains it."""

    key: str
    title: str
    description: str
    unit: Unit = Unit.POINTS
    interval: bool = False
    """Its cells may carry an interval."""
    places: tuple[Place, ...] = ()
    """The narrow places that show it."""
    order: float = inf
    """Its position on the page; columns of equal numbers keep the order of the table."""

    @property
    def align(self) -> str:
        """`left` for text, `right` for numbers."""
        return "left" if self.unit is Unit.TEXT else "right"


@dataclass(frozen=True)
class TableCell:
    """One value with its interval; `marks` are short signs after it (†, n.s.), explained by the footnotes."""

    value: float | int | str | None = None
    low: float | None = None
    high: float | None = None
    bold: bool = False
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """Cells by column key; a column without a cell is shown as undefined."""

    cells: Mapping[str, TableCell]
    tags: tuple[str, ...] = ()
    """What a reader may filter rows by (a method's needs)."""

    def cell(self, column: Column) -> TableCell:
        """The cell in `column`."""
        return self.cells.get(column.key, TableCell())


@dataclass(frozen=True)
class Group:
    """Related rows under a heading of their own."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """The input of every renderer."""

    name: str
    """For file names and anchors: letters, digits, `.`, `_`, `-`."""
    title: str
    caption: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    footnotes: Mapping[str, str] = field(default_factory=dict)
    """What each mark means, in order of appearance."""

    @property
    def label(self) -> Column:
        """The column of the rows' names: the first one of text, else the first one."""
        return next((column for column in self.columns if column.unit is Unit.TEXT), self.columns[0])

    def narrow(self, place: Place) -> Table:
        """The same table with the columns of one place only."""
        return replace(self, columns=tuple(column for column in self.columns if place in column.places))

    def in_page_order(self) -> Table:
        """The same table with its columns in the order of the page."""
        return replace(self, columns=tuple(sorted(self.columns, key=lambda column: column.order)))


def number(value: float, unit: Unit) -> str:
    """`value` as its unit is written, with a true minus sign and no negative zero."""
    match unit:
        case Unit.COUNT:
            text = f"{value:,.0f}"
        case Unit.PLACE:
            text = f"{value:.3g}"
        case Unit.POINTS:
            text = f"{value:.1f}"
        case Unit.SHARE:
            text = f"{value:.2f}"
        case Unit.TIMES:
            text = f"×{value:.2f}"
        case _:
            text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("-")
    return text.replace("-", "−", 1) if text.startswith("-") else text


def interval(cell: TableCell, unit: Unit) -> str:
    """`[low, high]` of a cell, or an empty text if it has none."""
    if cell.low is None or cell.high is None:
        return ""
    return f"[{number(cell.low, unit)}, {number(cell.high, unit)}]"


def value(cell: TableCell, unit: Unit) -> str:
    """The value of a cell as text, without interval, emphasis or marks."""
    if cell.value is None:
        return UNDEFINED
    return cell.value if isinstance(cell.value, str) else number(cell.value, unit)
