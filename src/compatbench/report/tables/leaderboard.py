"""The table of one scenario: quality, compatibility, verdicts, ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from compatbench.report.render.table import NOT_SIGNIFICANT, Cell, Column, Group, Row, Table, Unit
from compatbench.report.rows.estimates import Estimate, Tested, best_rows
from compatbench.report.rows.row import RANKED_SEEDS, MethodRow, outcome
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.rows.scenario_rows import ScenarioRows
from compatbench.report.rows.scores import METRICS
from compatbench.report.rows.verdicts import ordering, verdict
from compatbench.vocabulary import Entry, MetricName, Role

METHOD = Column("method", "method", "The method, with the parameters that differ from its defaults.", Unit.TEXT)
TIME = Column(
    "time",
    "time",
    "Training time per image, as a multiple of that of independent; and that of independent too, where the "
    "method needs that model. Same scenario and seed, median over seeds.",
    Unit.TIMES,
)
NEEDS = Column("needs", "needs", "What the method asks for beyond the new training data.", Unit.TEXT)
COMPACT = ("method", "oo", "no", "nn", "reference", "gamma", "tax", "verdict", "time", "needs")
"""The columns for narrow places: the terminal, and papers."""

STATUS_QUO = "status quo"
"""The row of the old model as it is."""

_L2_DIFFERS = 0.0005
"""Fraction from which two readings differ in the table's one decimal."""


def _entry(key: str, word: Tested) -> Column:
    return Column(key, word.heading, f"{word.sentence} mAP in points.", interval=True)


_COLUMNS = (
    Column(
        "rank", "rank", f"Place by Γ, then by tax. Rows with fewer than {RANKED_SEEDS} seeds have none.", Unit.COUNT
    ),
    METHOD,
    _entry("oo", Entry.OLD),
    _entry("no", Entry.CROSS),
    _entry("nn", Entry.NEW),
    _entry("reference", Entry.REFERENCE),
    _entry("gain", MetricName.CROSS_GAIN),
    Column("gamma", MetricName.UPDATE_GAIN.heading, MetricName.UPDATE_GAIN.sentence, Unit.SHARE, interval=True),
    _entry("tax", MetricName.TAX),
    Column(
        "verdict",
        "verdict",
        "Compatible means M(n,o) > M(o,o) on mAP; n.s. means that the interval of the cross gain holds 0. "
        "References and controls with an expectation: whether it was met. Else how the cells ended.",
        Unit.TEXT,
    ),
    Column(
        "ordering",
        MetricName.ORDERING.heading,
        f"{MetricName.ORDERING.sentence} n.s.: as in the verdict.",
        Unit.TEXT,
    ),
    Column("seeds", "seeds", "Seeds that ended well, of those run in this scenario.", Unit.TEXT),
    Column("seen", "M(n,o) seen", "Cross-test over queries of classes that the old generation was trained on."),
    Column("unseen", "M(n,o) unseen", "Cross-test over queries of classes that the old generation never saw."),
    Column(
        "chance",
        "M(n,o) chance",
        "Cross-test between unrelated spaces, for rows that must be at chance: mean and range over random rotations "
        "of the row's own queries, mAP in points.",
        interval=True,
    ),
    Column("cmc1", "CMC@1 n,o", f"Cross-test by CMC@1. {MetricName.CMC1.sentence}", interval=True),
    Column(
        "cmc1_gain", "CMC@1 gain", "Cross gain by CMC@1, in points: one metric can turn the verdict.", interval=True
    ),
    Column("l2", "M(n,o) L2", "Cross-test by L2 distance in place of cosine. mAP in points."),
    TIME,
    NEEDS,
)
_OPTIONAL = ("seen", "unseen", "chance", "l2")
"""Columns that are left out where no row has a number for them."""

_TESTED: dict[str, Tested] = {
    "no": Entry.CROSS,
    "nn": Entry.NEW,
    "gamma": MetricName.UPDATE_GAIN,
    "tax": MetricName.TAX,
}
"""Columns in which the best are bold, and what is compared there."""

OWN_OLD, PARTIAL = "†", "‡"
_FOOTNOTES = {
    OWN_OLD: "trains its own first generation: M(o,o), the gains and Γ are against its own old model.",
    NOT_SIGNIFICANT: "not significantly below the best of its column (bold).",
}


def leaderboard(found: ScenarioRows) -> Table:
    """The table of all rows, in their order: methods, references, controls."""
    scenario, rows = found.runs, found.rows
    show_l2 = any(_l2_differs(row) for row in rows)
    best = _best(rows)
    ranks = {row.label: place for place, row in enumerate((row for row in rows if row.ranked), start=1)}
    groups: dict[Role, list[Row]] = {role: [] for role in Role}
    groups[Role.REFERENCE] = _status_quo(found)
    partial: dict[str, list[str]] = {}
    for row in rows:
        cells = _cells(row, scenario, show_l2) | {
            "verdict": Cell(verdict(row) or outcome(row.runs.records, name_seeds=False))
        }
        cells["rank"] = Cell(ranks.get(row.label))
        for key, tied in best.items():
            if row.label in tied:
                cells[key] = replace(cells[key], bold=True, marks=() if row.label == tied[0] else (NOT_SIGNIFICANT,))
        if row.scores is not None and len(row.runs.finished) < len(scenario.seeds):
            cells["method"] = replace(cells["method"], marks=(*cells["method"].marks, PARTIAL))
            partial.setdefault(_why_partial(row, scenario), []).append(row.label)
        groups[row.role].append(Row(cells, tags=tuple(row.runs.method.needs)))
    reasons = "; ".join(f"{', '.join(labels)}: {reason}" for reason, labels in partial.items())
    footnotes = _FOOTNOTES | {PARTIAL: f"fewer seeds than the scenario has. {reasons}."}
    shown = {mark for group in groups.values() for row in group for cell in row.cells.values() for mark in cell.marks}
    filled = {
        key for group in groups.values() for row in group for key, cell in row.cells.items() if cell.value is not None
    }
    return Table(
        name=scenario.scenario,
        title=f"{scenario.title}: compatibility",
        caption=_caption(scenario, rows, show_l2),
        columns=tuple(column for column in _COLUMNS if column.key not in _OPTIONAL or column.key in filled),
        groups=tuple(Group(role.heading, tuple(groups[role])) for role in Role if groups[role]),
        footnotes={mark: text for mark, text in footnotes.items() if mark in shown},
    )


