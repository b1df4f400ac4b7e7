"""Pictures of examples: written from the dataset, read within bounds, and told in one line where they are broken."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from compatbench.data.dataset import Dataset
from compatbench.data.samples import Samples
from compatbench.errors import RequestError
from compatbench.records.parts import ExampleRetrieval, FirstFound
from compatbench.records.record import Record
from compatbench.records.store import Store
from compatbench.report.site.page_data.pictures import read_thumbnails
from compatbench.trust.thumbnails import named_samples, needless_pictures, thumbnails, write_thumbnails


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "leaderboard")


def with_examples(record: Record, ids: Sequence[int], seed: int = 0, query_generation: str = "1") -> Record:
    """One example: the first id asks, and every system finds the others."""
    found = FirstFound(ids=list(ids[1:]), right=[True] * (len(ids) - 1))
    older = str(int(query_generation) - 1)
    example = ExampleRetrieval(
        query_generation=query_generation, gallery_generation=older, id=ids[0], old=found, cross=found, new=found
    )
    spec = record.spec.model_copy(update={"seed": seed})
    return record.model_copy(update={"spec": spec, "examples": [example]})


def encoded(pixels: np.ndarray, kind: str = "png") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


SMALL = encoded(np.full((8, 8), 100, np.uint8))


def write(path: Path, **columns: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": [3], "label": ["three"], "image": pa.array([SMALL], pa.binary()), **columns}), path)
    return path


def test_pictures_are_those_of_the_dataset(store: Store, record: Record, digits: Dataset) -> None:
    ids = digits.query.ids[:3].tolist()
    path = write_thumbnails(store, [with_examples(record, ids)], "digits", Samples(digits))
    assert path == store.thumbnails / "digits.parquet"
    found = thumbnails(store)["digits"]
    assert list(found) == sorted(ids)
    samples = Samples(digits)
    for sample, one in found.items():
        assert one.label == samples.label(sample)
        assert one.kind == "image/webp"
        with Image.open(io.BytesIO(one.image)) as image:
            shown = np.asarray(image.convert("L"), dtype=float)
        original = samples.pixels(sample)[0].astype(float)
        assert shown.shape == original.shape
        assert np.abs(shown - original).mean() < 20  # a small picture, not a copy
    before = path.read_bytes()
    write_thumbnails(store, [with_examples(record, ids)], "digits", Samples(digits))
    assert path.read_bytes() == before


def test_only_the_first_seed_and_the_newest_generation_are_shown(record: Record) -> None:
    records = [with_examples(record, (5, 6), seed=2), with_examples(record, (1, 2), seed=1)]
    records[1].examples.append(with_examples(record, (3, 4), query_generation="2").examples[0])
    assert named_samples(records) == {"digits": {3, 4}}


def test_pictures_of_other_samples_stay_and_needless_ones_go(store: Store, record: Record, digits: Dataset) -> None:
    known, foreign = int(digits.query.ids[0]), 10**9
    write(store.thumbnails / "digits.parquet", id=[foreign])
    records = [with_examples(record, (known, foreign))]
    write_thumbnails(store, records, "digits", Samples(digits))
    assert set(thumbnails(store)["digits"]) == {known, foreign}
    assert needless_pictures(store, records) == []
    fewer = [with_examples(record, (known, known))]
    (problem,) = needless_pictures(store, fewer)
    assert problem.where == "thumbnails/digits.parquet"
    assert f"no example shows sample {foreign}" in problem.message
    write_thumbnails(store, fewer, "digits", Samples(digits))
    assert set(thumbnails(store)["digits"]) == {known}
    (store.thumbnails / "notes.txt").write_text("")
    write(store.thumbnails / "unknown.parquet")
    assert [problem.where for problem in needless_pictures(store, fewer)] == [
        "thumbnails/notes.txt",
        "thumbnails/unknown.parquet",
    ]
    assert write_thumbnails(store, [record], "digits", Samples(digits)) is None
    assert not (store.thumbnails / "digits.parquet").exists()


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"image": pa.array([b"GIF89a" + bytes(30)], pa.binary())}, "sample 3: cannot identify image"),
        ({"image": pa.array([SMALL[:40]], pa.binary())}, "sample 3: "),
        ({"image": pa.array([encoded(np.zeros((33, 8), np.uint8))], pa.binary())}, "8 × 33 pixels, at most 32"),
        ({"image": pa.array([SMALL + bytes(5000)], pa.binary())}, r"bytes, at most 4,096"),
        ({"image": pa.array([encoded(np.zeros((8, 8, 3), np.uint8), "jpeg")], pa.binary())}, "cannot identify image"),
        ({"image": pa.array([None], pa.binary())}, "no number, text and image"),
        ({"id": [0.5]}, "no number, text and image"),
        ({"label": pa.array([b"three"], pa.binary())}, "'label' is binary"),
        ({"more": [1]}, "has the columns id, label, image, more"),
    ],
)
def test_what_is_no_small_picture_is_told_in_one_line(tmp_path: Path, columns: dict[str, object], told: str) -> None:
    path = write(tmp_path / "digits.parquet", **columns)
    with pytest.raises(RequestError, match=told) as caught:
        read_thumbnails(path, "thumbnails/digits.parquet")
    assert str(caught.value).startswith("thumbnails/digits.parquet")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "digits.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(RequestError, match="cannot be read"):
        read_thumbnails(tmp_path / "digits.parquet", "digits.parquet")


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    lines = 30_000
    image = pa.DictionaryArray.from_arrays(pa.array(np.zeros(lines, np.int32)), pa.array([bytes(4000)], pa.binary()))
    table = pa.table({"id": np.zeros(lines, np.int64), "label": ["x"] * lines, "image": image})
    pq.write_table(table, tmp_path / "digits.parquet", store_schema=False)
    assert (tmp_path / "digits.parquet").stat().st_size < 100_000
    with pytest.raises(RequestError, match="unpack to more than"):
        read_thumbnails(tmp_path / "digits.parquet", "digits.parquet")
