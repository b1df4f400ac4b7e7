"""Cells of frozen trunks from suite to record and table: found again without recomputing, and reproduced to the bit."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import discover
from compatbench.evaluation.convergence import loss_fall
from compatbench.execution import local
from compatbench.execution.cell import RunContext, run_cell
from compatbench.execution.display import Display
from compatbench.execution.executor import Watcher
from compatbench.execution.local import LocalExecutor
from compatbench.plan.cells import Cell, make_plan
from compatbench.plan.selection import Selection
from compatbench.records.record import Record, read_record, write_record
from compatbench.records.store import Store
from compatbench.storage.matrices import content_of
from compatbench.suite.suite import load_suite
from compatbench.trust.problems import serious
from compatbench.trust.record_files import check_record
from compatbench.trust.reproduce import reproduce
from compatbench.trust.rescoring import Rescorer
from compatbench.vocabulary import Status

LIMIT = 300.0

SUITE = """
title: frozen
dataset: digits
image_size: 16
seeds: [0]
train_limit: 200
query_limit: 100
index_search: [flat]
recipe: {epochs: 3, batch_size: 32, optimizer: adamw, lr: 0.003, augmentation: {crop_padding: 1}, views: 2}
defaults: {frozen: true, head: {mlp: [24], batch_norm: true}, dim: 8}
scenarios:
  data: [{backbone: test_vit, share: 0.5}, {backbone: test_resnet}]
  unseen: [{backbone: test_vit, classes: 0.3}, {backbone: test_vit, classes: 0.6, head: linear}]
test_on_unseen_classes: [unseen]
methods: [contrastive_ssl, l2, finetune, procrustes]
"""


@pytest.fixture
def cells(tmp_path: Path, digits: Dataset) -> list[Cell]:
    (tmp_path / "frozen.yaml").write_text(SUITE)
    return make_plan(*load_suite(str(tmp_path / "frozen.yaml")), digits, discover(), Selection())


def run(cell: Cell, root: Path) -> Record:
    return run_cell(cell.spec, RunContext(root / "runs", root / "data"), lambda *told: None, lambda line: None)


def test_a_run_ends_in_tables_and_a_second_one_computes_no_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "frozen.yaml").write_text(SUITE)
    words = ["run", str(tmp_path / "frozen.yaml"), "--runs", str(tmp_path / "runs"), "--data", str(tmp_path / "data")]
    first = CliRunner().invoke(app, [*words, "--jobs", "2"])
    assert first.exit_code == 0, first.output
    table = (tmp_path / "runs" / "frozen" / "README.md").read_text()
    assert all(name in table for name in ("contrastive_ssl", "l2", "procrustes", "status quo"))
    features = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs" / "features").glob("*.npy")}
    trunks = [path.name.split("--")[:2] for path in features]
    for backbone in ("test_vit.r160_in1k", "test_resnet.r160_in1k"):
        whats = sorted(what for name, what in trunks if name == backbone)
        assert whats == ["gallery", "train", "train-view-0", "train-view-1"]
    for folder in ("models", "embeddings", "frozen"):
        shutil.rmtree(tmp_path / "runs" / folder)
    again = CliRunner().invoke(app, [*words, "--jobs", "2"])
    assert again.exit_code == 0, again.output
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs" / "features").glob("*.npy")} == features


def test_a_record_is_that_of_a_run_from_nothing(cells: list[Cell], tmp_path: Path) -> None:
    [cell] = [one for one in cells if (one.spec.scenario, one.spec.method.name) == ("data", "l2")]
    record = run(cell, tmp_path)
    assert record.status is Status.OK, record.error
    assert record.timings["features"] > 0
    assert record.spec.generations[1].frozen
    assert {len(one.accuracy) for one in record.convergence.values()} == {3}
    fall = loss_fall(record.losses["1"])
    assert fall is not None
    assert record.convergence["1"].loss_fall == fall
    assert not record.convergence["1"].converged, "few images are classified right after three epochs"
    write_record(record, tmp_path / "record.json")
    record = read_record(tmp_path / "record.json")
    files = {path.stem.rpartition("--")[2][:12]: path for path in (tmp_path / "runs/features").glob("*.npy")}
    assert record.features.keys() == files.keys()
    assert len(files) == 8, "two trunks: training images, two views of them, and the test images"
    store = Store(tmp_path / "runs")
    write_record(record, store.record(record.spec))
    checked = Rescorer(store.arrays)
    assert serious(check_record(store.record(record.spec), store, checked)[1]) == []
    forged = record.model_copy(update={"features": dict.fromkeys(record.features, "0" * 16)})
    write_record(forged, store.record(record.spec))
    told = [str(one) for one in serious(check_record(store.record(record.spec), store, checked)[1])]
    assert len(told) == 8
    assert all("trained on other features than those in features/test_" in line for line in told)
    write_record(record, store.record(record.spec))
    path = next(iter(files.values()))
    path.write_bytes(path.read_bytes()[:-1] + b"~")
    content_of.cache_clear()
    [line] = serious(check_record(store.record(record.spec), store, checked)[1])
    assert f"its features are damaged, features/{path.name}: part 1 of 1 does not match its hash" in line.message
    context = RunContext(tmp_path / "again", tmp_path / "data", (), record.environment.cpu_threads)
    with Display(Console(quiet=True), 1) as display:
        found = reproduce(record, context, display, timeout_seconds=250)
    assert (found.inexact, found.differences) == ("", [])


def test_a_cell_that_is_slow_is_not_stopped_while_it_makes_progress(
    cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(Watcher):
        """Lets most of a cell's time pass at each word that it sends of `stage`."""

        offset, words = 0.0, 0

        def __init__(self, stage: str) -> None:
            self.stage = stage

        def monotonic(self) -> float:
            return time.monotonic() + self.offset

        def progressed(self, cell: Cell, stage: str, share: float) -> None:
            if stage.startswith(self.stage):
                self.offset += 0.7 * LIMIT
                self.words += 1

    context = RunContext(tmp_path / "runs", tmp_path / "data")
    first, other = (one for one in cells if one.is_baseline)
    for cell, stage in ((first, "features"), (other, "train independent")):
        clock = Clock(stage)
        monkeypatch.setattr(local, "time", clock)
        [record] = LocalExecutor(context, 1, LIMIT).run([cell], clock)
        assert clock.words >= 2, "more than its time went by"
        assert record.status is Status.OK, record.reason


def test_old_weights_are_for_heads_of_one_shape(cells: list[Cell]) -> None:
    reasons = {one.spec.scenario: one.skip for one in cells if one.spec.method.name == "finetune"}
    assert reasons["data"] is not None
    assert "backbone is test_resnet" in reasons["data"]
    assert reasons["unseen"] is not None
    assert reasons["unseen"].startswith("starts from the old weights: head is")
