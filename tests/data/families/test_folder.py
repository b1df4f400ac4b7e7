from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from compatbench.discovery.datasets import check, get, load
from compatbench.errors import RequestError


def write_images(folder: Path, *paths: str, size: tuple[int, int] = (8, 8)) -> Path:
    """One image a path, each of its own colour, so that it can be told again."""
    for i, path in enumerate(sorted(paths)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (i, 2 * i, 100)).save(folder / path)
    return folder


def write_manifest(folder: Path, rows: list[tuple[str, str, str]]) -> None:
    pd.DataFrame(rows, columns=["path", "label", "split"]).to_csv(folder / "list.csv", index=False)


CLASSES = [f"{label}/{i}.png" for label in ("owl", "cat", "dog") for i in range(10)]


def test_one_folder_a_class_is_split_by_hash(tmp_path: Path) -> None:
    write_images(tmp_path / "pets", *CLASSES)
    dataset = load("folder", None, tmp_path, {"path": "pets"})
    assert dataset.class_names == ("cat", "dog", "owl")
    assert dataset.query is dataset.gallery
    assert torch.bincount(dataset.train.labels).tolist() == [8, 8, 8]
    assert torch.bincount(dataset.query.labels).tolist() == [2, 2, 2]
    assert sorted(dataset.train.names + dataset.query.names) == sorted(CLASSES)


def test_every_row_is_the_image_of_its_name_label_and_id(tmp_path: Path) -> None:
    write_images(tmp_path, *CLASSES)
    dataset = load("folder", None, tmp_path, {"path": "."})
    for split in (dataset.train, dataset.query):
        for image, label, sample, name in zip(split.images, split.labels, split.ids, split.names, strict=True):
            assert dataset.class_names[label] == name.partition("/")[0]
            assert sorted(CLASSES)[sample] == name
            np.testing.assert_array_equal(image.numpy().transpose(1, 2, 0), np.asarray(Image.open(tmp_path / name)))


def test_query_and_gallery_folders(tmp_path: Path) -> None:
    write_images(tmp_path, "train/a/1.png", "query/b/1.png", "gallery/b/2.png", "gallery/c/1.png")
    dataset = load("folder", 16, tmp_path, {"path": ".", "channels": 1})
    assert dataset.class_names == ("a", "b", "c")
    assert dataset.train.names == ("train/a/1.png",)
    assert dataset.query.names == ("query/b/1.png",)
    assert dataset.gallery.names == ("gallery/b/2.png", "gallery/c/1.png")
    assert dataset.gallery.images.shape == (2, 1, 16, 16)
    assert not set(dataset.query.ids.tolist()) & set(dataset.gallery.ids.tolist())


def test_an_image_listed_as_query_and_gallery_has_one_id(tmp_path: Path) -> None:
    write_images(tmp_path, "1.png", "2.png", "3.png")
    rows = [("1.png", "a", "train"), ("2.png", "a", "query"), ("3.png", "a", "gallery"), ("2.png", "a", "gallery")]
    write_manifest(tmp_path, rows)
    dataset = load("folder", None, tmp_path, {"path": ".", "manifest": "list.csv"})
    assert dataset.gallery.names == ("2.png", "3.png")
    assert dataset.query.ids.tolist() == [1]
    assert dataset.gallery.ids.tolist() == [1, 2]


def test_a_copy_of_a_query_in_the_gallery_has_its_id(tmp_path: Path) -> None:
    write_images(tmp_path, "train/a/1.png", *(f"query/a/{i}.png" for i in range(3)), "gallery/a/x.png")
    for name in ("y", "z"):
        (tmp_path / f"gallery/a/{name}.png").write_bytes((tmp_path / "query/a/1.png").read_bytes())
    (tmp_path / "gallery/b").mkdir()
    (tmp_path / "gallery/b/other-label.png").write_bytes((tmp_path / "query/a/2.png").read_bytes())
    dataset = load("folder", None, tmp_path, {"path": "."})
    ids = dict(zip(dataset.gallery.names, dataset.gallery.ids.tolist(), strict=True))
    assert len(set(ids.values())) == 4
    assert dataset.query.ids[1] in (ids["gallery/a/y.png"], ids["gallery/a/z.png"])
    assert not {int(dataset.query.ids[0]), int(dataset.query.ids[2])} & set(ids.values())


