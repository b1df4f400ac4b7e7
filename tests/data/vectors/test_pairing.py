"""Bad rows and missing counterparts: counted and listed, or left out on both sides and counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compatbench.comparison.inputs import read_items
from compatbench.data.vectors import embeddings
from compatbench.data.vectors.embeddings import read_table
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


def saved(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_parquet(path)
    return path


def by_dictionary(old: pd.DataFrame, new: pd.DataFrame) -> list[list[float]]:
    """The old vector of every new row, by the index."""
    vectors = dict(zip(old.index, old["vector"].tolist(), strict=True))
    return [list(vectors[name]) for name in new.index]


INDEXES = {
    "text": pd.Index(IDS),
    "named": pd.Index(IDS, name="sku"),
    "numbers": pd.Index(1000 + np.arange(ROWS)),
    "default": pd.RangeIndex(ROWS),
    "two levels": pd.MultiIndex.from_arrays([IDS, np.arange(ROWS)]),
    "fractions": pd.Index(np.arange(ROWS) / 8),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
@pytest.mark.parametrize("in_memory", [True, False])
def test_frames_are_paired_by_their_index(tmp_path: Path, index: pd.Index, in_memory: bool) -> None:
    order = np.random.default_rng(2).permutation(ROWS)
    old = pd.DataFrame({"vector": OLD.tolist()}, index=index)
    new = pd.DataFrame({"vector": NEW.tolist()}, index=index).iloc[order]
    files = (old, new) if in_memory else (saved(old, tmp_path / "o.parquet"), saved(new, tmp_path / "n.parquet"))
    items = read_items(*files, new.index.get_level_values(0).astype(str).to_numpy(dtype=str))
    assert items.raw_old(np.arange(ROWS)).tolist() == [np.float32(row).tolist() for row in by_dictionary(old, new)]
    assert items.raw_new(np.arange(ROWS)).tolist() == NEW[order].tolist()
    said = [one.text for one in items.notices]
    assert sum("ids from its index" in one for one in said) == 2
    assert not any("left alone" in one for one in said)


def test_frames_of_one_index_are_paired_by_position_and_named_by_it() -> None:
    frames = [pd.DataFrame(one, index=pd.Index(IDS, name="sku")) for one in (OLD, NEW)]
    assert read_items(*frames).ids.tolist() == IDS.tolist()
    twice = [pd.DataFrame(one, index=np.arange(ROWS) // 2) for one in (OLD, NEW)]
    assert np.array_equal(read_items(*twice).raw_old(np.arange(ROWS)), OLD)
    with pytest.raises(RequestError, match=r"its index is to pair the rows, and has 0 several times: .*reset_index"):
        read_items(twice[0], twice[1][::-1])


def test_an_index_is_no_id_beside_what_has_none() -> None:
    """An array, or a frame that is merely counted: by position, which is said; and no index is ever a dimension."""
    bytes_ = np.arange(ROWS * 3, dtype=np.int8).reshape(ROWS, 3)
    for index in (IDS, np.arange(ROWS)[::-1] + 5, np.arange(ROWS) / 8, [np.arange(ROWS), np.arange(ROWS)]):
        for new in (NEW, pd.DataFrame(NEW)) if index is IDS else (NEW,):
            items = read_items(pd.DataFrame(bytes_, columns=list("abc"), index=index), new)
            assert np.array_equal(items.raw_old(np.arange(ROWS)), bytes_)
            assert [one.text for one in items.notices if "its index is left alone" in one.text]


def test_frames_of_other_items_are_refused() -> None:
    frames = pd.DataFrame(OLD), pd.DataFrame(NEW, index=pd.RangeIndex(7, ROWS + 7))
    with pytest.raises(RequestError, match=r"old has no id 40, which is row 33 of new; 7 of 40 .*reset_index"):
        read_items(*frames)
    items = read_items(*frames, options=InputOptions(common=True))
    assert np.array_equal(items.raw_old(np.arange(33)), OLD[7:])
    assert np.array_equal(items.raw_new(np.arange(33)), NEW[:33])


def test_a_column_of_pandas_has_an_index_too() -> None:
    order = np.random.default_rng(2).permutation(ROWS)
    old, new, classes = (pd.Series(list(one), index=IDS) for one in (OLD, NEW, range(ROWS)))
    assert np.array_equal(read_items(old, new.iloc[order]).raw_old(np.arange(ROWS)), OLD[order])
    assert read_items(old, new, classes).labels is not None
    with pytest.raises(RequestError, match="labels: their index is that of new in another order"):
        read_items(old, new, classes[::-1])


@pytest.mark.parametrize(
    "description",
    [
        b"{",
        b"[]",
        b'{"index_columns": 3}',
        b'{"index_columns": [["a"]]}',
        b'{"index_columns": ["gone"]}',
        b'{"index_columns": [{"start": 0, "stop": 1180591620717411303424, "step": 1}]}',
        b'{"index_columns": [{"start": 1180591620717411303424, "stop": 1180591620717411303464, "step": 1}]}',
        b'{"index_columns": [{"start": 0, "stop": 40, "step": 0}]}',
        b'{"index_columns": [{"start": "0", "stop": 40, "step": 1}]}',
        b'{"index_columns": [{"kind": "range"}]}',
        b'{"index_columns": [{"start": 3, "stop": 45, "step": 1}]}',
    ],
)
def test_a_description_that_does_not_fit_says_nothing(tmp_path: Path, description: bytes) -> None:
    table = pa.table({"vectors": OLD.tolist()}).replace_schema_metadata({b"pandas": description})
    pq.write_table(table, tmp_path / "x.parquet")
    assert read_table(tmp_path / "x.parquet").index is None
    np.save(tmp_path / "new.npy", NEW)
    assert np.array_equal(read_items(tmp_path / "x.parquet", tmp_path / "new.npy").raw_old(np.arange(ROWS)), OLD)


def test_numbers_and_their_text_are_the_same_id(tmp_path: Path) -> None:
    """As a text file gives them, which has numbers only where all are written so."""
    names = [*(f"{row:03d}" for row in range(20)), *map(str, range(2**63 + 20, 2**63 + 40))]
    np.savez(tmp_path / "text.npz", vectors=OLD, ids=names)
    some = np.random.default_rng(2).permutation(np.arange(20, ROWS))
    np.savez(tmp_path / "numbers.npz", vectors=NEW[some], ids=np.array([int(names[row]) for row in some], np.uint64))
    rows = [{"id": int(names[row]), "vector": NEW[row].tolist()} for row in some]
    (tmp_path / "numbers.jsonl").write_text("\n".join(map(json.dumps, rows)))
    cells = [",".join([names[row], *map(str, NEW[row].tolist())]) for row in some]
    (tmp_path / "numbers.csv").write_text("\n".join(["id,dim_0,dim_1,dim_2", *cells]))
    for name in ("numbers.npz", "numbers.jsonl", "numbers.csv"):
        items = read_items(tmp_path / "text.npz", tmp_path / name, options=InputOptions(common=True))
        assert items.ids.tolist() == [names[row] for row in some]
        assert np.array_equal(items.raw_old(np.arange(20)), OLD[some])
        np.testing.assert_allclose(items.raw_new(np.arange(20)), NEW[some], rtol=1e-6)
