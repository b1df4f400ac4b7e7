"""The worst flips of a record, found again in plain Python from the vectors of a small chain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from known_vectors import known_chain

from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.retrieval import evaluate
from compatbench.measurement import examples as module
from compatbench.measurement.examples import worst_flips
from compatbench.measurement.served_chain import ServedChain

ITEMS = 60


def chain(folder: Path, generations: int) -> ServedChain:
    """Each query is a gallery item; every generation is noisier than the one before."""
    rng = np.random.default_rng(3)
    labels = torch.from_numpy(rng.integers(0, 4, ITEMS))
    ids = torch.from_numpy(rng.permutation(1000)[:ITEMS])
    centres = rng.normal(size=(4, 8))
    spaces = []
    for generation in range(generations):
        noise = rng.normal(size=(ITEMS, 8)) * (0.5 + generation)
        spaces.append(torch.from_numpy((centres[labels] + noise).astype(np.float32)))
    return known_chain(folder, spaces, labels, ids)


def results(tested: ServedChain) -> dict[tuple[str, str], QueryResults]:
    return {(one.query, one.gallery): evaluate(one.queries, one.documents) for one in tested.entries()}


def cosine_order(query: np.ndarray, gallery: np.ndarray, own: int) -> list[int]:
    cosines = gallery @ query / np.linalg.norm(gallery, axis=1)
    return [row for row in np.argsort(-cosines).tolist() if row != own]


@pytest.mark.parametrize("generations", [2, 3])
def test_the_deepest_first_hits_come_first_with_what_both_systems_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generations: int
) -> None:
    monkeypatch.setattr(module, "WORST", 4)
    tested = chain(tmp_path, generations)
    new, old = generations - 1, generations - 2
    found = worst_flips(tested, results(tested))
    split, served = tested.dataset.query, tested.generations
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
        system = [one for one in found if one.gallery_generation == str(gallery)]
        assert {one.query_generation for one in system} == {str(new)}
        assert [(one.id, [one.old_top, one.new_top], [one.old_right, one.new_right]) for one in system] == expected
        assert len(expected) == 4


def test_where_nothing_flips_nothing_is_kept(tmp_path: Path) -> None:
    tested = chain(tmp_path, 1)
    same = replace(tested, generations=[*tested.generations] * 2)
    assert worst_flips(same, results(same)) == []
