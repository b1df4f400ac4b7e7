"""Folders of runs that are right in every number, of cells run just now."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from published import Published

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import discover
from compatbench.execution.cell import RunContext, run_cell
from compatbench.plan.cells import make_plan
from compatbench.plan.selection import Selection
from compatbench.records.record import write_record
from compatbench.records.store import Store
from compatbench.suite import suite as suite_module
from compatbench.suite.suite import load_suite
from compatbench.vocabulary import Status

SUITE = Path(__file__).parents[1] / "historic" / "historic.yaml"


@pytest.fixture
def store(ran: Published, tmp_path: Path) -> Store:
    shutil.copytree(ran.runs.root, tmp_path / "runs")
    return Store(tmp_path / "runs")


@pytest.fixture
def path(store: Store) -> Path:
    """The record of bct."""
    return next(store.records("historic").rglob("bct--*.json"))


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Published:
    root = tmp_path_factory.mktemp("ran")
    (root / "benchmarks").mkdir()
    shutil.copy(SUITE, root / "benchmarks")
    suite = load_suite(str(root / "benchmarks" / "historic.yaml"))[1]
    cells = make_plan("historic", suite, digits, discover(), Selection())
    store = Store(root / "runs")
    for cell in cells:
        record = run_cell(cell.spec, RunContext(store.root, root / "data"), lambda *told: None, lambda line: None)
        assert record.status is Status.OK, record.error
        write_record(record, store.record(cell.spec))
    return Published(store, Store(root / "leaderboard"), cells, root / "data")


@pytest.fixture
def fresh(ran: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    """A copy of `ran` that a test may change."""
    shutil.copytree(ran.runs.root.parent, tmp_path / "fresh")
    builtin = suite_module.builtin_folder
    monkeypatch.setattr(
        suite_module,
        "builtin_folder",
        lambda name: tmp_path / "fresh" / "benchmarks" if name == "benchmarks" else builtin(name),
    )
    root = tmp_path / "fresh"
    return Published(Store(root / "runs"), Store(root / "leaderboard"), ran.cells, root / "data")
