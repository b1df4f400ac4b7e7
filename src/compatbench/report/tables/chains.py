"""The tables of a chain of more than two generations: its numbers, its matrix, and what every step cost."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.report.render.table import Cell, Column, Row, Table, Unit
from compatbench.report.rows.chains import ChainRow, step_seconds, upgrade_seconds
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.tables.cells import plain, points
from compatbench.report.tables.method_rows import METHOD, by_role, method_row, own_old_footnote
from compatbench.vocabulary import MetricName

BELOW = "↓"
_OWN_OLD = "trains its own first generation."
_SHARES = (MetricName.AC, MetricName.AC_STRICT, MetricName.AC_SIGNIFICANT)
_POINTS = (MetricName.AM, MetricName.BC, MetricName.FC)
_NUMBERS = (
    *(
        Column(name, name.heading, name.sentence, Unit.SHARE, interval=name is not MetricName.AC_SIGNIFICANT)
        for name in _SHARES
    ),
    *(Column(name, name.heading, f"{name.sentence} mAP in points.", interval=True) for name in _POINTS),
)


def chain_table(scenario: ScenarioRuns, chains: Sequence[ChainRow]) -> Table:
    """AC by three tie rules, AM, BC and FC of every row."""
    return Table(
        name=f"{scenario.scenario}-chain",
        title=f"{scenario.title}: the chain",
        caption=f"Over all {len(chains[0].matrix)} generations, on mAP; M(i,j): queries of generation i, gallery of "
        "generation j. 95% intervals: hierarchical bootstrap over seeds, then queries. Nothing is ranked here.",
        columns=(METHOD, *_NUMBERS),
        groups=by_role((chain.row, method_row(chain.row, _numbers(chain))) for chain in chains),
        footnotes=own_old_footnote((chain.row for chain in chains), _OWN_OLD),
    )


def matrix_table(scenario: ScenarioRuns, chains: Sequence[ChainRow]) -> Table:
    """The compatibility matrix of every row: one line a generation of queries."""
    size = len(chains[0].matrix)
    galleries = tuple(
        Column(
            f"gallery {number}",
            f"gallery {number}",
            f"M(i,{number}): queries of generation i, gallery of generation {number}, mAP in points.",
            interval=True,
        )
        for number in range(1, size + 1)
    )
    queries = Column("queries", "queries", "The generation i that embeds the queries.", Unit.COUNT)
    return Table(
        name=f"{scenario.scenario}-matrix",
        title=f"{scenario.title}: compatibility matrices",
        caption="M(i,j): mAP in points of queries embedded by generation i on a gallery embedded by generation j. On "
        "the diagonal a gallery that was re-embedded, left of it one that was not. 95% intervals: hierarchical "
        "bootstrap over seeds, then queries.",
        columns=(METHOD, queries, *galleries),
        groups=by_role((chain.row, line) for chain in chains for line in _matrix_rows(chain)),
        footnotes=own_old_footnote((chain.row for chain in chains), _OWN_OLD)
        | {BELOW: "less than the gallery's own generation scores on it, M(j,j), by more than the paired interval."},
    )


def step_cost_table(scenario: ScenarioRuns, chains: Sequence[ChainRow]) -> Table:
    """Seconds that every generation took to train, with what an adapter took to fit."""
    size = len(chains[0].matrix)
    steps = tuple(
        Column(
            f"step {number}",
            f"step {number}, s",
            f"Seconds of training generation {number}, with those of fitting an adapter and of training the "
            "independent model where the method needs it, median over seeds. Step 1 is shared by all rows that do not "
            "train their own first generation.",
            Unit.AMOUNT,
        )
        for number in range(1, size + 1)
    )
    upgrades = Column("upgrades", "upgrades, s", "Seconds of all steps after the first, together.", Unit.AMOUNT)
    relative = Column("relative", "upgrades", "The same as a multiple of that of independent.", Unit.TIMES)
    independent = scenario.independent
    seconds = {chain.row.label: step_seconds(chain.row.runs, independent, size) for chain in chains}
    base = upgrade_seconds(seconds.get(independent.label, [])) if independent else None

    def line(chain: ChainRow) -> Row:
        found = seconds[chain.row.label]
        total = upgrade_seconds(found)
        cells = {column.key: Cell(value) for column, value in zip(steps, found, strict=True)}
        cells["upgrades"] = Cell(total)
        cells["relative"] = Cell(total / base if total is not None and base else None)
        return method_row(chain.row, cells)

    return Table(
        name=f"{scenario.scenario}-steps",
        title=f"{scenario.title}: the cost of every step",
        caption="Measured in one run on one machine; compare times only within this table.",
        columns=(METHOD, *steps, upgrades, relative),
        groups=by_role((chain.row, line(chain)) for chain in chains),
        footnotes=own_old_footnote((chain.row for chain in chains), _OWN_OLD),
    )


def _numbers(chain: ChainRow) -> dict[str, Cell]:
    return {name: points(one) if name in _POINTS else plain(one) for name, one in chain.numbers.items()}


def _matrix_rows(chain: ChainRow) -> list[Row]:
    rows = []
    for query in range(len(chain.matrix)):
        cells = {"queries": Cell(query + 1)}
        for gallery in range(query + 1):
            marks = (BELOW,) if chain.below[query, gallery] else ()
            cells[f"gallery {gallery + 1}"] = points(chain.entries[query, gallery], marks)
        rows.append(method_row(chain.row, cells))
    return rows
