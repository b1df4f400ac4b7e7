"""The dataset `vectors`: folders of files of vectors, whatever their order, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from compatbench.data.families.vectors import VectorsFamily, VectorsOptions
from compatbench.data.items import TrunkVectors
from compatbench.errors import RequestError

DIMS = {"glove": 5, "e5": 7}
COUNTS = {"train": 12, "gallery": 8, "query": 4}


def write(folder: Path, part: str, trunk: str, order: np.ndarray, **columns: np.ndarray) -> None:
    rng = np.random.default_rng([COUNTS[part], DIMS[trunk]])
    vectors = rng.normal(size=(COUNTS[part], DIMS[trunk])).astype(np.float32)
    names = np.array([f"{part} {row}" for row in range(COUNTS[part])])
    (folder / part).mkdir(exist_ok=True)
    np.savez(folder / part / f"{trunk}.npz", vectors=vectors[order], ids=names[order], **columns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, count in COUNTS.items():
        labels = np.array(["even", "odd"])[np.arange(count) % 2]
        write(tmp_path, part, "glove", np.arange(count), labels=labels)
        write(tmp_path, part, "e5", np.arange(count)[::-1])
    return tmp_path


def load(folder: Path):
    return VectorsFamily().load(folder, VectorsOptions(path="."), None)


def test_vectors_of_one_item_are_found_by_its_id_in_every_file(folder: Path) -> None:
    data = load(folder)
    assert data.class_names == ("even", "odd")
    for part, split in (("train", data.train), ("gallery", data.gallery), ("query", data.query)):
        items = split.images
        assert isinstance(items, TrunkVectors)
        assert items.brought == DIMS
        assert split.item_shape == (0, 0, DIMS)
        assert split.names is not None
        for trunk, dim in DIMS.items():
            expected = np.random.default_rng([COUNTS[part], dim]).normal(size=(COUNTS[part], dim)).astype(np.float32)
            rows = [int(name.rpartition(" ")[2]) for name in split.names]
            assert np.array_equal(items.read(trunk), expected[rows])
            assert np.array_equal(items[2:4].read(trunk), expected[rows][2:4])
            assert split.labels.tolist() == [row % 2 for row in rows]


def test_frames_in_another_order_are_matched_by_their_index(folder: Path) -> None:
    for part, count in COUNTS.items():
        for trunk, order in (("glove", np.arange(count)), ("e5", np.arange(count)[::-1])):
            write(folder, part, trunk, np.arange(count))
            vectors = np.load(folder / part / f"{trunk}.npz")["vectors"]
            (folder / part / f"{trunk}.npz").unlink()
            index = pd.Index([f"{part} {row}" for row in range(count)], name="sku")
            frame = pd.DataFrame(
                {"vectors": vectors.tolist(), "labels": [f"c{row % 2}" for row in range(count)]}, index
            )
            frame.iloc[order].to_parquet(folder / part / f"{trunk}.parquet")
    items = load(folder).train.images
    assert isinstance(items, TrunkVectors)
    for trunk, dim in DIMS.items():
        expected = np.random.default_rng([COUNTS["train"], dim]).normal(size=(COUNTS["train"], dim))
        assert np.array_equal(items.read(trunk), expected.astype(np.float32)[::-1])  # as the first file, e5, has them


def test_without_a_folder_of_queries_the_gallery_searches_itself(folder: Path) -> None:
    with_queries = load(folder).fingerprint
    for file in (folder / "query").iterdir():
        file.unlink()
    (folder / "query").rmdir()
    data = load(folder)
    assert data.query is data.gallery
    assert data.fingerprint == load(folder).fingerprint != with_queries


def test_judgements_choose_the_queries(folder: Path) -> None:
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query 3\tgallery 1\t1\nquery 1\tgallery 0\t2\n")
    data = load(folder)
    assert data.query.names is not None
    assert set(data.query.names) == {"query 1", "query 3"}
    assert data.judgements is not None
    for query, name in zip(data.query.ids.tolist(), data.query.names, strict=True):
        row = data.judgements.queries.tolist().index(query)
        assert data.gallery.names is not None
        found = [data.gallery.names[data.gallery.ids.tolist().index(one)] for one in data.judgements.relevant[row]]
        assert found == [{"query 1": "gallery 0", "query 3": "gallery 1"}[name]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "train" / "e5.npz").unlink(), "every split needs the vectors of every trunk"),
        (lambda folder: write(folder, "train", "e5", np.arange(11)), "differ in their items"),
        (lambda folder: np.savez(folder / "query" / "e5.npz", vectors=np.zeros((4, 7))), "row 0 is zero or not finite"),
        (
            lambda folder: np.savez(folder / "query" / "e5.npz", vectors=np.ones((4, 7)), ids=np.array([1, 1, 2, 3])),
            "an id is there twice",
        ),
        (lambda folder: (folder / "gallery").rename(folder / "other"), "gallery has no files of vectors"),
    ],
)
def test_what_is_wrong_is_one_line(folder: Path, change, message: str) -> None:
    change(folder)
    with pytest.raises(RequestError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
