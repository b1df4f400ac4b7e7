from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compatbench.data.image_file import Decoding
from compatbench.data.image_files import ImageFiles
from compatbench.data.judgements import Judgements
from compatbench.data.listing import Listed, Listing, check_files
from compatbench.data.lists import Lists
from compatbench.data.pairs import Pairs
from compatbench.data.read_listed import read_listed
from compatbench.errors import RequestError


def listing(names: list[str], labels: list[int], first_id: int, boxes=None) -> Listing:
    ids = np.arange(first_id, first_id + len(names))
    return Listing(tuple(names), np.array(labels), ids, None if boxes is None else np.array(boxes))


@pytest.fixture
def listed(tmp_path: Path, write_image) -> Listed:
    """Each image has a grey level of its own."""
    for level in range(6):
        write_image(tmp_path / "images" / f"{level}.png", (40 * level,) * 3, (16, 16))
    return Listed(
        ("a", "b"),
        listing(["0.png", "1.png"], [0, 1], 0),
        listing(["2.png", "3.png"], [0, 1], 2),
        listing(["4.png", "5.png"], [1, 0], 4),
    )


def read(listed: Listed, root: Path, size: int | None = 4, memory: int = 2**20):
    folder = root / "images"
    sound = check_files("toy", listed, folder, root)
    return read_listed("toy", listed, sound, folder, Decoding(), size, root, memory)


def levels(split) -> list[int]:
    return [int(block[row, 0, 0, 0]) for block in split.chunks() for row in range(len(block))]


@pytest.mark.parametrize("memory", [0, 10**9])
def test_splits_are_those_of_the_lists(listed: Listed, tmp_path: Path, memory: int) -> None:
    dataset = read(listed, tmp_path, memory=memory)
    assert isinstance(dataset.train.images, torch.Tensor if memory else ImageFiles)
    for split, expected in ((dataset.train, [0, 40]), (dataset.query, [80, 120]), (dataset.gallery, [160, 200])):
        assert levels(split) == expected
        assert split.images.shape == (2, 3, 4, 4)
    assert dataset.gallery.labels.tolist() == [1, 0]
    assert dataset.gallery.ids.tolist() == [4, 5]
    assert read(listed, tmp_path, None).train.image_size == 16


def test_without_a_gallery_queries_search_each_other(listed: Listed, tmp_path: Path) -> None:
    dataset = read(replace(listed, gallery=None), tmp_path)
    assert dataset.gallery is dataset.query


def test_decoded_images_are_kept_and_follow_the_files(listed: Listed, tmp_path: Path, write_image, monkeypatch) -> None:
    first = read(listed, tmp_path)
    monkeypatch.setattr("compatbench.data.read_listed.load_all", lambda files: pytest.fail("decoded again"))
    assert read(listed, tmp_path).fingerprint == first.fingerprint
    monkeypatch.undo()
    write_image(tmp_path / "images" / "1.png", (7, 7, 7), (16, 16))
    assert levels(read(listed, tmp_path).train) == [0, 7]
    assert read(listed, tmp_path, 8).train.image_size == 8


def test_shared_test_classes_are_refused_where_they_must_be_new(listed: Listed, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"dataset 'toy': train and (query|gallery) must not share classes"):
        read(replace(listed, new_test_classes=True), tmp_path)
    disjoint = replace(listed, class_names=("a", "b", "c"), train=listing(["0.png"], [2], 0), new_test_classes=True)
    assert read(disjoint, tmp_path).train_classes == (2,)


def test_boxes_cut_and_are_checked(listed: Listed, tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "images" / "0.png", (0, 0, 0), (16, 16))
    from PIL import Image

    with Image.open(tmp_path / "images" / "0.png") as image:
        image.paste((250, 250, 250), (4, 6, 9, 12))
        image.save(tmp_path / "images" / "0.png")
    boxed = replace(listed, train=listing(["0.png", "1.png"], [0, 1], 0, [[4, 6, 9, 12], [-5, 0, 99, 16]]))
    dataset = read(boxed, tmp_path)
    assert dataset.train.images[0].unique().tolist() == [250]
    assert dataset.train.images[1].unique().tolist() == [40]  # what leaves the image is left away
    outside = replace(listed, train=listing(["0.png", "1.png"], [0, 1], 0, [[4, 6, 9, 12], [16, 0, 20, 8]]))
    with pytest.raises(RequestError, match=r"1.png: its box \(16, 0, 20, 8\) lies outside its 16x16 pixels"):
        read(outside, tmp_path)


def test_what_is_right_is_part_of_the_fingerprint(listed: Listed, tmp_path: Path) -> None:
    def judged(relevant: list[list[int]]) -> Judgements:
        return Judgements(np.array([2, 3]), Lists.of(relevant), Lists.of([[], []]))

    pairs = Pairs(np.array([2, 3]), np.array([4, 4]), np.array([True, False]), np.array([0, 0]))
    variants = [
        listed,
        replace(listed, judgements=judged([[4], [5]])),
        replace(listed, judgements=judged([[5], [4]])),
        replace(listed, protocols={"hard": judged([[4], [5]])}),
        replace(listed, pairs=pairs),
        replace(listed, pairs=replace(pairs, same=np.array([False, True]))),
    ]
    datasets = [read(variant, tmp_path) for variant in variants]
    assert len({dataset.fingerprint for dataset in datasets}) == len(variants)
    assert len({dataset.train_fingerprint for dataset in datasets}) == 1
