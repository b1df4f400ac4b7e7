"""Example retrievals, found again in plain Python from the vectors of a small chain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from compatbench.generations.serving import ServedGeneration
from compatbench.measurement.example_retrievals import add_example_retrievals
from compatbench.records.record import FirstFound, Record

ITEMS = 40


@pytest.fixture
def empty(record: Record) -> Record:
    return record.model_copy(deep=True, update={"examples": []})


def chain(generations: int, seed: int) -> tuple[Any, list[ServedGeneration]]:
    """Queries are gallery items; every generation embeds them at random."""
    rng = np.random.default_rng(3)
    labels, ids = torch.from_numpy(rng.integers(0, 4, ITEMS)), torch.from_numpy(rng.permutation(1000)[:ITEMS])
    split = SimpleNamespace(labels=labels, ids=ids)
    trainer = SimpleNamespace(dataset=SimpleNamespace(query=split, gallery=split, judgements=None))
    rng = np.random.default_rng(seed)
    spaces = [torch.from_numpy(rng.normal(size=(ITEMS, 6)).astype(np.float32)) for _ in range(generations)]
    trained: Any = SimpleNamespace()
    return trainer, [ServedGeneration(str(n), space, space, 1.0, trained) for n, space in enumerate(spaces)]


@pytest.mark.parametrize("generations", [2, 4])
def test_what_the_systems_around_the_last_upgrade_find(empty: Record, generations: int) -> None:
    trainer, served = chain(generations, 1)
    add_example_retrievals(empty, trainer, served)
    split = trainer.dataset.query
    ids, labels = split.ids.tolist(), split.labels.tolist()
    new, old = generations - 1, generations - 2

    def expected(row: int, query: int, gallery: int) -> FirstFound:
        vectors = torch.nn.functional.normalize(served[gallery].gallery)
        order = torch.argsort(vectors @ served[query].query[row], descending=True).tolist()
        first = [item for item in order if item != row][:5]
        return FirstFound(ids=[ids[item] for item in first], right=[labels[item] == labels[row] for item in first])

    assert len({example.id for example in empty.examples}) == 2
    for example in empty.examples:
        row = ids.index(example.id)
        assert (example.query_generation, example.gallery_generation) == (str(new), str(old))
        assert example.old == expected(row, old, old)
        assert example.cross == expected(row, new, old)
        assert example.new == expected(row, new, new)


def test_the_queries_follow_from_the_split_alone(empty: Record) -> None:
    other = empty.model_copy(deep=True)
    elsewhere = empty.model_copy(deep=True, update={"split_hash": "e" * 64})
    for record, seed in ((empty, 1), (other, 2), (elsewhere, 1)):
        add_example_retrievals(record, *chain(2, seed))
    assert [one.id for one in empty.examples] == [one.id for one in other.examples]
    assert empty.examples != other.examples
    assert [one.id for one in empty.examples] != [one.id for one in elsewhere.examples]
