"""The tables of a chain of more than two generations: its numbers, its matrix, and what every step cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from compatbench.report.render.table import Cell, Column, Group, Row, Table, Unit
from compatbench.report.rows.chains import ChainRow, step_seconds, upgrade_seconds
from compatbench.report.rows.estimates import Estimate
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.tables.leaderboard import METHOD, OWN_OLD, method_cell
from compatbench.vocabulary import MetricName, Role

BELOW = "↓"
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
        groups=_groups(chains, lambda chain: [Row(_numbers(chain), tags=_tags(chain))]),
        footnotes=_footnotes(chains),
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
        "the diagonal a gallery that was embedded anew, left of it one that was not. 95% intervals: hierarchical "
        "bootstrap over seeds, then queries.",
        columns=(METHOD, queries, *galleries),
        groups=_groups(chains, _matrix_rows),
        footnotes=_footnotes(chains)
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

    def lines(chain: ChainRow) -> list[Row]:
        found = seconds[chain.row.label]
        total = upgrade_seconds(found)
        cells = {column.key: Cell(value) for column, value in zip(steps, found, strict=True)}
        cells |= {"method": _label(chain), "upgrades": Cell(total)}
        cells["relative"] = Cell(total / base if total is not None and base else None)
        return [Row(cells, tags=_tags(chain))]

    return Table(
        name=f"{scenario.scenario}-steps",
        title=f"{scenario.title}: the cost of every step",
        caption="Measured in one run on one machine; compare times only within this table.",
        columns=(METHOD, *steps, upgrades, relative),
        groups=_groups(chains, lines),
        footnotes=_footnotes(chains),
    )


def _numbers(chain: ChainRow) -> dict[str, Cell]:
    cells = {"method": _label(chain)}
    for name, number in chain.numbers.items():
        shown = Estimate(number.value, number.low, number.high)
        shown = shown.in_points() if name in _POINTS else shown
        cells[name] = Cell(shown.value, shown.low, shown.high)
    return cells


def _matrix_rows(chain: ChainRow) -> list[Row]:
    rows = []
    for query in range(len(chain.matrix)):
        cells = {"method": _label(chain), "queries": Cell(query + 1)}
        for gallery in range(query + 1):
            shown = Estimate(float(chain.matrix[query, gallery]), *chain.intervals[query, gallery]).in_points()
            marks = (BELOW,) if chain.below[query, gallery] else ()
            cells[f"gallery {gallery + 1}"] = Cell(shown.value, shown.low, shown.high, marks=marks)
        rows.append(Row(cells, tags=_tags(chain)))
    return rows


def _groups(chains: Sequence[ChainRow], lines: Callable[[ChainRow], list[Row]]) -> tuple[Group, ...]:
    """The rows that `lines` makes of each chain, under the headings of their roles."""
    found = {role: tuple(line for chain in chains if chain.row.role == role for line in lines(chain)) for role in Role}
    return tuple(Group(role.heading, members) for role, members in found.items() if members)


def _label(chain: ChainRow) -> Cell:
    return method_cell(chain.row)


def _tags(chain: ChainRow) -> tuple[str, ...]:
    return tuple(chain.row.runs.method.needs)


def _footnotes(chains: Sequence[ChainRow]) -> dict[str, str]:
    own = any(chain.row.own_first_generation for chain in chains)
    return {OWN_OLD: "trains its own first generation."} if own else {}
