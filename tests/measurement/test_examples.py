"""Example retrievals, found again in plain Python from the vectors of a small chain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from known_vectors import known_chain

from compatbench.measurement.examples import example_retrievals
from compatbench.measurement.served_chain import ServedChain
from compatbench.records.parts import FirstFound

ITEMS = 40


def chain(folder: Path, generations: int, seed: int, **changes: str) -> ServedChain:
    """Queries are gallery items; every generation embeds them at random."""
    rng = np.random.default_rng(3)
    labels, ids = torch.from_numpy(rng.integers(0, 4, ITEMS)), torch.from_numpy(rng.permutation(1000)[:ITEMS])
    rng = np.random.default_rng(seed)
    spaces = [torch.from_numpy(rng.normal(size=(ITEMS, 6)).astype(np.float32)) for _ in range(generations)]
    return known_chain(folder, spaces, labels, ids, **changes)


@pytest.mark.parametrize("generations", [2, 4])
def test_what_the_systems_around_the_last_upgrade_find(tmp_path: Path, generations: int) -> None:
    tested = chain(tmp_path, generations, 1)
    examples = example_retrievals(tested)
    split, served = tested.dataset.query, tested.generations
    ids, labels = split.ids.tolist(), split.labels.tolist()
    new, old = generations - 1, generations - 2

    def expected(row: int, query: int, gallery: int) -> FirstFound:
        vectors = torch.nn.functional.normalize(served[gallery].gallery)
        order = torch.argsort(vectors @ served[query].query[row], descending=True).tolist()
        first = [item for item in order if item != row][:5]
        return FirstFound(ids=[ids[item] for item in first], right=[labels[item] == labels[row] for item in first])

    assert len({example.id for example in examples}) == 2
    for example in examples:
        row = ids.index(example.id)
        assert (example.query_generation, example.gallery_generation) == (str(new), str(old))
        assert example.old == expected(row, old, old)
        assert example.cross == expected(row, new, old)
        assert example.new == expected(row, new, new)


def test_the_queries_follow_from_the_split_alone(tmp_path: Path) -> None:
    tested = chain(tmp_path, 2, 1), chain(tmp_path, 2, 2), chain(tmp_path, 2, 1, split_hash="e" * 64)
    one, other, elsewhere = map(example_retrievals, tested)
    assert [example.id for example in one] == [example.id for example in other]
    assert one != other
    assert [example.id for example in one] != [example.id for example in elsewhere]
