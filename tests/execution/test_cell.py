"""One cell in this process: its record's numbers against their sources, and every way to fail."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import discover
from compatbench.errors import InvalidResultError
from compatbench.execution import cell as cell_module
from compatbench.execution.cell import RunContext, run_cell, without_absolute_paths
from compatbench.records.record import CellSpec, Record
from compatbench.storage.canonical import digest
from compatbench.suite.recipe import Recipe
from compatbench.suite.scenarios import GenerationSpec
from compatbench.suite.splits import as_tested, held_out_indices, split_hash, training_indices
from compatbench.vocabulary import Status


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ('File "/home/me/env/lib/site-packages/torch/nn.py", line 3', 'File "site-packages/torch/nn.py", line 3'),
        ('File "/src/me/repo/src/compatbench/cell.py", line 3', 'File "src/compatbench/cell.py", line 3'),
        ('File "/home/me/my.py", line 3', 'File "my.py", line 3'),
        ("No such file: '/home/me/data/x.png'", "No such file: 'x.png'"),
        ("see https://host.org/a/b and a/b, 1/2, (/)", "see https://host.org/a/b and a/b, 1/2, (/)"),
        ("/home/me/one:/home/me/two", "one:two"),
    ],
)
def test_absolute_paths_are_cut(text: str, public: str) -> None:
    assert without_absolute_paths(text) == public


@pytest.fixture
def spec(cell_spec: CellSpec) -> CellSpec:
    """A cell of random_rotation, whose whole record is known from two baselines."""
    plugin = discover().get("random_rotation")
    step = GenerationSpec(backbone="test_vit.r160_in1k", dim=8)
    return cell_spec.model_copy(
        update={
            "dataset_options": {},
            "train_limit": 100,
            "query_limit": 60,
            "index_search": (),
            "generations": (step.model_copy(update={"share": 0.5}), step),
            "recipe": Recipe(epochs=1, batch_size=32),
            "method": cell_spec.method.model_copy(
                update={"name": plugin.name, "label": plugin.name, "params": {}, "kind": plugin.kind, "expects": []}
            ),
        }
    )


Run = Callable[..., Record]


@pytest.fixture
def run(spec: CellSpec, tmp_path: Path) -> Run:
    """Runs the cell of `spec` with changes: `run(recipe={…})`."""

    def run_it(report: Callable[[str, float], None] = lambda stage, share: None, **changes: Any) -> Record:
        context = RunContext(tmp_path / "runs", tmp_path / "data")
        return run_cell(spec.model_copy(update=changes), context, report, lambda line: None)

    return run_it


def test_the_record_names_the_threads_that_the_cell_got(spec: CellSpec, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)  # what another cell left in this process
        context = RunContext(tmp_path / "runs", tmp_path / "data", (), 1)
        record = run_cell(spec, context, lambda stage, share: None, lambda line: None)
    finally:
        torch.set_num_threads(before)
    assert (record.status, record.environment.cpu_threads) == (Status.OK, 1)


def test_a_whole_record(run: Run, spec: CellSpec, digits: Dataset) -> None:
    told: list[tuple[str, float]] = []
    record = run(report=lambda stage, share: told.append((stage, share)))
    assert (record.status, record.reason, record.error) == (Status.OK, "", "")
    assert record.spec == spec
    assert record.spec_hash == digest(json.loads(spec.model_dump_json()))
    labels = digits.train.labels
    seen = [training_indices(labels, step, 100) for step in spec.generations]
    held_out = [held_out_indices(labels, step.class_ids(digits.train_classes), 100) for step in spec.generations]
    tested = as_tested(digits, spec.generations, spec.test_classes, spec.query_limit)
    assert record.split_hash == split_hash(tested.fingerprint, seen, held_out)
    assert set(record.parents) == {"0", "1", "*1"}
    assert record.parents["1"] == record.parents["*1"] != record.parents["0"], "the rotation adapts the shared model"
    assert {term: len(curve) for term, curve in record.losses["1"].items()} == {"classification": 1}
    assert set(record.losses) == {"0", "1"}
    assert set(record.convergence) == {"0", "1", "*1"}
    for one in record.convergence.values():
        assert len(one.accuracy) == 1
        assert one.loss_fall is None, "one epoch"
        assert len(one.held_out_accuracy) == len(one.held_out_loss) == 1
        assert one.converged == (one.accuracy[0] > 0.9)
    assert [(one.query_generation, one.gallery_generation) for one in record.examples] == [("1", "0")] * 2
    assert set(record.timings) == {"data", "reference", "models", "evaluation"}
    assert sum(record.timings.values()) <= record.seconds
    assert record.costs["train_images_per_second"] is not None
    assert {stage for stage, _ in told} >= {"data", "train independent 0", "train independent 1", "evaluate"}
    assert Record.model_validate_json(record.model_dump_json()) == record
    assert datetime.datetime.fromisoformat(record.started).utcoffset() == datetime.timedelta(0)


def test_the_same_cell_again_trains_nothing_and_says_the_same(run: Run) -> None:
    first, second = run(), run()
    for part in ("metrics", "arrays", "losses", "parents", "split_hash"):
        assert getattr(first, part) == getattr(second, part), part
    assert first.metrics
    # what a training cost is known from when it took place
    assert first.costs["train_seconds"] == second.costs["train_seconds"]


FAILURES: dict[str, tuple[BaseException, Status, str]] = {
    "error": (ValueError("no\napples"), Status.FAILED, "ValueError: no apples"),
    "silent error": (AssertionError(), Status.FAILED, "AssertionError"),
    "exit": (SystemExit(3), Status.FAILED, "SystemExit: 3"),
    "invalid": (InvalidResultError("loss is nan"), Status.INVALID, "loss is nan"),
    "memory": (MemoryError(), Status.OOM, "MemoryError"),
    "gpu memory": (torch.OutOfMemoryError("CUDA out of memory"), Status.OOM, "OutOfMemoryError: CUDA out of memory"),
    "other runtime error": (
        RuntimeError("not enough memory of it"),
        Status.FAILED,
        "RuntimeError: not enough memory of it",
    ),
    "path": (OSError("no file /home/me/x.png"), Status.FAILED, "OSError: no file x.png"),
}


@pytest.mark.parametrize(("error", "status", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_a_record(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: Status, reason: str
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(cell_module, "load", fail)
    record = run()
    assert (record.status, record.reason) == (status, reason)
    assert ("Traceback" in record.error) == (status is not Status.INVALID)
    assert "data" in record.timings
    assert record.metrics == []
    Record.model_validate_json(record.model_dump_json())


def test_torchs_own_memory_error_is_known(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_module, "load", lambda *arguments: torch.empty(10**15))
    assert run().status is Status.OOM


def test_an_interrupt_is_no_record(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cell_module, "load", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()


def test_a_method_that_is_gone_is_a_failure_with_a_reason(run: Run, spec: CellSpec) -> None:
    gone = spec.method.model_copy(update={"name": "gone"})
    record = run(method=gone)
    assert record.status is Status.FAILED
    assert record.reason.startswith("RequestError: no method 'gone'")
