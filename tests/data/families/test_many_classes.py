"""ImageNet-1k and its subset, Places365 and iNaturalist 2018, tiny and in the authors' formats."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import Places365 as Reader

from compatbench.data.families import imagenet100
from compatbench.data.families.imagenet import ImageNet
from compatbench.data.families.imagenet100 import CLASSES, ImageNet100
from compatbench.data.families.inaturalist2018 import INaturalist2018
from compatbench.data.families.places365 import Places365
from compatbench.data.family import Counts
from compatbench.discovery.datasets import check, load
from compatbench.errors import RequestError

WNIDS = ("n01440764", "n01443537", "n02869837")
TRUTH = ["n02869837", "n01440764", "n01443537", "n01440764"]


@pytest.fixture
def photographs(tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three classes with ImageNet's oddities: a PNG and a CMYK image that are called JPEG, and a grey one."""
    folder = tmp_path / "imagenet"
    for place, wnid in enumerate(WNIDS):
        write_image(folder / "train" / wnid / f"{wnid}_10.JPEG", (50 * place, 0, 0), (30, 20))
        write_image(folder / "train" / wnid / f"{wnid}_9.JPEG", 90, (9, 40), "L")
    (folder / "train" / WNIDS[0] / "notes.txt").write_text("no image")
    odd = folder / "train" / "n02869837"
    Image.new("RGBA", (12, 12), (0, 80, 0, 255)).save(odd / "n02869837_2.png")
    (odd / "n02869837_2.png").rename(odd / "n02869837_2.JPEG")
    Image.new("CMYK", (12, 12), (0, 255, 255, 0)).save(odd / "n02869837_3.JPEG", "JPEG")
    monkeypatch.setattr(ImageNet, "published", Counts(8, 4))
    return tmp_path


@pytest.fixture
def by_class(photographs: Path, write_image) -> Path:
    for number, wnid in enumerate(TRUTH, start=1):
        write_image(photographs / "imagenet" / "val" / wnid / f"ILSVRC2012_val_{number:08d}.JPEG", (10 * number,) * 3)
    return photographs


@pytest.fixture
def as_archived(photographs: Path, write_image) -> Path:
    """The validation images in one folder, and the development kit that says what they are.

    Its classes are numbered from 1 in an order of their own, and its tree has inner nodes too.
    """
    folder = photographs / "imagenet"
    for number in range(1, 5):
        write_image(folder / "val" / f"ILSVRC2012_val_{number:08d}.JPEG", (10 * number,) * 3)
    kit = folder / "ILSVRC2012_devkit_t12" / "data"
    kit.mkdir(parents=True)
    number_of = {"n01440764": 3, "n01443537": 1, "n02869837": 2}
    fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children"]
    synsets = np.zeros((4, 1), dtype=[(name, object) for name in fields])
    for row, (wnid, number) in enumerate(number_of.items()):
        synsets[row, 0] = (number, wnid, "words", "gloss", 0)
    synsets[3, 0] = (1001, "n00000001", "words", "gloss", 2)
    savemat(kit / "meta.mat", {"synsets": synsets})
    truth = "".join(f"{number_of[wnid]}\n" for wnid in TRUTH)
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)
    return photographs