def test_absolute_paths_and_unequal_sizes(tmp_path: Path) -> None:
    write_images(tmp_path / "pets", *CLASSES)
    write_images(tmp_path / "pets", "cat/wide.png", size=(30, 11))
    dataset = load("folder", 12, Path("elsewhere"), {"path": str(tmp_path / "pets")})
    assert dataset.train.images.shape[1:] == (3, 12, 12)


def test_same_files_same_fingerprint_wherever_they_lie(tmp_path: Path) -> None:
    for place in ("here", "there"):
        write_images(tmp_path / place, *CLASSES)
    here, there = (load("folder", 8, tmp_path, {"path": place}) for place in ("here", "there"))
    assert here.fingerprint == there.fingerprint


@pytest.mark.parametrize("size", [(8, 9), (9, 9)])
def test_without_image_size_the_images_must_be_squares_of_one_size(tmp_path: Path, size: tuple[int, int]) -> None:
    write_images(tmp_path, *CLASSES)
    write_images(tmp_path, "dog/wide.png", size=size)
    with pytest.raises(RequestError, match="not squares of one size; set image_size"):
        load("folder", None, tmp_path, {"path": "."})


def test_unreadable_and_missing_images_are_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:3000])
    (tmp_path / "text.png").write_text("no image")
    write_images(tmp_path, "good.png")
    names = ["cut.jpg", "gone.png", "good.png", "text.png"]
    write_manifest(tmp_path, [(name, "a", "train") for name in names] + [("test.png", "a", "test")])
    for read in (
        lambda: load("folder", 8, tmp_path, {"path": ".", "manifest": "list.csv"}),
        lambda: check("folder", tmp_path, {"path": ".", "manifest": "list.csv"}),
    ):
        with pytest.raises(RequestError, match="4 images cannot be read: ") as caught:
            read()
        message = str(caught.value)
        assert "cut.jpg (" in message
        assert "truncated" in message
        assert "gone.png (missing)" in message
        assert "text.png (no image of a known format)" in message
        assert "test.png (missing)" in message
        assert "good.png" not in message
        assert "\n" not in message


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("1.png", "a", "train")], "the splits are train; needed are train and test, or train, query and gallery"),
        ([("1.png", "a", "test")], "the splits are test;"),
        ([("1.png", "a", "train"), ("2.png", "a", "query")], "the splits are query, train;"),
        (
            [("1.png", "a", "train"), ("2.png", "a", "test"), ("3.png", "a", "query")],
            "the splits are query, test, train;",
        ),
        ([], "the splits are none;"),
        ([("1.png", "a", "train"), ("1.png", "a", "test")], "images both in train and in the test data: 1.png"),
        (
            [("1.png", "a", "train"), ("2.png", "b", "query"), ("3.png", "a", "gallery")],
            "1 classes have queries but no gallery image: b",
        ),
    ],
)
def test_splits_that_do_not_fit_are_named(tmp_path: Path, rows: list[tuple[str, str, str]], message: str) -> None:
    write_images(tmp_path, "1.png", "2.png", "3.png")
    write_manifest(tmp_path, rows)
    with pytest.raises(RequestError, match=message):
        load("folder", 8, tmp_path, {"path": ".", "manifest": "list.csv"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "dataset 'folder', option path: is required"),
        ({"pth": "x"}, r"dataset 'folder', option pth: unknown key; did you mean 'path'\?"),
        ({"path": "x", "manifst": "y"}, r"option manifst: unknown key; did you mean 'manifest'\?"),
        ({"path": "x", "channels": 2}, r"option channels: input should be 1 or 3 \(got 2\)"),
        ({"path": "nowhere"}, r"there is no folder .*nowhere; set the option `path`"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        load("folder", 8, tmp_path, options)


def test_check_and_get(tmp_path: Path) -> None:
    write_images(tmp_path, "train/a/1.png", "query/a/1.png", "gallery/a/2.png", "gallery/a/3.png")
    write_images(tmp_path, "gallery/a/wide.png", size=(40, 3))
    said = check("folder", tmp_path, {"path": "."})
    assert said == "folder: ok, 1 train, 1 query, 3 gallery images, 1 classes"
    assert get("folder", tmp_path, print, {"path": "."}) == f"folder: your own images in {tmp_path}"
    with pytest.raises(RequestError, match="dataset 'folder', option path: is required"):
        get("folder", tmp_path, print)
