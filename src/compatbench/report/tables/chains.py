"""The tables of a chain of more than two generations: its numbers, its matrix, and the cost of every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compatbench.evaluation.significance import INTERVALS
from compatbench.report.render.table import Column, Row, Table, TableCell, Unit
from compatbench.report.rows.chains import ChainRow, step_seconds, upgrade_seconds
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.tables.cells import plain, points
from compatbench.report.tables.method_rows import METHOD, OWN_OLD, grouped, method_row, scenario_table
from compatbench.vocabulary import MetricName

BELOW = "↓"
_OWN_OLD = {OWN_OLD: "trains its own first generation."}
_SHARES = (MetricName.AC, MetricName.AC_STRICT, MetricName.AC_SIGNIFICANT)
_POINTS = (MetricName.AM, MetricName.BC, MetricName.FC)
_NUMBERS = (
    *(
        Column(name, name.heading, name.sentence, Unit.SHARE, interval=name is not MetricName.AC_SIGNIFICANT)
        for name in _SHARES
    ),
    *(Column(name, name.heading, f"{name.sentence} mAP in points.", interval=True) for name in _POINTS),
)


def chain_table(scenario: ScenarioRuns, chains: Sequence[ChainRow]) -> Table | None:
    """AC by three tie rules, AM, BC and FC of every row; None without chains."""
    if not chains:
        return None
    cells = [
        {name: (points if name in _POINTS else plain)(one) for name, one in chain.numbers.items()} for chain in chains
    ]
    return scenario_table(
        scenario,
        "chain",
        "the chain",
        f"Over all {len(chains[0].matrix)} generations, on mAP; M(i,j): queries of generation i, gallery of "
        "generation j. 95% intervals: bootstrap over seeds and queries. Nothing is ranked here.",
        (METHOD, *_NUMBERS),
        grouped((chain.row.section, method_row(chain.row, of)) for chain, of in zip(chains, cells, strict=True)),
        _OWN_OLD,
    )


def matrix_table(scenario: ScenarioRuns, chains: Sequence[ChainRow]) -> Table | None:
    """The compatibility matrix of every row, one line a generation of queries; None without chains."""
    if not chains:
        return None
    galleries = [
        Column(
            f"gallery {number}",
            f"gallery {number}",
            f"M(i,{number}): queries of generation i, gallery of generation {number}, mAP in points.",
            interval=True,
        )
        for number, _ in enumerate(chains[0].matrix, start=1)
    ]
    table = scenario_table(
        scenario,
        "matrix",
        "compatibility matrices",
        "M(i,j): mAP in points of queries embedded by generation i on a gallery embedded by generation j. On the "
        "diagonal a gallery that was re-embedded, left of it one that was not. "
        f"{INTERVALS}.",
        (METHOD, Column("queries", "queries", "The generation i that embeds the queries.", Unit.COUNT), *galleries),
        grouped((chain.row.section, line) for chain in chains for line in _matrix_rows(chain)),
        _OWN_OLD,
    )
    below = "less than the gallery's own generation scores on it, M(j,j), by more than the paired interval."
    return replace(table, footnotes={**table.footnotes, BELOW: below})


def step_cost_table(scenario: ScenarioRuns, chains: Sequence[ChainRow]) -> Table | None:
    """Training seconds of every generation, with the fitting time of an adapter; None without chains."""
    if not chains:
        return None
    steps = [
        Column(
            f"step {number}",
            f"step {number}, s",
            f"Seconds of training generation {number}, with those of fitting an adapter and of training the "
            "independent model where the method needs it, median over seeds. Step 1 is shared by all rows that do not "
            "train their own first generation.",
            Unit.AMOUNT,
        )
        for number, _ in enumerate(chains[0].matrix, start=1)
    ]
    upgrades = Column("upgrades", "upgrades, s", "Seconds of all steps after the first, together.", Unit.AMOUNT)
    seconds = {chain.row.label: step_seconds(chain.row.runs, scenario.independent, len(steps)) for chain in chains}

    def line(row: MethodRow) -> Row:
        cells = {column.key: TableCell(value) for column, value in zip(steps, seconds[row.label], strict=True)}
        cells["upgrades"] = TableCell(upgrade_seconds(seconds[row.label]))
        return method_row(row, cells)

    return scenario_table(
        scenario,
        "steps",
        "the cost of every step",
        "Measured in one run on one machine; compare times only within this table.",
        (METHOD, *steps, upgrades),
        grouped((chain.row.section, line(chain.row)) for chain in chains),
        _OWN_OLD,
    )


def _matrix_rows(chain: ChainRow) -> list[Row]:
    rows = []
    for query in range(len(chain.matrix)):
        cells = {"queries": TableCell(query + 1)}
        for gallery in range(query + 1):
            marks = (BELOW,) if chain.below[query, gallery] else ()
            cells[f"gallery {gallery + 1}"] = points(chain.entries[query, gallery], marks)
        rows.append(method_row(chain.row, cells))
    return rows
