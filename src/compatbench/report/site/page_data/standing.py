"""The view over all scenarios: places, mean ranks, contests, and missing cells with reasons."""

from __future__ import annotations

from compatbench.report.render.table import Unit
from compatbench.report.rows.standing import Standing, Standings
from compatbench.report.site.page_data.numbers import Json, interval, rounded, shown


def standings_json(standings: Standings) -> Json:
    """Scenarios as `[suite, scenario]`, and one entry a row with one cell a scenario."""
    return {
        "scenarios": [[suite, scenario] for suite, scenario in standings.scenarios],
        "contests": {str(league): number for league, number in standings.contests.items()},
        "missing": standings.missing,
        "rows": [_row(row) for row in standings.rows],
    }


def _row(row: Standing) -> Json:
    return {
        "label": row.label,
        "role": row.role,
        "league": row.league,
        "needs": list(row.needs),
        "place": row.place,
        "tied": row.tied_with_first,
        "rank": interval(row.mean_rank, 2),
        "share": interval(row.mean_share, 2),
        "relative": interval(row.relative_rank, 2),
        "competed": row.competed,
        "measured": row.measured,
        "compatible": [row.compatible, row.undecided],
        "missing": row.missing,
        "cells": [
            [
                entry.state,
                None if entry.rank is None else rounded(entry.rank, 1),
                entry.competitors,
                entry.why,
                entry.judgement or "",
                list(entry.missing_seeds),
                None if entry.gain.value is None else shown(100 * entry.gain.value, Unit.POINTS),
            ]
            for entry in row.entries
        ],
    }
