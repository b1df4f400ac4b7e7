"""The table of thresholds: pairs of new queries and old vectors accepted at the old system's threshold."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.evaluation.significance import INTERVALS
from compatbench.report.render.table import Column, Row, Table, Unit
from compatbench.report.rows.acceptance import CROSS, CROSS_MOVED, NEW, NEW_MOVED, OLD, REFERENCE, SystemPlace, accepted
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.rows.scores import ScoreReader
from compatbench.report.tables.cells import points
from compatbench.report.tables.method_rows import METHOD, OWN_OLD, grouped, method_row, scenario_table

_TAR, _FAR = 0, 1


def thresholds_table(scenario: ScenarioRuns, rows: Sequence[MethodRow], reader: ScoreReader) -> Table | None:
    """All rows with verified pairs at one common rate in every finished record; None if there are none."""
    found = accepted(rows, reader)
    if found is None:
        return None
    rates = _rates(f"{100 * found.rate:g}%")
    columns = [
        Column(key, title, text, Unit.AMOUNT if which == _FAR else Unit.POINTS, interval=True)
        for key, (_, which, title, text) in rates.items()
    ]

    def line(row: MethodRow) -> Row:
        places = {key: ((row.label, place), which) for key, (place, which, *_) in rates.items()}
        known = {key: found.rates[at][which] for key, (at, which) in places.items() if at in found.rates}
        return method_row(row, {key: points(rate) for key, rate in known.items()})

    shown = {label for label, _ in found.rates}
    return scenario_table(
        scenario,
        "thresholds",
        "thresholds",
        "Systems that cut by score: a pair of a query and a gallery item is accepted above a threshold on its "
        "cosine. TAR: genuine pairs accepted, FAR: impostor pairs accepted, both in %. Thresholds are set for a FAR "
        f"of {100 * found.rate:g}%: each system's own, or that of old queries on old vectors (old t). Over "
        f"{' or '.join(f'{number:,}' for number in found.queries)} queries and the whole gallery. {INTERVALS}; "
        "the threshold is held fixed.",
        (METHOD, *columns),
        grouped((row.section, line(row)) for row in rows if row.label in shown),
        {OWN_OLD: "against its own old model."},
    )


def _rates(shown: str) -> dict[str, tuple[SystemPlace, int, str, str]]:
    """Place, rate, title and description of every column, by its key."""
    old_threshold = "New queries on old vectors, at the old system's threshold: what a system accepts that keeps it."
    impostors = f"Impostor pairs that it then accepts; the threshold was set for {shown}."
    backfilled = "After the full backfill: impostor pairs accepted at the old threshold."
    return {
        "tar_oo": (OLD, _TAR, "TAR o,o", f"Old queries on old vectors, at the threshold for {shown}."),
        "tar_no_moved": (CROSS_MOVED, _TAR, "TAR n,o old t", old_threshold),
        "far_no_moved": (CROSS_MOVED, _FAR, "FAR n,o old t", impostors),
        "tar_no": (CROSS, _TAR, "TAR n,o", f"New queries on old vectors, at a newly chosen threshold for {shown}."),
        "far_nn_moved": (NEW_MOVED, _FAR, "FAR n,n old t", backfilled),
        "tar_nn": (NEW, _TAR, "TAR n,n", "After the full backfill, at a newly chosen threshold."),
        "tar_reference": (REFERENCE, _TAR, "TAR *,*", "The independent new model, at a threshold of its own."),
    }
