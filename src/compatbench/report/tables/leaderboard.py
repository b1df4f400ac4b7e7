"""The table of one scenario: quality, compatibility, verdicts, ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from compatbench.evaluation.estimate import Estimate
from compatbench.evaluation.means import mean_estimate
from compatbench.evaluation.significance import FAMILY, INTERVALS
from compatbench.report.render.table import NOT_SIGNIFICANT, Column, Place, Row, Table, TableCell, Unit
from compatbench.report.rows.controls import ScenarioRows, ordering, row_verdict
from compatbench.report.rows.estimates import Tested, best_rows, tuning_gain
from compatbench.report.rows.row import RANKED_SEEDS, MethodRow, how_ended
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.tables.cells import plain, points
from compatbench.report.tables.method_rows import (
    METHOD,
    NEEDS,
    OWN_OLD,
    SETTINGS,
    TIME,
    grouped,
    method_cell,
    method_row,
    needs_cell,
    own_old,
    scenario_table,
    timing,
)
from compatbench.vocabulary import RANKED_BY, Entry, League, MetricName, Role, Verdict

STATUS_QUO = "status quo"
"""The row of the old model as it is."""

PARTIAL = "‡"

_L2_DIFFERS = 0.0005
"""Fraction from which two readings differ in the table's one decimal."""


@dataclass(frozen=True)
class _Line:
    """One row of the table, and what its cells need to know of the others."""

    row: MethodRow
    seeds: int
    """Of the scenario."""
    ranks: Mapping[MetricName, float]
    """By each of RANKED_BY; empty where it has none."""
    rank_by: MetricName
    tuning: Estimate
    """Of a published row: how much more the tuned one has."""
    show_l2: bool
    in_points: bool
    """Shares of the gain are not shown."""


@dataclass(frozen=True)
class _Score:
    """One column, declared in one place: what it is, where it is shown, and the cell of each row."""

    column: Column
    cell: Callable[[_Line], TableCell]
    tested: Tested | None = None
    """What is compared to find the best of the column, which are bold."""
    optional: bool = False
    """It is left out where no row has a number for it."""


_RATIOS = (MetricName.RETENTION, MetricName.OLD_RETENTION)
_P_SCORES = (MetricName.P_UP, MetricName.P_COMP, MetricName.P_1)
_DETAILS = (*_P_SCORES, *_RATIOS, MetricName.ORACLE_MEAN)
"""Of the details of a row, and of the CSV; left out where no row has one."""
_OF_THE_GAIN = (*RANKED_BY, MetricName.P_COMP, MetricName.P_1)


def _number(
    key: str, word: Tested, order: float, places: Sequence[Place] = tuple(Place), *, tested: bool = False
) -> _Score:
    """A number on mAP: what it is, by its word, and its cell."""
    share = word in RANKED_BY or word in _RATIOS

    def cell(line: _Line) -> TableCell:
        if word in _OF_THE_GAIN and line.in_points:
            return TableCell()
        marks = own_old(line.row) if word is Entry.OLD and line.row.scores is not None else ()
        return (plain if share else points)(line.row.number(word), marks)

    text = word.sentence if share or word in _P_SCORES else f"{word.sentence} mAP in points."
    unit = Unit.SHARE if share else Unit.POINTS
    column = Column(key, word.heading, text, unit, interval=True, places=tuple(places), order=order)
    return _Score(column, cell, word if tested else None, optional=share or word in _DETAILS)


