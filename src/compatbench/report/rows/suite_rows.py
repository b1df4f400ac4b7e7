"""One suite in the standings: the rows of its scenarios, and its planned cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compatbench.report.rows.scenario_rows import ScenarioRows
from compatbench.vocabulary import Role


@dataclass(frozen=True)
class SuitePlan:
    """The cells of a suite's plan today: every row in every scenario with every seed."""

    scenarios: tuple[str, ...]
    """As the suite lists them."""
    roles: Mapping[str, Role]
    """`method`, `reference` or `control` of every row, by its label."""
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class SuiteRows:
    """All rows of one suite."""

    name: str
    plan: SuitePlan | None
    """None where the suite is no longer built in."""
    scenarios: Sequence[ScenarioRows]
