"""Fixtures of the report's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import Bench

from compatbench.report.site.scenario_report import ScenarioReport


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "arrays")


@pytest.fixture(scope="session")
def golden() -> ScenarioReport:
    from golden_case import golden_report

    return golden_report()
