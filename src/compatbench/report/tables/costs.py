"""The table of what each method of a scenario costs: training and serving."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.report.render.table import Cell, Column, Row, Table, Unit
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.tables.cells import spread
from compatbench.report.tables.method_rows import METHOD, NEEDS, TIME, by_role, method_row, needs_cell

_MEASURED = (
    Column("train_seconds", "training s", "Training time of the new generation, in seconds.", Unit.AMOUNT, True),
    Column("train_images_per_second", "training img/s", "Training throughput, images a second.", Unit.AMOUNT, True),
    Column("embed_images_per_second", "embedding img/s", "Embedding throughput, images a second.", Unit.AMOUNT, True),
    Column(
        "extra_training_parameters",
        "extra parameters, training",
        "Parameters that the method trains beyond encoder and head.",
        Unit.COUNT,
    ),
    Column(
        "extra_serving_parameters",
        "extra parameters, serving",
        "Parameters beyond the encoder that serving a query needs.",
        Unit.COUNT,
    ),
    Column("bytes_per_vector", "bytes/vector", "Size of one stored vector.", Unit.COUNT),
)
"""Keys are those of `Record.costs`."""


def costs_table(scenario: ScenarioRuns, rows: Sequence[MethodRow]) -> Table:
    """The costs of all rows that have a finished seed."""
    shown = [row for row in rows if row.runs.finished]
    return Table(
        name=f"{scenario.scenario}-costs",
        title=f"{scenario.title}: costs",
        caption="Measured in one run on one machine: median over seeds, in brackets the lowest and the highest. "
        "Compare times only within this table.",
        columns=(METHOD, TIME, *_MEASURED, NEEDS),
        groups=by_role((row, _row(row)) for row in shown),
    )


def _row(row: MethodRow) -> Row:
    cells = {}
    for column in _MEASURED:
        values = [value for one in row.runs.finished if (value := one.costs.get(column.key)) is not None]
        cells[column.key] = spread(values, column)
    cells["method"] = Cell(row.label)
    cells["time"] = Cell(row.relative_time)
    cells["needs"] = needs_cell(row.runs.method.needs)
    return method_row(row, cells)
