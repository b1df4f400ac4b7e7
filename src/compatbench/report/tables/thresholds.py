"""The table of thresholds: what the old system's threshold accepts when new queries meet old vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compatbench.evaluation.estimate import Estimate
from compatbench.report.render.table import Column, Row, Table, Unit
from compatbench.report.rows.acceptance import (
    CROSS,
    CROSS_MOVED,
    NEW,
    NEW_MOVED,
    OLD,
    REFERENCE,
    Place,
    accepted,
)
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.rows.scores import ScoreReader
from compatbench.report.tables.cells import points
from compatbench.report.tables.method_rows import METHOD, by_role, method_row, own_old_footnote


def thresholds_table(scenario: ScenarioRuns, rows: Sequence[MethodRow], reader: ScoreReader) -> Table | None:
    """All rows of which every finished record holds verified pairs at one common rate; None where there are none."""
    found = accepted(rows, reader)
    if found is None:
        return None
    shown = [row for row in rows if row.label in found.rows]
    return Table(
        name=f"{scenario.scenario}-thresholds",
        title=f"{scenario.title}: thresholds",
        caption="Systems that cut by score: a pair of a query and a gallery item is accepted above a threshold on its "
        "cosine. TAR: genuine pairs accepted, FAR: impostor pairs accepted, both in %. Thresholds are set for a FAR "
        f"of {100 * found.rate:g}%: each system's own, or that of old queries on old vectors (old t). Over "
        f"{' or '.join(f'{number:,}' for number in found.queries)} queries and the whole gallery. 95% intervals: "
        "hierarchical bootstrap over seeds, then queries, the threshold held fixed.",
        columns=_columns(found.rate),
        groups=by_role((row, _row(row, found.rows[row.label])) for row in shown),
        footnotes=own_old_footnote(shown, "against its own old model."),
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


def _row(row: MethodRow, found: Mapping[Place, tuple[Estimate, Estimate]]) -> Row:
    places = {
        "tar_oo": (OLD, 0),
        "tar_no_moved": (CROSS_MOVED, 0),
        "far_no_moved": (CROSS_MOVED, 1),
        "tar_no": (CROSS, 0),
        "far_nn_moved": (NEW_MOVED, 1),
        "tar_nn": (NEW, 0),
        "tar_reference": (REFERENCE, 0),
    }
    cells = {key: points(found[place][which]) for key, (place, which) in places.items() if place in found}
    return method_row(row, cells)
