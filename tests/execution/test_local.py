"""The local executor against real processes that die in every way a cell can."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from compatbench.cell import Workplace
from compatbench.data.catalogue import load
from compatbench.execution.local import LocalExecutor
from compatbench.plan import Cell, Selection, make_plan, outcome, remaining
from compatbench.plugins import discover
from compatbench.records import Record, Status
from compatbench.store import Store
from compatbench.suite import parse_suite

FAULTY = '''
import os, signal, sys, time
from pathlib import Path
import torch
from compatbench.method import TrainingMethod


class Faulty(TrainingMethod):
    """A method that fails while a file is there (ours)."""

    name = "{name}"

    def loss(self, batch, new, old):
        if Path({flag!r}).exists() and batch.progress > 0.2:
            {fault}
        return {{"extra": 0.0 * new.embeddings.sum()}}
'''

FAULTS = {
    "raises": "raise ValueError('three apples')",
    "exits": "sys.exit(3)",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "segfault": "os.kill(os.getpid(), signal.SIGSEGV)",
    "hangs": "time.sleep(600)",
    "nan": "return {'extra': new.embeddings.sum() * float('nan')}",
    "memory": "raise MemoryError()",
}

EXPECTED = {
    "independent": Status.OK,
    "raises": Status.FAILED,
    "exits": Status.FAILED,
    "killed": Status.KILLED,
    "segfault": Status.KILLED,
    "hangs": Status.TIMEOUT,
    "nan": Status.INVALID,
    "memory": Status.OOM,
    "bct": Status.OK,
}


class Silent:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def started(self, cell: Cell) -> None: ...

    def progressed(self, cell: Cell, stage: str, share: float) -> None:
        assert 0 <= share <= 1

    def noticed(self, cell: Cell, line: str) -> None: ...

    def finished(self, cell: Cell, record: Record) -> None:
        self.ended.append(cell.spec.method.name)


Plan = Callable[[], list[Cell]]


@pytest.fixture
def faulty(tmp_path: Path) -> tuple[Path, Path, Plan]:
    """A folder of faulty methods, the flag file that makes them fail, and a plan that runs them all."""
    flag, folder = tmp_path / "broken", tmp_path / "methods"
    folder.mkdir()
    flag.touch()
    for name, fault in FAULTS.items():
        (folder / f"{name}.py").write_text(FAULTY.format(name=name, flag=str(flag), fault=fault))
    suite = parse_suite(
        {
            "title": "faults",
            "dataset": "digits",
            "image_size": 16,
            "train_limit": 200,
            "recipe": {"epochs": 2, "batch_size": 32},
            "scenarios": {"extended_data": [{"share": 0.5}, {}]},
            "defaults": {"backbone": "test_vit", "dim": 16},
            "methods": list(EXPECTED),
        },
        "test",
    )

    def plan() -> list[Cell]:
        dataset = load(suite.dataset, suite.image_size, tmp_path / "data", {})
        return make_plan("faults", suite, dataset, discover([folder]), Selection())

    return folder, flag, plan


def test_every_fault_leaves_one_record_and_retry_repairs(faulty: tuple[Path, Path, Plan], tmp_path: Path) -> None:
    folder, flag, plan = faulty
    store = Store(tmp_path / "runs")
    executor = LocalExecutor(Workplace(store.root, tmp_path / "data", (folder,)), jobs=2, timeout_seconds=12)
    watcher = Silent()
    records = executor.run(plan(), watcher)

    assert {record.spec.method.name: record.status for record in records} == EXPECTED
    assert sorted(watcher.ended) == sorted(EXPECTED)
    assert len(list(store.records("faults").rglob("*.json"))) == len(EXPECTED)
    by_name = {record.spec.method.name: record for record in records}
    assert by_name["raises"].reason == "ValueError: three apples"
    assert "three apples" in by_name["raises"].error
    assert str(tmp_path) not in by_name["raises"].error
    assert "SIGSEGV" in by_name["segfault"].reason
    assert "extra" in by_name["nan"].reason
    assert "stopped after 0.2 minutes" in by_name["hangs"].reason

    assert remaining(plan(), store, retry=False) == []
    good = {cell.spec.method.name: store.record(cell.spec).read_bytes() for cell in plan()}
    flag.unlink()
    again = remaining(plan(), store, retry=True)
    assert {cell.spec.method.name for cell in again} == set(FAULTS)
    executor.run(again, Silent())
    for cell in plan():
        record = outcome(cell, store)
        assert record is not None
        assert record.status is Status.OK
        if cell.spec.method.name not in FAULTS:
            assert store.record(cell.spec).read_bytes() == good[cell.spec.method.name]


def test_same_cell_twice_gives_the_same_numbers(faulty: tuple[Path, Path, Plan], tmp_path: Path) -> None:
    folder, flag, plan = faulty
    flag.unlink()
    cells = [cell for cell in plan() if cell.spec.method.name in ("independent", "bct")]
    seen = []
    for attempt in ("first", "second"):
        store = Store(tmp_path / attempt)
        executor = LocalExecutor(Workplace(store.root, tmp_path / "data", (folder,)), jobs=2, timeout_seconds=100)
        executor.run(cells, Silent())
        records = [json.loads(store.record(cell.spec).read_text()) for cell in cells]
        seen.append([(one["metrics"], one["arrays"], one["parents"], one["losses"]) for one in records])
    assert seen[0] == seen[1]
    assert seen[0][1][0], "the comparison is empty"
