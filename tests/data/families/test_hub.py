"""The Hugging Face hub, by a folder of Parquet files as the hub keeps them: no network."""

import sys
from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from compatbench.discovery.datasets import check, get, load
from compatbench.errors import RequestError

NAMES = ["bean_rust", "healthy"]


def encoded(level: int, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (12, 10), (level, 0, 0)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "beans" / "data"
    folder.mkdir(parents=True)
    features = datasets.Features({"image": datasets.Image(), "labels": datasets.ClassLabel(names=NAMES)})
    for part, count, first in (("train", 4, 0), ("test", 3, 100)):
        rows = {
            "image": [
                {"bytes": encoded(first + 10 * i, "JPEG" if i == 1 else "PNG"), "path": None} for i in range(count)
            ],
            "labels": [i % 2 for i in range(count)],
        }
        datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / f"{part}-00000-of-00001.parquet")
    return tmp_path / "beans"


def options(repository: Path, **others: object) -> dict[str, object]:
    return {"path": str(repository), "label": "labels", **others}


def test_images_and_labels_are_those_of_the_hub(repository: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    assert get("hub", root, print, options(repository)).startswith(f"hub: {repository} ready in {root}")
    dataset = load("hub", 8, root, options(repository))
    assert dataset.name == "hub"
    assert dataset.class_names == tuple(NAMES)
    assert dataset.train.labels.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(dataset.train.images[:, 0, 4, 4], [0, 10, 20, 30], atol=2)
    np.testing.assert_allclose(dataset.query.images[:, 0, 4, 4], [100, 110, 120], atol=2)
    assert [Path(name).suffix for name in dataset.train.names] == [".png", ".jpeg", ".png", ".png"]
    assert check("hub", root, options(repository)) == "hub: ok, 4 train, 3 query = gallery images, 2 classes"


def test_once_there_neither_the_library_nor_the_hub_is_needed(repository: Path, tmp_path: Path, monkeypatch) -> None:
    root = tmp_path / "data"
    get("hub", root, print, options(repository))
    before = load("hub", 8, root, options(repository)).fingerprint
    (repository / "data" / "train-00000-of-00001.parquet").unlink()
    monkeypatch.setitem(sys.modules, "datasets", None)
    get("hub", root, print, options(repository))
    assert load("hub", 8, root, options(repository)).fingerprint == before
    with pytest.raises(
        RequestError, match=r"dataset 'hub' needs the package 'datasets': pip install 'compatbench\[hub\]'"
    ):
        get("hub", tmp_path / "other", print, options(repository))


def test_what_is_not_there_is_named(repository: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    with pytest.raises(RequestError, match="is not on this machine; run `compatbench data get hub --set path="):
        load("hub", 8, root, options(repository))
    with pytest.raises(
        RequestError, match="has no column 'label'; it has image, labels; set the options image and label"
    ):
        get("hub", root, print, {"path": str(repository)})
    with pytest.raises(RequestError, match=r"dataset '.*' of the hub: "):
        get("hub", root, print, options(repository, splits={"train": "train", "test": "validation"}))
    assert not list(root.rglob("manifest.parquet"))


def test_other_options_are_other_data(repository: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    swapped = options(repository, splits={"train": "test", "test": "train"})
    get("hub", root, print, options(repository))
    with pytest.raises(RequestError, match="is not on this machine"):
        load("hub", 8, root, swapped)
    get("hub", root, print, swapped)
    assert len(load("hub", 8, root, options(repository)).train) == 4
    assert len(load("hub", 8, root, swapped).train) == 3
