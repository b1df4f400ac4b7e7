"""Embeddings larger than memory: what a comparison holds does not grow with the number of items."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from compatbench.comparison import backfill_curve, evaluate
from compatbench.comparison.evaluate import Settings, compare, usual_queries
from compatbench.comparison.inputs import read_items
from compatbench.comparison.relevance import by_class
from compatbench.data.vectors import embeddings
from compatbench.machine.stopwatch import Stopwatch

DIM = 128


def peak(folder: Path, items: int) -> int:
    """The most bytes that Python and numpy hold at once while so many items are compared.

    Torch's own memory is not in it, but every vector comes into memory as numpy's.
    """
    generator = np.random.default_rng(0)
    for name in ("old", "new"):
        np.save(folder / f"{name}.npy", generator.standard_normal((items, DIM), np.float32).astype(np.float16))
    np.save(folder / "labels.npy", np.arange(items) % 500)
    tracemalloc.start()
    try:
        gallery = read_items(folder / "old.npy", folder / "new.npy", folder / "labels.npy")
        settings = Settings(queries=16, fit_pairs=1000, adapters=("procrustes",))
        compare(gallery, None, by_class(gallery, None), settings, "", torch.device("cpu"), Stopwatch())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "BLOCK_ROWS", 4096)
    monkeypatch.setattr(evaluate, "CHUNK_ITEMS", (2048, 2048))
    monkeypatch.setattr(backfill_curve, "_CHUNK_ITEMS", 2048)
    peak(tmp_path, 2_000)  # imports
    small, large = peak(tmp_path, 10_000), peak(tmp_path, 50_000)
    more = 2 * 40_000 * DIM * 4  # the further items of both files in float32: 41 MB
    assert large - small < more / 5  # labels and row numbers are kept


def test_very_many_items_are_searched_by_fewer_queries() -> None:
    assert [usual_queries(items) for items in (20_000, 200_000, 2_000_000, 10**10)] == [2000, 2000, 200, 1]
