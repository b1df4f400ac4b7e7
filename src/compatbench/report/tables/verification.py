"""The table of verification: what the old system's threshold accepts when new queries meet old vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from compatbench.evaluation.acceptance import FARS, Acceptance, Rate, acceptance_rates
from compatbench.records.record import Record, VerifiedPairs
from compatbench.report.render.table import Cell, Column, Group, Row, Table, Unit
from compatbench.report.rows.row import ROLE_TITLES, MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.rows.scores import ScoreReader
from compatbench.report.tables.leaderboard import METHOD, OWN_OLD

PREFERRED = (1e-3, *FARS)
"""The false accept rate of the table: the first of these that all records hold."""

Place = tuple[str, str, bool]
"""Generations of query (o, n or *) and gallery, and whether the threshold is the old system's."""

_OLD, _CROSS, _CROSS_MOVED = ("o", "o", False), ("n", "o", False), ("n", "o", True)
_NEW, _NEW_MOVED, _REFERENCE = ("n", "n", False), ("n", "n", True), ("*", "*", False)


def verification_table(scenario: ScenarioRuns, rows: Sequence[MethodRow], reader: ScoreReader) -> Table | None:
    """All rows of which every finished record holds verified pairs at one common rate; None where there are none."""
    rate = _common_rate(rows)
    if rate is None:
        return None
    shown = [row for row in rows if row.runs.finished and all(_entries(one, rate) for one in row.runs.finished)]
    found = _rates(shown, rate, reader)
    queries = sorted({entry.queries for row in shown for one in row.runs.finished for entry in one.verification})
    return Table(
        name=f"{scenario.scenario}-verification",
        title=f"{scenario.title}: thresholds",
        caption="Systems that cut by score: a pair of a query and a gallery item is accepted above a threshold on its "
        "cosine. TAR: genuine pairs accepted, FAR: impostor pairs accepted, both in %. Thresholds are set for a FAR "
        f"of {100 * rate:g}%: each system's own, or that of old queries on old vectors (old t). Over "
        f"{' or '.join(f'{number:,}' for number in queries)} queries and the whole gallery. 95% intervals: "
        "hierarchical bootstrap over seeds, then queries, the threshold held fixed.",
        columns=_columns(rate),
        groups=tuple(
            Group(title, tuple(_row(row, found[row.label]) for row in shown if row.role == role))
            for role, title in ROLE_TITLES.items()
            if any(row.role == role for row in shown)
        ),
        footnotes={OWN_OLD: "against its own old model."} if any(row.own_first_generation for row in shown) else {},
    )


def _columns(rate: float) -> tuple[Column, ...]:
    shown = f"{100 * rate:g}%"
    return (
        METHOD,
        Column("tar_oo", "TAR o,o", f"Old queries on old vectors, at the threshold for {shown}.", interval=True),
        Column(
            "tar_no_moved",
            "TAR n,o old t",
            "New queries on old vectors, at the old system's threshold: what a system accepts that keeps it.",
            interval=True,
        ),
        Column(
            "far_no_moved",
            "FAR n,o old t",
            f"Impostor pairs that it then accepts; the threshold was set for {shown}.",
            Unit.AMOUNT,
            interval=True,
        ),
        Column("tar_no", "TAR n,o", f"New queries on old vectors, at a threshold set anew for {shown}.", interval=True),
        Column(
            "far_nn_moved",
            "FAR n,n old t",
            "After the full backfill: impostor pairs accepted at the old threshold.",
            Unit.AMOUNT,
            interval=True,
        ),
        Column("tar_nn", "TAR n,n", "After the full backfill, at a threshold set anew.", interval=True),
        Column("tar_reference", "TAR *,*", "The independent new model, at a threshold of its own.", interval=True),
    )


def _common_rate(rows: Sequence[MethodRow]) -> float | None:
    held = [{entry.rate for entry in one.verification} for row in rows for one in row.runs.finished if one.verification]
    common = set.intersection(*held) if held else set()
    return next((rate for rate in PREFERRED if rate in common), None)


def _entries(record: Record, rate: float) -> dict[Place, VerifiedPairs]:
    newest = len(record.spec.generations) - 1
    names = {str(newest): "n", str(newest - 1): "o", f"*{newest}": "*"}
    return {
        (names[entry.query_generation], names[entry.gallery_generation], entry.transferred): entry
        for entry in record.verification
        if entry.rate == rate
    }


def _rates(rows: Sequence[MethodRow], rate: float, reader: ScoreReader) -> dict[str, dict[Place, tuple[Rate, Rate]]]:
    """TAR and FAR by label and place; rows with equally many seeds share the bootstrap's draws."""
    alike: dict[int, dict[tuple[str, Place], list[Acceptance]]] = defaultdict(dict)
    for row in rows:
        for record in row.runs.finished:
            for place, entry in _entries(record, rate).items():
                accepted = Acceptance.read(reader.folder, entry.sha256)
                alike[len(row.runs.finished)].setdefault((row.label, place), []).append(accepted)
    found: dict[str, dict[Place, tuple[Rate, Rate]]] = defaultdict(dict)
    for systems in alike.values():
        for (label, place), both in acceptance_rates(systems).items():
            found[label][place] = both
    return found


def _row(row: MethodRow, found: dict[Place, tuple[Rate, Rate]]) -> Row:
    marks = (OWN_OLD,) if row.own_first_generation else ()
    places = {
        "tar_oo": (_OLD, 0),
        "tar_no_moved": (_CROSS_MOVED, 0),
        "far_no_moved": (_CROSS_MOVED, 1),
        "tar_no": (_CROSS, 0),
        "far_nn_moved": (_NEW_MOVED, 1),
        "tar_nn": (_NEW, 0),
        "tar_reference": (_REFERENCE, 0),
    }
    cells = {key: _percent(found[place][which]) for key, (place, which) in places.items() if place in found}
    return Row(cells | {"method": Cell(row.label, marks=marks)}, tags=tuple(row.runs.method.needs))


def _percent(rate: Rate) -> Cell:
    value, low, high = (None if one is None else 100 * one for one in (rate.value, rate.low, rate.high))
    return Cell(value, low, high)
