"""No path leads from query or gallery to a choice: all test images and labels change, and no choice does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import discover
from compatbench.execution import cell as cell_module
from compatbench.execution.cell import RunContext, run_cell
from compatbench.plan.cells import make_plan
from compatbench.plan.selection import Selection
from compatbench.plan.trials import choose, trial_plan
from compatbench.records.record import Record
from compatbench.storage.artefacts import read_artefact
from compatbench.suite.suite import parse_suite
from compatbench.vocabulary import Status

SUITE = {
    "title": "small",
    "dataset": "digits",
    "image_size": 16,
    "train_limit": 300,
    "query_limit": 40,
    "index_search": [],
    "recipe": {"epochs": 2, "optimizer": "adamw", "lr": 0.003, "batch_size": 32},
    "defaults": {"backbone": "test_vit", "dim": 8, "frozen": True, "head": {"mlp": [16]}},
    "scenarios": {"one": [{"share": 0.1}, {}]},
    "methods": ["independent", "bct", "ridge"],
}


@pytest.fixture
def disturbed(digits: Dataset) -> Dataset:
    """Digits with other test images, of other labels, fewer of them, with other ids."""
    images = torch.randint(0, 256, (90, *digits.query.images.shape[1:]), dtype=torch.uint8)
    test = replace(digits.query, images=images, labels=torch.arange(90) % 10, ids=torch.arange(90) + 10**6, names=None)
    return replace(digits, query=test, gallery=test)


def test_other_test_images_change_no_choice(
    digits: Dataset, disturbed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = parse_suite(SUITE, "test")
    found: list[Any] = []
    for name, dataset in (("as it is", digits), ("disturbed", disturbed)):
        monkeypatch.setattr(cell_module, "load", lambda *arguments, dataset=dataset: dataset)
        context = RunContext(tmp_path / name, tmp_path / "data")
        plan = trial_plan("small", suite, dataset, discover(), Selection())
        ordinary = make_plan("small", suite, dataset, discover(), Selection())
        records: dict[str, Record] = {}
        for cell in [*plan.cells[:3], *plan.cells[-2:], *ordinary]:
            record = run_cell(cell.spec, context, lambda *told: None, lambda line: None)
            assert record.status is Status.OK, record.error
            records[f"{cell.spec.method.label} {cell.spec.test_classes}"] = record
        models = {path.name: read_artefact(path)[0] for path in sorted((tmp_path / name / "models").iterdir())}
        trials = {label: one.metrics for label, one in records.items() if "held_out" in label}
        found.append(
            {
                "trials": trials,
                "chosen": choose(plan, lambda cell, records=records: records.get(f"{cell.spec.method.label} held_out")),
                "converged": {label: one.convergence for label, one in records.items()},
                "losses": {label: one.losses for label, one in records.items()},
                "models": {name: one.tensors for name, one in models.items() if one is not None},
            }
        )
    one, other = found
    assert len(one["trials"]) == 5
    assert len(one["models"]) >= 8
    assert one["models"].keys() == other["models"].keys()
    for name, tensors in one["models"].items():
        assert all(torch.equal(value, other["models"][name][part]) for part, value in tensors.items()), name
    for part in ("trials", "chosen", "converged", "losses"):
        assert one[part] == other[part], part
