"""Bad rows and missing counterparts: counted and listed, or left out on both sides and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compatbench.comparison.inputs import read_items
from compatbench.data.vectors import embeddings
from compatbench.data.vectors.options import InputOptions
from compatbench.errors import RequestError

ROWS = 40
OLD = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
NEW = np.random.default_rng(1).normal(size=(ROWS, 3)).astype(np.float32)
IDS = np.array([f"d{row}" for row in range(ROWS)])
SKIP = InputOptions(skip_bad_rows=True)


@pytest.fixture(params=[True, False], ids=["ids", "positions"])
def spoilt(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Rows 3 and 20 are bad in old.npz, rows 20 and 39 in new.npz; whether there are ids."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(embeddings, "BLOCK_ROWS", 7)
    old, new = OLD.copy(), NEW.copy()
    old[3], old[20], new[20], new[39] = 0, np.nan, 0, np.inf
    order = np.random.default_rng(2).permutation(ROWS) if request.param else np.arange(ROWS)
    ids = ({"ids": IDS[order]}, {"ids": IDS}) if request.param else ({}, {})
    np.savez("old.npz", vectors=old[order], **ids[0])
    np.savez("new.npz", vectors=new, **ids[1])
    np.save("labels.npy", np.arange(ROWS))
    return bool(request.param)


def test_all_bad_rows_of_both_files_are_listed(spoilt: bool) -> None:
    with pytest.raises(RequestError) as caught:
        read_items(Path("old.npz"), Path("new.npz"))
    said = str(caught.value)
    assert "old.npz: 2 of 40 rows cannot be ranked (1 NaN or infinite, 1 nothing but zeros)" in said
    assert "new.npz: 2 of 40 rows cannot be ranked (1 NaN or infinite, 1 nothing but zeros)" in said
    assert said.count("d20" if spoilt else "20") == 2
    assert "--skip-bad-rows" in said


def test_bad_rows_are_left_out_on_both_sides_and_counted(spoilt: bool) -> None:
    items = read_items(Path("old.npz"), Path("new.npz"), Path("labels.npy"), SKIP)
    kept = np.setdiff1d(np.arange(ROWS), [3, 20, 39])
    assert items.ids.tolist() == (IDS[kept] if spoilt else kept.astype(str)).tolist()
    assert items.labels is not None
    assert items.labels.tolist() == kept.tolist()
    every = np.arange(len(items))
    assert np.array_equal(items.raw_old(every), OLD[kept])
    assert np.array_equal(items.raw_new(every), NEW[kept])
    notice = next(one for one in items.notices if one.kind == "bad rows")
    assert notice.count == 3
    assert notice.text.endswith("d3, d20, d39" if spoilt else "3, 20, 39")


def test_many_bad_rows_are_counted_and_the_first_are_listed(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.concatenate((np.zeros((500, 3)), NEW)))
    with pytest.raises(RequestError, match=r"500 of 540 rows .* 98, 99 and 400 more"):
        read_items(tmp_path / "x.npy", tmp_path / "x.npy")


def test_items_that_one_file_has_alone_are_cut_and_counted(tmp_path: Path) -> None:
    some, others = np.arange(0, ROWS, 3), np.arange(5, ROWS)
    np.savez(tmp_path / "old.npz", vectors=OLD[others], ids=IDS[others], labels=others)
    np.savez(tmp_path / "new.npz", vectors=NEW[some], ids=IDS[some])
    files = tmp_path / "old.npz", tmp_path / "new.npz"
    with pytest.raises(RequestError, match=r"old.npz has no id d0, which is row 0 of .*--common"):
        read_items(*files)
    items = read_items(*files, options=InputOptions(common=True))
    both = [row for row in some if row >= 5]
    assert items.ids.tolist() == IDS[both].tolist()
    assert items.labels is not None
    assert items.labels.tolist() == both
    assert np.array_equal(items.raw_old(np.arange(len(both))), OLD[both])
    notice = next(one for one in items.notices if one.kind == "unpaired rows")
    assert (notice.count, f"{len(both)} items are in both files" in notice.text) == (35 - len(both) + 2, True)
    np.savez(tmp_path / "new.npz", vectors=NEW[:3], ids=IDS[:3])
    with pytest.raises(RequestError, match="no item in common"):
        read_items(*files, options=InputOptions(common=True))


@pytest.mark.parametrize("spelling", ["{}", "{{{}}}", " {}"])
def test_ids_in_another_spelling_are_hinted_at(tmp_path: Path, spelling: str) -> None:
    names = [f"0a{one:02d}-ffff" for one in range(ROWS)]
    np.savez(tmp_path / "old.npz", vectors=OLD, ids=[spelling.format(name.upper()) for name in names])
    np.savez(tmp_path / "new.npz", vectors=NEW, ids=names)
    with pytest.raises(RequestError, match=r"old.npz has .?0A00-FFFF.?: spell ids alike in both files"):
        read_items(tmp_path / "old.npz", tmp_path / "new.npz")


def test_without_ids_nothing_can_be_cut(tmp_path: Path) -> None:
    np.save(tmp_path / "old.npy", OLD)
    np.save(tmp_path / "new.npy", NEW[:9])
    with pytest.raises(RequestError, match="with ids, --common cuts"):
        read_items(tmp_path / "old.npy", tmp_path / "new.npy", options=InputOptions(common=True))
