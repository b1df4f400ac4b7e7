"""The table of costs of each method of a scenario: training and serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compatbench.report.render.table import Column, Row, Table, TableCell, Unit
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.tables.cells import median_cell, plain
from compatbench.report.tables.method_rows import (
    METHOD,
    NEEDS,
    TIME,
    grouped,
    method_row,
    needs_cell,
    scenario_table,
    timing,
)

_MEASURED = (
    Column("train_seconds", "training s", "Training time of the new generation, in seconds.", Unit.AMOUNT, True),
    Column("train_images_per_second", "training img/s", "Training throughput, images a second.", Unit.AMOUNT, True),
    Column("embed_images_per_second", "embedding img/s", "Embedding throughput, images a second.", Unit.AMOUNT, True),
    *(
        Column(f"extra_{what}_parameters", f"extra parameters, {what}", f"Parameters {text}.", Unit.COUNT)
        for what, text in (
            ("training", "that the method trains beyond encoder and head"),
            ("serving", "beyond the encoder that serving a query needs"),
        )
    ),
    Column("bytes_per_vector", "bytes/vector", "Size of one stored vector.", Unit.COUNT),
)
"""Keys are those of `Record.costs`."""


def costs_table(scenario: ScenarioRuns, rows: Sequence[MethodRow]) -> Table:
    """The costs of all rows with a finished seed."""
    return scenario_table(
        scenario,
        "costs",
        "costs",
        "Measured in one run on one machine: median over seeds, in brackets the lowest and the highest. Compare times "
        f"only within this table. {timing(scenario)}",
        (METHOD, replace(TIME, interval=True), *_MEASURED, NEEDS),
        grouped((row.section, _row(row)) for row in rows if row.runs.finished),
    )


def _row(row: MethodRow) -> Row:
    costs = [record.costs for record in row.runs.finished]
    cells = {
        column.key: median_cell([value for one in costs if (value := one.get(column.key)) is not None], column)
        for column in _MEASURED
    }
    named = {"method": TableCell(row.label), "time": plain(row.time), "needs": needs_cell(row.runs.method.needs)}
    return method_row(row, cells | named)
