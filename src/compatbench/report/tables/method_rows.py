"""What tables with a row a method share: the columns that name it, its cells, and its place under a role's heading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compatbench.report.render.table import Cell, Column, Group, Place, Row, Unit
from compatbench.report.rows.row import MethodRow
from compatbench.vocabulary import Role

METHOD = Column(
    "method",
    "method",
    "The method, with the parameters that differ from its defaults.",
    Unit.TEXT,
    places=tuple(Place),
    lead=2,
)
NEEDS = Column(
    "needs",
    "needs",
    "What the method asks for beyond the new training data.",
    Unit.TEXT,
    places=(Place.COMPACT, Place.README),
)
TIME = Column(
    "time",
    "time",
    "Training time per image, as a multiple of that of independent; and that of independent too, where the "
    "method needs that model. Same scenario and seed, median over seeds.",
    Unit.TIMES,
    places=tuple(Place),
)
OWN_OLD = "†"
"""The mark of rows that train their own first generation."""


def method_cell(row: MethodRow) -> Cell:
    """The name of a row, marked where its old model is its own."""
    return Cell(row.label, marks=own_old(row))


def method_row(row: MethodRow, cells: Mapping[str, Cell]) -> Row:
    """The line of a row, with its name unless `cells` have it; readers filter it by its needs."""
    return Row({"method": method_cell(row), **cells}, tags=tuple(row.runs.method.needs))


def needs_cell(needs: Iterable[str]) -> Cell:
    """What a method needs, in words."""
    return Cell(", ".join(needs) or "nothing")


def own_old(row: MethodRow) -> tuple[str, ...]:
    """The marks of a cell that the row's own old model enters."""
    return (OWN_OLD,) if row.own_first_generation else ()


def own_old_footnote(rows: Iterable[MethodRow], text: str) -> dict[str, str]:
    """The footnote of OWN_OLD where a row has the mark."""
    return {OWN_OLD: text} if any(row.own_first_generation for row in rows) else {}


def by_role(lines: Iterable[tuple[MethodRow, Row]]) -> tuple[Group, ...]:
    """Lines, each with the row that it tells of, under the headings of the roles that have any."""
    found: dict[Role, list[Row]] = {role: [] for role in Role}
    for row, line in lines:
        found[row.role].append(line)
    return tuple(Group(role.heading, tuple(members)) for role, members in found.items() if members)
