"""Verified pairs in a record, against scikit-learn's ROC curve of the same vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from known_vectors import known_chain
from sklearn.metrics import roc_curve
from torch import Tensor

from compatbench.evaluation.acceptance import Acceptance
from compatbench.measurement.served_chain import ServedChain
from compatbench.measurement.threshold_transfer import acceptance_metrics, threshold_transfer
from compatbench.records.parts import Metric, VerifiedPairs

ITEMS = 260
RATE = 1e-2
"""260 queries have some 50,000 impostor pairs: enough for this rate, and too few for the next."""


@pytest.fixture
def tested(tmp_path: Path) -> ServedChain:
    """An old and a new generation, and the new one's reference."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, ITEMS)
    ids = torch.from_numpy(generator.permutation(1000)[:ITEMS])
    centres = generator.normal(size=(4, 6))

    def vectors(noise: float, shift: float) -> Tensor:
        drawn = centres[labels] + noise * generator.normal(size=(ITEMS, 6)) + shift
        return torch.from_numpy(drawn.astype(np.float32))

    spaces = [vectors(1.5, 0.0), vectors(1.0, 0.7), vectors(0.8, 0.0)]
    chain = known_chain(tmp_path, spaces, torch.from_numpy(labels), ids)
    return replace(chain, generations=chain.generations[:2], references={1: chain.generations[2]})


def metrics(tested: ServedChain, verified: Sequence[VerifiedPairs]) -> list[Metric]:
    """Those of what was kept."""
    files, found = tested.arrays.save(tested.store.arrays), []
    for entry in verified:
        part, _, name = entry.array.partition("#")
        found += acceptance_metrics(entry, Acceptance.read(tested.store.arrays, f"{files[part]}#{name}"))
    return found


def roc(query: Tensor, gallery: Tensor, labels: Tensor) -> tuple[Any, Any, Any]:
    """False and true accept rates and thresholds, over all pairs but those of an item with itself."""
    scores = torch.nn.functional.normalize(query) @ torch.nn.functional.normalize(gallery).T
    pairs = ~torch.eye(ITEMS, dtype=torch.bool)
    return roc_curve((labels[:, None] == labels[None, :])[pairs], scores[pairs], drop_intermediate=False)


def test_rates_are_those_at_own_and_at_the_old_thresholds(tested: ServedChain) -> None:
    verified = threshold_transfer(tested)
    found = {(one.name, one.query_generation, one.gallery_generation): one for one in metrics(tested, verified)}
    labels = tested.dataset.query.labels
    old, new, reference = (one.query for one in (*tested.generations, tested.references[1]))
    curves = {
        ("0", "0"): roc(old, old, labels),
        ("1", "0"): roc(new, old, labels),
        ("1", "1"): roc(new, new, labels),
        ("*1", "*1"): roc(reference, reference, labels),
    }
    far, _, scores = curves["0", "0"]
    limit = scores[far <= RATE].min()
    for at, (far, tar, scores) in curves.items():
        own = found[f"TAR@FAR={RATE:g}", *at]
        assert own.value == pytest.approx(tar[far <= RATE].max())
        assert own.ci_low is not None
        assert own.ci_low < own.value < own.ci_high  # type: ignore[operator]
        moved = [found.get((f"transfer_{name}@FAR={RATE:g}", *at)) for name in ("TAR", "FAR")]
        if at[0] != "1":
            assert moved == [None, None]
            continue
        accepted = scores >= limit - 1e-7
        assert moved[0] is not None
        assert moved[0].value != own.value
        for metric, expected, direction in zip(moved, (tar, far), ("higher", "lower"), strict=True):
            assert metric is not None
            assert metric.value == pytest.approx(expected[accepted].max(), abs=1e-4)
            assert metric.direction == direction
    assert {entry.rate for entry in verified} == {RATE}
    assert len(verified) == 6