_SCORES = (
    _Score(
        Column(
            "rank",
            "rank",
            f"Place within the league. Rows with fewer than {RANKED_SEEDS} seeds have none.",
            Unit.PLACE,
            places=tuple(Place),
            order=1,
        ),
        lambda line: TableCell(line.ranks.get(line.rank_by)),
        optional=True,
    ),
    _Score(METHOD, lambda line: method_cell(line.row)),
    _number("A", MetricName.BACKFILL_SHARE, order=3, tested=True),
    _number("gamma", MetricName.UPDATE_GAIN, order=4, tested=True),
    _number("phi", MetricName.FINAL_SHARE, order=5, tested=True),
    _number("tax", MetricName.TAX, order=6, tested=True),
    _number("gain", MetricName.CROSS_GAIN, 8, (Place.README,)),
    replace(_number("shared_gain", MetricName.SHARED_GAIN, 12, (Place.README,)), optional=True),
    _Score(
        Column(
            "tuning",
            "tuned more",
            "How much more the tuned row above has than this published one: mean M(β) of a backfill, mAP in points.",
            interval=True,
            places=tuple(Place),
            order=12,
        ),
        lambda line: points(line.tuning),
        optional=True,
    ),
    _number("oo", Entry.OLD, order=9),
    _number("no", Entry.CROSS, order=10, tested=True),
    _number("nn", Entry.NEW, order=11, tested=True),
    _number("reference", Entry.REFERENCE, 12, (Place.README,)),
    _Score(
        Column(
            "verdict",
            "verdict",
            f"{' '.join(f'{word}: {word.sentence}' for word in Verdict)} One seed gives none. References and controls "
            "with an expectation: whether it was met. Else how the cells ended.",
            Unit.TEXT,
            places=tuple(Place),
            order=7,
        ),
        lambda line: TableCell(row_verdict(line.row) or how_ended(line.row.runs.records, name_seeds=False)),
    ),
    _Score(
        Column(
            "ordering",
            MetricName.ORDERING.heading,
            f"{MetricName.ORDERING.sentence} Undecided, and one seed: as in the verdict.",
            Unit.TEXT,
            places=(Place.README,),
            order=13,
        ),
        lambda line: TableCell(ordering(line.row)),
    ),
    _Score(
        Column(
            "seeds", "seeds", "Seeds that ended well, of those run in this scenario.", Unit.TEXT, places=(Place.README,)
        ),
        lambda line: _seeds(line.row, line.seeds),
    ),
    _Score(
        Column(
            "seen",
            "M(n,o) seen",
            "Cross-test over queries of classes that the old generation was trained on.",
            order=14,
        ),
        lambda line: points(Estimate(line.row.cross("seen"))),
        optional=True,
    ),
    _Score(
        Column(
            "unseen", "M(n,o) unseen", "Cross-test over queries of classes that the old generation never saw.", order=15
        ),
        lambda line: points(Estimate(line.row.cross("unseen"))),
        optional=True,
    ),
    _Score(
        Column(
            "chance",
            "M(n,o) chance",
            "Cross-test between unrelated spaces, for rows that must be at chance: mean and range over random "
            "rotations of the row's own queries, mAP in points.",
            interval=True,
        ),
        lambda line: points(line.row.chance),
        optional=True,
    ),
    _Score(
        Column("cmc1", "CMC@1 n,o", f"Cross-test by CMC@1. {MetricName.CMC1.sentence}", interval=True),
        lambda line: points(line.row.number(Entry.CROSS, MetricName.CMC1)),
    ),
    _Score(
        Column(
            "cmc1_gain", "CMC@1 gain", "Cross gain by CMC@1, in points: one metric can turn the verdict.", interval=True
        ),
        lambda line: points(line.row.number(MetricName.CROSS_GAIN, MetricName.CMC1)),
    ),
    _Score(
        Column("l2", "M(n,o) L2", "Cross-test by L2 distance in place of cosine. mAP in points."),
        lambda line: points(Estimate(line.row.cross(distance="l2"))) if line.show_l2 else TableCell(),
        optional=True,
    ),
    *(_number(word.value, word, inf, ()) for word in _DETAILS),
    _Score(TIME, lambda line: TableCell(line.row.time.value)),
    _Score(NEEDS, lambda line: needs_cell(line.row.runs.method.needs)),
    *(
        _Score(
            Column(
                f"rank_{key}", f"rank by {word.heading}", f"Place within the league, by {word.heading}.", Unit.PLACE
            ),
            lambda line, word=word: TableCell(line.ranks.get(word)),  # type: ignore[misc]
            optional=True,
        )
        for key, word in zip(("A", "gamma", "phi"), RANKED_BY, strict=True)
    ),
)


