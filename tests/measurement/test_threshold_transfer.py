"""Verified pairs in a record, against scikit-learn's ROC curve of the same vectors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_curve
from torch import Tensor

from compatbench.evaluation.acceptance import Acceptance
from compatbench.generations.serving import ServedGeneration
from compatbench.measurement.threshold_transfer import add_threshold_transfer, verification_metrics
from compatbench.records.record import Record
from compatbench.records.store import Store

ITEMS = 260
RATE = 1e-2
"""260 queries have some 50,000 impostor pairs: enough for this rate, and too few for the next."""


def world() -> tuple[Any, list[ServedGeneration], ServedGeneration]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, ITEMS)
    split = SimpleNamespace(labels=torch.from_numpy(labels), ids=torch.from_numpy(generator.permutation(1000)[:ITEMS]))
    trainer = SimpleNamespace(
        dataset=SimpleNamespace(query=split, gallery=split, judgements=None),
        device=torch.device("cpu"),
        seed=0,
        progress=lambda stage, share: None,
    )
    centres = generator.normal(size=(4, 6))

    def vectors(noise: float, shift: float) -> Tensor:
        made = centres[labels] + noise * generator.normal(size=(ITEMS, 6)) + shift
        return torch.from_numpy(made.astype(np.float32))

    sides = [vectors(1.5, 0.0), vectors(1.0, 0.7), vectors(0.8, 0.0)]
    old, new, reference = (
        ServedGeneration(str(step), side, side, 1.0, SimpleNamespace(), None)  # type: ignore[arg-type]
        for step, side in enumerate(sides)
    )
    return trainer, [old, new], reference


def roc(query: Tensor, gallery: Tensor, labels: Tensor) -> tuple[Any, Any, Any]:
    """False and true accept rates and thresholds, over all pairs but those of an item with itself."""
    scores = torch.nn.functional.normalize(query) @ torch.nn.functional.normalize(gallery).T
    pairs = ~torch.eye(ITEMS, dtype=torch.bool)
    return roc_curve((labels[:, None] == labels[None, :])[pairs], scores[pairs], drop_intermediate=False)


def test_the_record_holds_rates_at_own_and_at_the_old_thresholds(record: Record, tmp_path: Path) -> None:
    trainer, served, reference = world()
    record = record.model_copy(update={"metrics": [], "verification": []})
    add_threshold_transfer(record, trainer, served, {1: reference}, Store(tmp_path))
    labels, old, new = trainer.dataset.query.labels, served[0].query, served[1].query
    curves = {
        ("0", "0"): roc(old, old, labels),
        ("1", "0"): roc(new, old, labels),
        ("1", "1"): roc(new, new, labels),
        ("*1", "*1"): roc(reference.query, reference.query, labels),
    }
    far, _, scores = curves["0", "0"]
    limit = scores[far <= RATE].min()
    for (query, gallery), (far, tar, scores) in curves.items():
        own = record.metric(f"TAR@FAR={RATE:g}", query, gallery)
        assert own is not None
        assert own.value == pytest.approx(tar[far <= RATE].max())
        assert own.ci_low is not None
        assert own.ci_low < own.value < own.ci_high  # type: ignore[operator]
        moved = [record.metric(f"transfer_{name}@FAR={RATE:g}", query, gallery) for name in ("TAR", "FAR")]
        if query != "1":
            assert moved == [None, None]
            continue
        accepted = scores >= limit - 1e-7
        assert moved[0] is not None
        assert moved[0].value != own.value
        for metric, expected, direction in zip(moved, (tar, far), ("higher", "lower"), strict=True):
            assert metric is not None
            assert metric.value == pytest.approx(expected[accepted].max(), abs=1e-4)
            assert metric.direction == direction
    assert {entry.rate for entry in record.verification} == {RATE}
    assert len(record.verification) == 6


def test_what_is_kept_gives_the_numbers_again(record: Record, tmp_path: Path) -> None:
    trainer, served, reference = world()
    record = record.model_copy(update={"metrics": [], "verification": [], "arrays": []})
    store = Store(tmp_path)
    add_threshold_transfer(record, trainer, served, {1: reference}, store)
    again = [
        metric
        for entry in record.verification
        for metric in verification_metrics(entry, Acceptance.read(store.arrays, entry.sha256))
    ]
    assert again == record.metrics
    assert record.array_hashes == [entry.sha256 for entry in record.verification]
