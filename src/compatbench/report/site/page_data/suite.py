"""One suite: what a reader asks first, its overview, and what ranks its rows."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.report.rows.gaps import gaps
from compatbench.report.rows.overview import OverviewRow
from compatbench.report.site.answers import Answer, Facts, answers, facts
from compatbench.report.site.board import BoardSuite
from compatbench.report.site.page_data.numbers import Json, sortable
from compatbench.report.site.page_data.tables import PageColumns, table_json
from compatbench.report.tables.overview import overview_table
from compatbench.vocabulary import RANKED_BY


def suite_json(suite: BoardSuite, columns: PageColumns) -> Json:
    """The page's first screen on one suite."""
    rows = suite.overview
    labels = [row.label for row in rows]
    warnings: list[Json] = [*suite.warnings]
    checked: list[Json] = [*sorted({label for report in suite.reports for label in report.banner.checked})]
    return {
        "name": suite.name,
        "title": suite.title,
        "facts": _facts(facts(suite.reports)),
        "ranked by": suite.reports[0].rank_by.heading,
        "answers": [_answer(one) for one in answers(rows, suite.reports)],
        "checked": checked,
        "warnings": warnings,
        "overview": table_json(overview_table(suite.reports, rows), columns, labels),
        "rows": [_row(row, labels) for row in rows],
        "gaps": _gaps(suite),
    }


def _facts(one: Facts) -> Json:
    upgrades: list[Json] = [[*one] for one in one.upgrades]
    return {"data": one.data, "scale": one.scale, "origin": one.origin, "upgrades": upgrades}


def _answer(one: Answer) -> Json:
    told: dict[str, Json] = {"label": one.label, "lead": one.lead, "gain": one.gain, "cost": one.cost}
    return {"league": one.league, "tied": [*one.tied], **told}


def _row(row: OverviewRow, labels: Sequence[str]) -> Json:
    """By each number that may rank: the mean, and the places in `labels` of the rows ahead; null where not ranked."""
    known = row.known
    return {
        "label": row.label,
        "role": known.role,
        "league": known.league,
        "needs": list(row.needs),
        "under": known.under,
        "means": {
            number.heading: [*map(sortable, (one.value, one.low, one.high))] if one.value is not None else None
            for number, one in row.means.items()
        },
        "ahead": {
            number.heading: [labels.index(label) for label in row.ahead[number]] if number in row.ranks else None
            for number in RANKED_BY
        },
    }


def _gaps(suite: BoardSuite) -> Json:
    """Why rows have no rank or no numbers, as `[label, scenario, reason]`; cells that were not run with their seeds."""
    found: list[Json] = []
    for gap in gaps(suite):
        unrun = [f"seed {', '.join(map(str, gap.missing_seeds))} not run"] if gap.missing_seeds else []
        found.append([gap.label, gap.scenario, "; ".join([gap.why] * bool(gap.why) + unrun)])
    return found
