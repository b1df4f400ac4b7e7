"""Items by both models: paired, or refused in one line that names the row and the remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from upgrades import ITEMS, Upgrade

from compatbench.comparison.inputs import read_items
from compatbench.errors import RequestError


def test_rows_are_paired_by_id_and_scaled_to_unit_length(upgrade: Upgrade) -> None:
    items = read_items(Path("old.npz"), Path("new.npz"))
    rows = np.array([7, 399, 0])
    for found, expected in ((items.old_vectors(rows), upgrade.old), (items.new_vectors(rows), upgrade.new)):
        wanted = expected[rows] / np.linalg.norm(expected[rows], axis=1, keepdims=True)
        assert torch.allclose(found, torch.from_numpy(wanted), atol=1e-6)
    assert items.ids.tolist() == upgrade.ids.tolist()
    assert items.labels is not None
    assert np.array_equal(items.labels, upgrade.labels)


def test_without_ids_rows_are_paired_by_position_and_named_by_number(upgrade: Upgrade) -> None:
    items = read_items(Path("old.npy"), Path("new.npy"), Path("labels.npy"))
    assert (len(items), items.has_ids, items.ids[399]) == (ITEMS, False, "399")
    assert torch.allclose(items.old_vectors(np.array([5]))[0] * np.linalg.norm(upgrade.old[5]).item(),
                          torch.from_numpy(upgrade.old[5]), atol=1e-4)  # fmt: skip
    assert items.labels is not None
    assert np.array_equal(items.labels, upgrade.labels)


def refused(old: str, new: str, labels: str | None = None) -> str:
    with pytest.raises(RequestError) as error:
        read_items(Path(old), Path(new), None if labels is None else Path(labels))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.usefixtures("upgrade")
def test_files_that_do_not_belong_together_are_refused(upgrade: Upgrade) -> None:
    np.save("short.npy", upgrade.old[:399])
    assert "short.npy has 399 rows and new.npy has 400" in refused("short.npy", "new.npy")
    np.savez("few.npz", vectors=upgrade.new[:-1], ids=upgrade.ids[:-1])
    assert "few.npz has no id item 399, which is row" in refused("old.npz", "few.npz")
    assert "1 of 400 ids are missing" in refused("old.npz", "few.npz")
    assert "few.npz has no id item 399, which is row 399 of new.npz" in refused("few.npz", "new.npz")
    np.savez("twice.npz", vectors=upgrade.new, ids=np.where(upgrade.ids == "item 3", "item 9", upgrade.ids))
    assert "twice.npz: id item 9 is there twice, in rows 3 and 9" in refused("old.npz", "twice.npz")
    assert "give both of them ids" in refused("old.npz", "new.npy")


@pytest.mark.parametrize(
    ("value", "complaint"), [(np.nan, "(1 NaN or infinite): row 17"), (0.0, "(1 nothing but zeros): row 17")]
)
def test_rows_that_cannot_be_ranked_are_named(upgrade: Upgrade, value: float, complaint: str) -> None:
    upgrade.new[17] = value
    np.save("bad.npy", upgrade.new)
    assert complaint in refused("old.npy", "bad.npy")


def test_contradicting_classes_are_refused(upgrade: Upgrade) -> None:
    changed = upgrade.labels.copy()
    changed[11] += 1
    np.savez("other.npz", vectors=upgrade.old, ids=upgrade.ids, labels=changed)
    message = refused("other.npz", "new.npz")
    assert f"row 11 is of class {upgrade.labels[11]} in new.npz and of class {changed[11]} in other.npz" in message
    np.save("labels.npy", changed)
    assert read_items(Path("other.npz"), Path("new.npz"), Path("labels.npy")).labels is not None
