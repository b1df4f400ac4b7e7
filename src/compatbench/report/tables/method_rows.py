"""The shared parts of a scenario's tables: a method's columns, its cells, and its place under a heading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from compatbench.report.render.table import Column, Group, Place, Row, Table, TableCell, Unit
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.vocabulary import League, ParameterSetting, Role

METHOD = Column(
    "method",
    "method",
    "The method, with the parameters that differ from its defaults.",
    Unit.TEXT,
    places=tuple(Place),
    order=2,
)
NEEDS = Column(
    "needs",
    "needs",
    "What the method asks for beyond the new training data.",
    Unit.TEXT,
    places=(Place.README,),
)
TIME = Column(
    "time",
    "time",
    "Training time as a multiple of that of independent; and that of independent too, where the method needs that "
    "model. The caption of the table says how it was measured.",
    Unit.TIMES,
    places=tuple(Place),
)
OWN_OLD = "†"
"""The mark of rows that train their own first generation."""


SETTINGS = {ParameterSetting.BOTH: "=", ParameterSetting.UNTUNED: "~"}
"""Marks of rows whose name does not say where their parameters come from."""


def method_cell(row: MethodRow) -> TableCell:
    """The name of a row, marked if its old model is its own, and if it has published parameters among tuned ones."""
    setting = (SETTINGS[row.setting],) if row.setting in SETTINGS else ()
    return TableCell(row.label, marks=(*own_old(row), *setting))


def method_row(row: MethodRow, cells: Mapping[str, TableCell]) -> Row:
    """The line of a row, with its name unless `cells` have it; readers filter it by its needs."""
    return Row({"method": method_cell(row), **cells}, tags=tuple(row.runs.method.needs))


def timing(scenario: ScenarioRuns) -> str:
    """How the relative training time of its rows was measured, for a caption."""
    timed = scenario.timed
    if not timed.rows:
        return f"Time not measured: compatbench time {scenario.suite}."
    repeats = max(map(len, timed.rows.values()))
    return (
        f"Time: of an optimiser step as a multiple of that of independent, median of {repeats} repeats of "
        f"{timed.steps} steps, all rows in turn ({timed.device}); plus 1 where the method needs the independent model, "
        "which is trained too."
    )


def needs_cell(needs: Iterable[str]) -> TableCell:
    """The needs of a method, in words."""
    return TableCell(", ".join(needs) or "nothing")


def own_old(row: MethodRow) -> tuple[str, ...]:
    """The marks of a cell that depends on the row's own old model."""
    return (OWN_OLD,) if row.own_first_generation else ()


def grouped(lines: Iterable[tuple[Role | League, Row]]) -> tuple[Group, ...]:
    """Lines under the headings of those roles and leagues that have any: references, methods by league, controls."""
    found: dict[Role | League, list[Row]] = {kind: [] for kind in (Role.REFERENCE, *League, Role.CONTROL)}
    for kind, line in lines:
        found[kind].append(line)
    return tuple(Group(kind.heading, tuple(members)) for kind, members in found.items() if members)


def scenario_table(
    scenario: ScenarioRuns,
    kind: str,
    title: str,
    caption: str,
    columns: Sequence[Column],
    groups: tuple[Group, ...],
    footnotes: Mapping[str, str] = {},
) -> Table:
    """A table of one scenario, with the footnotes of the marks in its cells."""
    name = f"{scenario.scenario}-{kind}" if kind else scenario.scenario
    heading = f"{scenario.title}: {title}"
    return Table(name, heading, caption, tuple(columns), groups, used(footnotes, groups))


def used(footnotes: Mapping[str, str], groups: Iterable[Group]) -> dict[str, str]:
    """The footnotes of the marks in some cell."""
    marks = {mark for group in groups for row in group.rows for cell in row.cells.values() for mark in cell.marks}
    return {mark: text for mark, text in footnotes.items() if mark in marks}
