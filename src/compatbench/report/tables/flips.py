"""The table of flips: broken and mended queries of an upgrade, against the old system."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.evaluation.significance import INTERVALS
from compatbench.report.render.table import Column, Row, Table
from compatbench.report.rows.flips import CROSS, FULL, flip_rates
from compatbench.report.rows.row import MethodRow
from compatbench.report.rows.runs import ScenarioRuns
from compatbench.report.rows.scores import ScoreReader
from compatbench.report.tables.cells import points
from compatbench.report.tables.method_rows import METHOD, OWN_OLD, grouped, method_row, scenario_table

_RATES = {
    f"{CROSS}_NFR@1": "Negative flips of new queries on the old gallery, in % of all queries: the old system's first "
    "hit is relevant, the new one's is not.",
    f"{CROSS}_PFR@1": "Positive flips of new queries on the old gallery, in % of all queries: the new first hit is "
    "relevant, the old system's is not.",
    f"{CROSS}_relative_NFR@1": "Negative flips of new queries on the old gallery, in % of the queries that the old "
    "system answers.",
    f"{CROSS}_relative_NFR@10": "The same for a relevant item among the first ten.",
    f"{FULL}_relative_NFR@1": "Relative NFR@1 after the full backfill: new queries on the new gallery.",
    f"{FULL}_relative_NFR@10": "Relative NFR@10 after the full backfill: new queries on the new gallery.",
}
"""What each rate is, by system and rate."""


def flips_table(scenario: ScenarioRuns, rows: Sequence[MethodRow], reader: ScoreReader) -> Table:
    """Flip rates of all rows with a finished seed."""
    shown = [row for row in rows if row.runs.finished]
    rates = flip_rates(scenario, shown, reader)

    def line(row: MethodRow) -> Row:
        found = [(system, *one) for system in (CROSS, FULL) for one in rates[row.label, system].items()]
        return method_row(row, {f"{system}_{name}": points(rate) for system, name, rate in found})

    return scenario_table(
        scenario,
        "flips",
        "flips",
        "Queries that the upgrade breaks (negative flips) and mends (positive flips), against the old system: old "
        "queries on the old gallery. Lower NFR is better. "
        f"{INTERVALS}.",
        (METHOD, *(Column(key, _title(key), text, interval=True) for key, text in _RATES.items())),
        grouped((row.section, line(row)) for row in shown),
        {OWN_OLD: "against its own old model."},
    )


def _title(key: str) -> str:
    system, _, rate = key.partition("_")
    return rate.replace("_", " ") + (" n,n" if system == FULL else "")