def _caption(scenario: ScenarioRuns, rows: Sequence[MethodRow], l2_differs: bool) -> str:
    seeds = len(scenario.seeds)
    parts = [
        "M(q,g): mAP in points by cosine similarity, queries embedded by q and gallery by g; o old, n new, "
        "* new trained independently.",
        "95% intervals: hierarchical bootstrap over seeds, then queries"
        + (" (one seed: over queries only)." if seeds == 1 else f" ({seeds} seeds)."),
        "References and controls are never ranked.",
        "Bold: the best ranked row of a column and all that are not significantly below it (paired permutation "
        "test, Holm-corrected, and paired bootstrap interval).",
        "Time: training images/s of the row independent ÷ own, and 1 more where the method needs that model; same "
        "suite, scenario and seed, median over seeds.",
    ]
    if not l2_differs and any(row.cross_l2 is not None for row in rows):
        parts.append("L2 distance gives the same M(n,o) to one decimal.")
    return " ".join(parts)


def _status_quo(scenario: ScenarioRows) -> list[Row]:
    """The old model left as it is."""
    row = scenario.status_quo
    if row is None:
        return []
    numbers = row.numbers[METRICS[0]]
    return [
        Row(
            {
                "method": Cell(STATUS_QUO),
                "seeds": _seeds(row, scenario.runs),
                "oo": _points(numbers.old),
                "reference": _points(numbers.reference),
                "verdict": Cell("old model, no upgrade"),
            }
        )
    ]


def _cells(row: MethodRow, scenario: ScenarioRuns, show_l2: bool) -> dict[str, Cell]:
    cells = {
        "method": method_cell(row),
        "seeds": _seeds(row, scenario),
        "needs": Cell(", ".join(row.runs.method.needs) or "nothing"),
    }
    numbers = row.compatibility
    if numbers is None:
        return cells
    first_hit = row.numbers["CMC@1"]
    return cells | {
        "oo": _points(numbers.old, marks=(OWN_OLD,) if row.own_first_generation else ()),
        "no": _points(numbers.cross),
        "nn": _points(numbers.new),
        "reference": _points(numbers.reference),
        "gain": _points(numbers.cross_gain),
        "gamma": Cell(numbers.update_gain.value, numbers.update_gain.low, numbers.update_gain.high),
        "tax": _points(numbers.tax),
        "ordering": Cell(ordering(numbers)),
        "seen": _points(Estimate(row.cross_seen)),
        "unseen": _points(Estimate(row.cross_unseen)),
        "cmc1": _points(first_hit.cross),
        "cmc1_gain": _points(first_hit.cross_gain),
        "chance": _points(Estimate(*row.chance)) if row.chance else Cell(),
        "l2": _points(Estimate(row.cross_l2)) if show_l2 else Cell(),
        "time": Cell(row.relative_time),
    }


def method_cell(row: MethodRow) -> Cell:
    """The name of a row, marked where its old model is its own."""
    return Cell(row.label, marks=(OWN_OLD,) if row.own_first_generation else ())


def _seeds(row: MethodRow, scenario: ScenarioRuns) -> Cell:
    return Cell(f"{len(row.runs.finished)}/{len(scenario.seeds)}")


def _why_partial(row: MethodRow, scenario: ScenarioRuns) -> str:
    run = {record.spec.seed for record in row.runs.records}
    missing = [str(seed) for seed in scenario.seeds if seed not in run]
    parts = [outcome(row.runs.unfinished, name_seeds=True)] if row.runs.unfinished else []
    return "; ".join([*parts, f"seed {', '.join(missing)} not run"] if missing else parts)


def _best(rows: Sequence[MethodRow]) -> Mapping[str, list[str]]:
    ranked = {row.label: row.scores for row in rows if row.ranked and row.scores is not None}
    if len(ranked) < 2:
        return {}
    best = best_rows(ranked, _TESTED.values())
    return {key: best[number] for key, number in _TESTED.items()}


def _l2_differs(row: MethodRow) -> bool:
    cosine = row.compatibility.cross.value if row.compatibility else None
    return cosine is not None and row.cross_l2 is not None and abs(cosine - row.cross_l2) >= _L2_DIFFERS


def _points(estimate: Estimate, marks: tuple[str, ...] = ()) -> Cell:
    points = estimate.in_points()
    return Cell(points.value, points.low, points.high, marks=marks)
