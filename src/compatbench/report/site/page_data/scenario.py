"""One scenario of one suite: its tables, its rows in full, its curves and matrices."""

from __future__ import annotations

from collections.abc import Sequence

from compatbench.report.site.board import BoardSuite
from compatbench.report.site.page_data.curves import backfill_json, matrices_json
from compatbench.report.site.page_data.numbers import Json
from compatbench.report.site.page_data.pictures import ChosenExamples
from compatbench.report.site.page_data.rows import row_json
from compatbench.report.site.page_data.tables import Columns, table_json
from compatbench.report.site.scenario_report import ScenarioReport
from compatbench.suite.scenarios import GenerationSpec

_BUTTONS = {
    "Compatibility": "scores",
    "Flips": "flips",
    "Costs": "costs",
    "Backfill": "backfill",
    "Chain": "chain",
    "Matrix": "matrix",
    "Cost of every step": "steps",
    "Thresholds": "thresholds",
    "Index recall": "recall",
    "Index speed": "indexes",
}
"""Kinds of table by the words of the page's buttons."""


def scenario_json(suite: BoardSuite, report: ScenarioReport, columns: Columns, examples: ChosenExamples) -> Json:
    """The page's data on one scenario."""
    labels = [row.label for row in report.rows]
    spec = report.rows[0].runs.records[0].spec
    banner, tables = report.banner, report.tables
    return {
        "suite": suite.name,
        "suite title": suite.title,
        "dataset": spec.dataset,
        "scenario": report.runs.scenario,
        "backbones": backbones(spec.generations),
        "generations": [[[*setting] for setting in step.model_dump(mode="json").items()] for step in spec.generations],
        "protocol": suite.protocol,
        "seeds": list(report.runs.seeds),
        "headline": banner.headline,
        "problems": list(banner.problems),
        "tables": [
            [name, table_json(tables[kind].in_page_order(), columns, labels)]
            for name, kind in _BUTTONS.items()
            if kind in tables
        ],
        "rows": [row_json(row, examples) for row in report.rows],
        "backfill": backfill_json(report.backfills, labels),
        "matrices": matrices_json(report),
    }


def backbones(generations: Sequence[GenerationSpec]) -> str:
    """The encoders of a chain, oldest first, each named once in a run of the same."""
    names: list[str] = []
    for step in generations:
        tower = step.query_encoder
        name = f"{step.backbone} (queries: {tower.backbone or step.backbone})" if tower else step.backbone
        if not names or names[-1] != name:
            names.append(name)
    return " → ".join(names)
