"""The files of a small upgrade."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from upgrades import CLASSES, ITEMS, Upgrade, embeddings


@pytest.fixture
def upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upgrade:
    """Files old.npy, new.npy and labels.npy, and with ids (old shuffled) and labels old.npz and new.npz."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(1)
    labels = generator.integers(0, CLASSES, ITEMS)
    old, new = embeddings(labels, 2)
    ids = np.array([f"item {row}" for row in range(ITEMS)])
    shuffled = generator.permutation(ITEMS)
    np.save("old.npy", old)
    np.save("new.npy", new)
    np.save("labels.npy", labels)
    np.savez("old.npz", vectors=old[shuffled], ids=ids[shuffled])
    np.savez("new.npz", vectors=new, ids=ids, labels=labels)
    return Upgrade(tmp_path, old, new, labels, ids)
