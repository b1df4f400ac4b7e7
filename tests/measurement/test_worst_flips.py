"""The worst flips of a record, found again in plain Python from the vectors of a small chain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from compatbench.evaluation.retrieval import evaluate
from compatbench.generations.serving import ServedGeneration, pair
from compatbench.measurement import worst_flips
from compatbench.measurement.worst_flips import add_worst_flips
from compatbench.records.record import Record

ITEMS = 60


@pytest.fixture
def empty(record: Record) -> Record:
    return record.model_copy(deep=True, update={"worst_flips": []})


def chain(generations: int) -> tuple[Any, list[ServedGeneration]]:
    """Each query is a gallery item; every generation is noisier than the one before."""
    rng = np.random.default_rng(3)
    labels = torch.from_numpy(rng.integers(0, 4, ITEMS))
    split = SimpleNamespace(labels=labels, ids=torch.from_numpy(rng.permutation(1000)[:ITEMS]))
    trainer = SimpleNamespace(dataset=SimpleNamespace(query=split, gallery=split, judgements=None))
    centres = rng.normal(size=(4, 8))
    served = []
    for generation in range(generations):
        noise = rng.normal(size=(ITEMS, 8)) * (0.5 + generation)
        vectors = torch.from_numpy((centres[labels] + noise).astype(np.float32))
        served.append(ServedGeneration(str(generation), vectors, vectors, 1.0, SimpleNamespace()))  # type: ignore[arg-type]
    return trainer, served


def cosine_order(query: np.ndarray, gallery: np.ndarray, own: int) -> list[int]:
    cosines = gallery @ query / np.linalg.norm(gallery, axis=1)
    return [row for row in np.argsort(-cosines).tolist() if row != own]


@pytest.mark.parametrize("generations", [2, 3])
def test_the_deepest_first_hits_come_first_with_what_both_systems_find(
    empty: Record, monkeypatch: pytest.MonkeyPatch, generations: int
) -> None:
    monkeypatch.setattr(worst_flips, "WORST", 4)
    trainer, served = chain(generations)
    new, old = generations - 1, generations - 2
    results = {
        (str(q), str(g)): evaluate(*pair(served, trainer, q, g)) for q in range(generations) for g in range(q + 1)
    }
    add_worst_flips(empty, trainer, served, results)
    split = trainer.dataset.query
    labels, ids = split.labels.tolist(), split.ids.tolist()
    for gallery in (old, new):
        flips = []
        for row in range(ITEMS):
            orders = [
                cosine_order(served[q].query[row].numpy(), served[g].gallery.numpy(), row)
                for q, g in ((old, old), (new, gallery))
            ]
            right = [[labels[item] == labels[row] for item in order] for order in orders]
            if right[0][0] and not right[1][0]:
                aps = [np.mean([sum(one[: k + 1]) / (k + 1) for k in range(len(one)) if one[k]]) for one in right]
                flips.append((-right[1].index(True), aps[1] - aps[0], row, orders))
        expected = [
            (
                ids[row],
                [[ids[item] for item in order[:5]] for order in orders],
                [[labels[item] == labels[row] for item in order[:5]] for order in orders],
            )
            for _, _, row, orders in sorted(flips, key=lambda flip: flip[:2])[:4]
        ]
        system = [one for one in empty.worst_flips if one.gallery_generation == str(gallery)]
        assert {one.query_generation for one in system} == {str(new)}
        assert [(one.id, [one.old_top, one.new_top], [one.old_right, one.new_right]) for one in system] == expected
        assert len(expected) == 4


def test_where_nothing_flips_nothing_is_kept(empty: Record) -> None:
    trainer, served = chain(1)
    served *= 2
    results = {(str(q), str(g)): evaluate(*pair(served, trainer, q, g)) for q in range(2) for g in range(q + 1)}
    add_worst_flips(empty, trainer, served, results)
    assert empty.worst_flips == []
