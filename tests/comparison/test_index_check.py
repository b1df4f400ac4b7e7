"""Warnings about an index: planted faults are found, and a sound one has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from upgrades import embeddings

from compatbench.comparison.index_check import index_notices, other_heap
from compatbench.comparison.inputs import read_items


def texts(old: np.ndarray, new: np.ndarray) -> list[str]:
    np.save("o.npy", old)
    np.save("n.npy", new)
    return [one.text for one in index_notices(read_items(Path("o.npy"), Path("n.npy")), 0)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def models(size: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items by the old model, by a third one and by the new one, 48 dimensions each."""
    drawn = np.random.default_rng(3)
    hidden = drawn.normal(size=(size, 32))
    return tuple((hidden @ drawn.normal(size=(32, 48)) + 1.5 * drawn.normal(size=(size, 48))) for _ in range(3))  # type: ignore[return-value]


def test_a_sound_index_has_no_warning() -> None:
    old, _, new = models()
    assert texts(old, new) == []
    labels = np.random.default_rng(0).integers(0, 8, 400)
    assert texts(*embeddings(labels, 2)) == []


def test_rows_of_the_new_model_in_the_old_index_are_counted() -> None:
    old, _, new = models()
    old[::10] = 3 * new[::10]  # of another length, as is no matter
    (same,) = [text for text in texts(old, new) if "the same" in text]
    assert same.startswith("150 of 1,500 rows looked at are (nearly) the same in o.npy and in n.npy: ")
    assert len(texts(new, new)) == 1


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_rows_of_a_third_model_lie_apart(share: float) -> None:
    old, third, new = models()
    some = np.random.default_rng(1).random(len(old)) < share
    old[some] = third[some]
    said = texts(old, new)
    assert len(said) == 1, said
    assert "lie apart from the others" in said[0]
    assert abs(int(said[0].split(" of ")[0]) - some.sum()) < 0.2 * some.sum()


def test_few_different_vectors_are_no_two_models() -> None:
    old, _, new = (np.repeat(one[:5], 24, axis=0) for one in models(20))
    assert texts(old, new) == []
    old, third, new = models(200)
    old[:30] = third[:30]
    once, twice = texts(old, new), texts(np.concatenate((old, old)), np.concatenate((new, new)))
    assert once == twice
    assert "of 200 different rows looked at lie apart" in once[0]


@pytest.mark.parametrize("kind", ["normal", "uniform", "exponential", "beta", "constant"])
def test_one_heap_is_no_two(kind: str) -> None:
    drawn = np.random.default_rng(0)
    for _ in range(20):
        values = {
            "normal": lambda: drawn.normal(size=1000),
            "uniform": lambda: drawn.random(1000),
            "exponential": lambda: drawn.exponential(size=1000),
            "beta": lambda: 1 - drawn.beta(2, 20, 1000),
            "constant": lambda: np.full(1000, 0.3),
        }[kind]()
        assert other_heap(values) == 0
    assert other_heap(np.concatenate([drawn.normal(size=900), drawn.normal(9, 1, size=100)])) == 100