def leaderboard(found: ScenarioRows) -> Table:
    """The table of all rows, in their order: references, methods by league, controls."""
    scenario, rows = found.runs, found.rows
    show_l2 = any(_l2_differs(row) for row in rows)
    best = [_best(ranked) for ranked in found.contests.values()]
    ranks = found.ranks
    lines = _status_quo(found)
    partial: dict[str, list[str]] = {}
    scores = {row.label: row.scores for row in rows}
    for row in rows:
        tuned, own = scores.get(row.under), row.scores
        more = tuning_gain(tuned, own) if tuned is not None and own is not None else None
        tuning = Estimate() if more is None else mean_estimate(more)
        facts = _Line(
            row, len(scenario.seeds), ranks.get(row.label, {}), found.rank_by, tuning, show_l2, found.in_points
        )
        cells = {score.column.key: score.cell(facts) for score in _SCORES}
        for key, tied in (one for several in best for one in several.items()):
            if row.label in tied:
                cells[key] = replace(cells[key], bold=True, marks=() if row.label == tied[0] else (NOT_SIGNIFICANT,))
        if row.scores is not None and len(row.runs.finished) < len(scenario.seeds):
            cells["method"] = replace(cells["method"], marks=(*cells["method"].marks, PARTIAL))
            partial.setdefault(_why_partial(row, scenario), []).append(row.label)
        lines.append((row.section, method_row(row, cells)))
    reasons = "; ".join(f"{', '.join(labels)}: {reason}" for reason, labels in partial.items())
    filled = {key for _, line in lines for key, cell in line.cells.items() if cell.value is not None}
    return scenario_table(
        scenario,
        "",
        "compatibility",
        _caption(found, show_l2),
        [_placed(one.column, found) for one in _SCORES if not one.optional or one.column.key in filled],
        grouped(lines),
        {
            OWN_OLD: "trains its own first generation: M(o,o), the gain and shares are against its own old model; gain "
            "on shared is against the status quo.",
            NOT_SIGNIFICANT: "not significantly below the best of its column (bold).",
            **{mark: setting.sentence for setting, mark in SETTINGS.items()},
            PARTIAL: f"fewer seeds than the scenario has. {reasons}.",
        },
    )


def _placed(column: Column, found: ScenarioRows) -> Column:
    """The gain stands in narrow tables too where there are no shares of it."""
    return replace(column, places=tuple(Place)) if found.in_points and column.key == "gain" else column


def _caption(found: ScenarioRows, l2_differs: bool) -> str:
    seeds = len(found.runs.seeds)
    first, second = found.rank_by, RANKED_BY[found.rank_by]
    parts = [
        f"Ranks within a league: by {first.heading}, then {second.heading}." if found.contests else "",
        "M(q,g): mAP in points by cosine similarity, queries embedded by q and gallery by g; o old, n new, "
        "* new trained independently.",
        f"{INTERVALS}" + (" (one seed: over queries only)." if seeds == 1 else f" ({seeds} seeds)."),
        "References and controls are never ranked.",
        f"Bold: the best ranked row of a league and all that are not significantly below it ({FAMILY} over all pairs).",
        timing(found.runs),
    ]
    if not l2_differs and any(row.cross(distance="l2") is not None for row in found.rows):
        parts.append("L2 distance gives the same M(n,o) to one decimal.")
    return " ".join(part for part in parts if part)


def _status_quo(scenario: ScenarioRows) -> list[tuple[Role | League, Row]]:
    """The old model left as it is."""
    row = scenario.status_quo
    if row is None:
        return []
    cells = {
        "method": TableCell(STATUS_QUO),
        "seeds": _seeds(row, len(scenario.runs.seeds)),
        "oo": points(row.number(Entry.OLD)),
        "reference": points(row.number(Entry.REFERENCE)),
        "verdict": TableCell("no upgrade"),
    }
    return [(Role.REFERENCE, Row(cells))]


def _seeds(row: MethodRow, of: int) -> TableCell:
    return TableCell(f"{len(row.runs.finished)}/{of}")


def _why_partial(row: MethodRow, scenario: ScenarioRuns) -> str:
    run = {record.spec.seed for record in row.runs.records}
    missing = [str(seed) for seed in scenario.seeds if seed not in run]
    parts = [how_ended(row.runs.unfinished, name_seeds=True)] if row.runs.unfinished else []
    return "; ".join([*parts, f"seed {', '.join(missing)} not run"] if missing else parts)


def _best(rows: Sequence[MethodRow]) -> Mapping[str, list[str]]:
    """The best of one league's ranked rows, by column."""
    ranked = {row.label: row.scores for row in rows if row.scores is not None}
    if len(ranked) < 2:
        return {}
    tested = {score.column.key: score.tested for score in _SCORES if score.tested is not None}
    best = best_rows(ranked, tested.values())
    return {key: best[number] for key, number in tested.items()}


def _l2_differs(row: MethodRow) -> bool:
    cosine, other = row.number(Entry.CROSS).value, row.cross(distance="l2")
    return cosine is not None and other is not None and abs(cosine - other) >= _L2_DIFFERS
