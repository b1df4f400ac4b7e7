"""What a suite's tables lack: cells of its plan without a record, and why rows have no rank or no numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compatbench.report.rows.controls import ScenarioRows
from compatbench.report.rows.row import MethodRow, how_ended


@dataclass(frozen=True)
class SuitePlan:
    """The cells of a suite's plan today: every row in every scenario with every seed."""

    scenarios: tuple[str, ...]
    """As the suite lists them."""
    labels: tuple[str, ...]
    """Of the rows."""
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class SuiteRows:
    """All rows of one suite."""

    name: str
    plan: SuitePlan | None
    """None where the suite is no longer built in."""
    reports: Sequence[ScenarioRows]
    """In the order of the plan."""


@dataclass(frozen=True)
class Gap:
    """What one row lacks in one scenario."""

    suite: str
    scenario: str
    label: str
    why: str
    """Why it has no rank or no numbers: `skipped: …`, `✗ oom`, `2 of 3 seeds`; empty where it has, or was not run."""
    missing_seeds: tuple[int, ...]
    """Cells of the plan without a record."""


def gaps(suite: SuiteRows) -> Iterator[Gap]:
    """Of every scenario and row that is planned or has records; scenarios in their order, rows by label."""
    plan, run = suite.plan, {one.runs.scenario: {row.label: row for row in one.rows} for one in suite.reports}
    planned = set(plan.labels) if plan else set()
    for scenario in dict.fromkeys([*(plan.scenarios if plan else ()), *run]):
        rows = run.get(scenario, {})
        for label in sorted(planned.union(*run.values())):
            row = rows.get(label)
            why, missing = _why(row) if row else "", tuple[int, ...]()
            if plan and label in planned and scenario in plan.scenarios:
                left = {record.spec.seed for record in row.runs.records} if row else set()
                missing = tuple(seed for seed in plan.seeds if seed not in left)
            if why or missing:
                yield Gap(suite.name, scenario, label, why, missing)


def _why(row: MethodRow) -> str:
    return how_ended(row.runs.records, name_seeds=False) if row.scores is None else row.unranked