@pytest.mark.parametrize("layout", ["by_class", "as_archived"])
def test_imagenet_is_read_in_both_layouts(layout: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(layout)
    dataset = load("imagenet", 8, root, {})
    assert dataset.class_names == WNIDS
    assert dataset.train.labels.tolist() == [0, 0, 1, 1, 2, 2, 2, 2]
    found = {
        int(name[-13:-5]): int(label) for name, label in zip(dataset.query.names, dataset.query.labels, strict=True)
    }
    assert found == {number: WNIDS.index(wnid) for number, wnid in enumerate(TRUTH, start=1)}
    assert dataset.query is dataset.gallery
    assert not set(dataset.train.ids.tolist()) & set(dataset.query.ids.tolist())
    assert check("imagenet", root, {}) == "imagenet: ok, 8 train, 4 query = gallery images, 3 classes"


def test_imagenet_odd_files_are_decoded_by_content(by_class: Path) -> None:
    dataset = load("imagenet", 8, by_class, {})
    pixels = {Path(name).name: image for name, image in zip(dataset.train.names, dataset.train.images, strict=True)}
    assert pixels["n02869837_2.JPEG"][:, 4, 4].tolist() == [0, 80, 0]
    np.testing.assert_allclose(pixels["n02869837_3.JPEG"][:, 4, 4], [255, 0, 0], atol=4)
    np.testing.assert_allclose(pixels["n01440764_9.JPEG"][:, 4, 4], [90] * 3, atol=2)


def test_imagenet_images_are_cut_as_models_are_evaluated(by_class: Path, tmp_path: Path) -> None:
    """Resize the shorter side to 256, cut 224 out of the middle: here 8 · 7/8 = 7 pixels, of 8 in height."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 20, 3), np.uint8)
    path = by_class / "imagenet" / "train" / WNIDS[0] / f"{WNIDS[0]}_10.JPEG"
    Image.fromarray(pixels).save(path, "PNG")
    found = load("imagenet", 7, by_class, {}).train.images[0].numpy()
    middle = pixels.astype(float)[:, 6:14]
    halves = (middle[:-1] + middle[1:]) / 2  # from half a pixel on
    expected = (halves[:, :-1] + halves[:, 1:]) / 2
    np.testing.assert_allclose(found.transpose(1, 2, 0), expected, atol=1.5)


def test_imagenet100_takes_its_classes_out_of_the_same_files(by_class: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet100, "CLASSES", ("n02869837", "n01440764"))
    monkeypatch.setattr(ImageNet100, "published", Counts())
    dataset = load("imagenet100", 8, by_class, {})
    assert dataset.class_names == ("n01440764", "n02869837")
    assert dataset.train.labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert sorted(dataset.query.labels.tolist()) == [0, 0, 1]
    monkeypatch.setattr(imagenet100, "CLASSES", ("n02869837", "n99999999"))
    with pytest.raises(RequestError, match="train has no folder n99999999"):
        load("imagenet100", 8, by_class, {})


def test_imagenet100_has_a_hundred_classes_in_order() -> None:
    assert len(set(CLASSES)) == 100
    assert list(CLASSES) == sorted(CLASSES)
    assert {"n02869837", "n01749939", "n02090622"} <= set(CLASSES)  # the authors' first two and their last


def test_imagenet_without_a_truth_for_every_image_is_refused(as_archived: Path, write_image) -> None:
    write_image(as_archived / "imagenet" / "val" / "ILSVRC2012_val_00000005.JPEG")
    with pytest.raises(RequestError, match=r"a list in .*imagenet is damaged"):
        load("imagenet", 8, as_archived, {})


def test_a_missing_validation_image_is_named(as_archived: Path) -> None:
    (as_archived / "imagenet" / "val" / "ILSVRC2012_val_00000002.JPEG").unlink()
    with pytest.raises(RequestError, match=r"1 images cannot be read: val/ILSVRC2012_val_00000002.JPEG \(missing\)"):
        load("imagenet", 8, as_archived, {})


def test_a_training_image_that_went_missing_is_named(by_class: Path) -> None:
    load("imagenet", 8, by_class, {})
    (by_class / "imagenet" / "train" / WNIDS[1] / f"{WNIDS[1]}_9.JPEG").unlink()
    said = rf"lists 7 images in its train split, and 8 were published; gone since the last look: train/{WNIDS[1]}/"
    for call in (lambda: load("imagenet", 8, by_class, {}), lambda: check("imagenet", by_class, {})):
        with pytest.raises(RequestError, match=said):
            call()


@pytest.fixture
def scenes(tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "places365"
    lists = {
        "categories_places365.txt": "/a/airfield 0\n/b/bow_window/indoor 1\n",
        "places365_train_standard.txt": "/a/airfield/00000001.jpg 0\n/b/bow_window/indoor/00000007.jpg 1\n",
        "places365_val.txt": "Places365_val_00000001.jpg 1\nPlaces365_val_00000002.jpg 0\n",
    }
    for image in ("data_256_standard/a/airfield/00000001.jpg", "data_256_standard/b/bow_window/indoor/00000007.jpg"):
        write_image(folder / image, size=(256, 256))
    for image in ("val_256/Places365_val_00000001.jpg", "val_256/Places365_val_00000002.jpg"):
        write_image(folder / image, size=(256, 256))
    for name, content in lists.items():
        (folder / name).write_text(content)

    def entry(name: str) -> tuple[str, str]:
        return name, hashlib.md5((folder / name).read_bytes()).hexdigest()

    monkeypatch.setattr(Reader, "_CATEGORIES_META", entry("categories_places365.txt"))
    files = {"train-standard": entry("places365_train_standard.txt"), "val": entry("places365_val.txt")}
    monkeypatch.setattr(Reader, "_FILE_LIST_META", files)
    monkeypatch.setattr(Places365, "published", Counts(2, 2))
    return tmp_path


def test_places_is_split_as_published(scenes: Path) -> None:
    dataset = load("places365", None, scenes, {})
    assert dataset.class_names == ("/a/airfield", "/b/bow_window/indoor")
    assert dataset.train.labels.tolist() == [0, 1]
    assert dataset.train.names[1] == "data_256_standard/b/bow_window/indoor/00000007.jpg"
    assert dataset.query.labels.tolist() == [1, 0]
    assert dataset.query.ids.tolist() == [2, 3]
    assert dataset.train.image_size == 256


def test_places_may_lie_as_the_archive_unpacks(scenes: Path) -> None:
    (scenes / "places365" / "data_256_standard").rename(scenes / "places365" / "data_256")
    dataset = load("places365", None, scenes, {})
    assert dataset.train.names[1] == "data_256/b/bow_window/indoor/00000007.jpg"
    (scenes / "places365" / "data_256").rename(scenes / "places365" / "other")
    with pytest.raises(RequestError, match=r"missing: \S+places365/data_256; get it from"):
        load("places365", None, scenes, {})


def test_a_changed_list_of_places_is_named(scenes: Path) -> None:
    path = scenes / "places365" / "places365_val.txt"
    path.write_text(path.read_text().replace(" 1", " 0"))
    with pytest.raises(RequestError, match=r"a list in .*places365_val.txt does not exist or is corrupted"):
        load("places365", 8, scenes, {})


@pytest.fixture
def species(tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """COCO-style lists, images not in the order of their ids; an EXIF rotation."""
    folder = tmp_path / "inaturalist2018"
    categories = [
        {"id": 0, "name": "Turdus merula", "supercategory": "Aves"},
        {"id": 1, "name": "Bellis perennis", "supercategory": "Plantae"},
    ]
    parts = {
        "train": [(7, "Plantae/1/b.jpg", 1), (3, "Aves/0/a.jpg", 0)],
        "val": [(9, "Aves/0/c.jpg", 0), (11, "Plantae/1/d.jpg", 1)],
    }
    for part, rows in parts.items():
        content = {
            "info": {"year": 2018},
            "categories": categories,
            "images": [
                {"id": number, "file_name": f"train_val2018/{path}", "width": 12, "height": 10, "license": 3}
                for number, path, _ in rows
            ],
            "annotations": [
                {"id": number, "image_id": number, "category_id": label} for number, _, label in reversed(rows)
            ],
        }
        for _, path, _ in rows:
            write_image(folder / "train_val2018" / path)
        (folder / f"{part}2018.json").write_text(json.dumps(content))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90° clockwise
    left_dark = Image.new("L", (16, 16), 255)
    left_dark.paste(0, (0, 0, 8, 16))
    left_dark.save(folder / "train_val2018" / "Aves/0/a.jpg", exif=exif, quality=100)
    monkeypatch.setattr(INaturalist2018, "published", Counts(2, 2))
    return tmp_path


def test_inaturalist_is_split_as_published(species: Path) -> None:
    dataset = load("inaturalist2018", 8, species, {})
    assert dataset.class_names == ("Turdus merula", "Bellis perennis")
    assert dataset.train.names == ("train_val2018/Aves/0/a.jpg", "train_val2018/Plantae/1/b.jpg")
    assert dataset.train.labels.tolist() == [0, 1]
    assert dataset.query.labels.tolist() == [0, 1]
    assert dataset.query.ids.tolist() == [2, 3]


def test_inaturalist_images_stand_upright(species: Path) -> None:
    image = load("inaturalist2018", 8, species, {}).train.images[0, 0].float()
    assert image[:3].max() < 10  # the dark left half of the file is the top
    assert image[5:].min() > 245


def test_an_inaturalist_list_that_was_cut_is_named(species: Path) -> None:
    path = species / "inaturalist2018" / "val2018.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(RequestError, match=r"a list in .*inaturalist2018 is damaged \(JSONDecodeError"):
        load("inaturalist2018", 8, species, {})
